"""The bones: keys, people, sessions, clients, grants, audit, outbox, jobs, transients."""

from pathlib import Path

from idp.platform.migrations import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql"))
