"""A serving process holds no more than it needs: what one feature alone wants is read where the feature is on."""

import subprocess
import sys

from idp.platform.child_processes import find_free_port
from tests.support.documents import ROOT

NEEDED_ELSEWHERE = {"alembic", "sqlalchemy", "mako", "redis", "webauthn"}
"""What only migrates, the client of a store that few have, and the parsers of passkeys, which an issuer without a name has none of."""

WORKERS = {"IDP_SERVER__WORKERS": "2", "IDP_SERVER__METRICS_TOKEN": "synthetic-" * 4}
TWO_WORKERS = """
import gc, multiprocessing, os, signal
import uvicorn
from prometheus_client import values
from idp.serving import serve_http
from idp.settings import read_settings

both = multiprocessing.get_context("fork").Barrier(2)

def tell(server, sockets):
    print(len(sockets), gc.get_freeze_count() > 10_000, signal.getsignal(signal.SIGTERM).name, values.ValueClass.__name__, flush=True)
    both.wait()
    os._exit(3)  # uvicorn's code of a worker that nothing would help to start again

uvicorn.Server.run = tell  # a new interpreter would know nothing of it
serve_http(read_settings())
"""
HOW_STARTED = """
import uvicorn
from uvicorn.supervisors import multiprocess
from idp.serving import serve_http
from idp.settings import read_settings

uvicorn.run = lambda *_, **__: print(multiprocess.get_subprocess.__name__)
serve_http(read_settings())
"""


def run_python(program: str, **settings: str) -> str:
    """Return what a fresh interpreter prints, with the settings of nobody and these."""
    environ = {"IDP_SERVER__ISSUER": "http://127.0.0.1:8000", "PATH": "", **settings}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
    return done.stdout.strip()


def test_what_few_installations_need_is_not_read() -> None:
    assert run_python(f"import sys, idp.cli, idp.serving; print(*{NEEDED_ELSEWHERE} & set(sys.modules))") == ""


def test_full_collections_pass_over_what_was_imported() -> None:
    frozen = run_python("import gc, idp.serving; idp.serving.create_app(); print(gc.get_freeze_count())")
    assert int(frozen) > 10_000


def test_workers_share_the_memory_of_what_was_imported() -> None:
    assert run_python(TWO_WORKERS, **WORKERS, IDP_SERVER__PORT=str(find_free_port())).splitlines() == ["1 True SIG_DFL MmapedValue"] * 2


def test_workers_that_sign_in_a_device_are_not_forked() -> None:
    device = {"IDP_KEYS__PKCS11_MODULE": "/lib.so", "IDP_KEYS__PKCS11_TOKEN": "t", "IDP_KEYS__PKCS11_PIN_FILE": "/pin"}
    assert run_python(HOW_STARTED, **WORKERS, **device, IDP_SERVER__PORT=str(find_free_port())) == "get_subprocess"
