"""${message}."""

from pathlib import Path

from idp.platform.migrations import run_script

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql"))
