"""A serving process holds no more than it needs: what one feature alone wants is read where the feature is on."""

import subprocess
import sys

from tests.support.documents import ROOT

NEEDED_ELSEWHERE = {"alembic", "sqlalchemy", "mako", "redis", "webauthn"}
"""What only migrates, the client of a store that few have, and the parsers of passkeys, which an issuer without a name has none of."""


def run_python(program: str) -> str:
    """Return what a fresh interpreter prints, with the settings of nobody."""
    environ = {"IDP_SERVER__ISSUER": "http://127.0.0.1:8000", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
    return done.stdout.strip()


def test_what_few_installations_need_is_not_read() -> None:
    assert run_python(f"import sys, idp.cli, idp.serving; print(*{NEEDED_ELSEWHERE} & set(sys.modules))") == ""


def test_full_collections_pass_over_what_was_imported() -> None:
    frozen = run_python("import gc, idp.serving; idp.serving.create_app(); print(gc.get_freeze_count())")
    assert int(frozen) > 10_000
