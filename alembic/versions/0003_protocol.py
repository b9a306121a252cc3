"""The complete protocol: what grants are bound to, and what each part of it keeps."""

from pathlib import Path

from idp.platform.migrations import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql"))
