"""Registration: drafts, evidence, limits of checks, contact numbers, agreements; what recovery leaves behind."""

from pathlib import Path

from idp.platform.migrations import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql"))
