"""The guards of the suite bite: no address beyond this machine, and no skip under CI."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import discipline
from tests.support.discipline import PROGRAMS, OutsideAddress, find_lack, find_program, is_inside
from tests.support.import_violations import CHECKOUT

SKIPPED = "import pytest\n\n@pytest.mark.skip(reason='no reason')\ndef test_nothing():\n    pass\n\ndef test_something():\n    pass\n"
SKIPPED_MODULE = "import pytest\n\npytest.skip('not here', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n\n@pytest.mark.xfail\ndef test_known():\n    assert False\n"


def run_suite(folder: Path, source: str, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.discipline", "-p", "no:cacheprovider", "-q", str(folder)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))}
    environment |= {"CI": ci, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", [SKIPPED, SKIPPED_MODULE], ids=["test", "module"])
def test_skip_fails_under_ci(source: str, tmp_path: Path) -> None:
    done = run_suite(tmp_path, source, "true")
    assert done.returncode != 0
    assert "under CI a skip is a failure" in done.stdout


def test_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    done = run_suite(tmp_path, SKIPPED, "")
    assert done.returncode == 0
    assert "1 passed, 1 skipped" in done.stdout


def test_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert run_suite(tmp_path, EXPECTED_FAILURE, "true").returncode == 0


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443), ("0.0.0.0", 1)])
def test_connection_beyond_this_machine_is_refused(address: tuple[str, int]) -> None:
    with socket.socket() as probe, pytest.raises(OutsideAddress):
        probe.connect(address)
    with socket.socket() as probe, pytest.raises(OutsideAddress):
        probe.connect_ex(address)


def test_datagram_beyond_this_machine_is_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as probe, pytest.raises(OutsideAddress):
        probe.sendto(b"", ("192.0.2.1", 53))


def test_foreign_name_is_not_resolved() -> None:
    with pytest.raises(OutsideAddress):
        socket.getaddrinfo("example.org", 443)


def test_this_machine_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_inside(host: str) -> None:
    assert is_inside(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, 1))


def test_unix_socket_is_inside() -> None:
    assert is_inside(socket.AF_UNIX, "/run/anything")


@pytest.mark.parametrize("marker", PROGRAMS)
def test_missing_program_is_not_found(marker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    assert find_program(marker) is None


@pytest.mark.parametrize("marker, lack", [("apache", "mod_auth_openidc"), ("node", "scripts/setup-node"), ("redis", None)])
def test_a_program_without_what_belongs_to_it_is_not_enough(
    marker: str, lack: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: f"/usr/bin/{name}")
    monkeypatch.setattr(discipline, "APACHE_MODULE_FOLDERS", (str(tmp_path / "modules"),))
    monkeypatch.setattr(discipline, "NODE_PACKAGES", tmp_path / "packages")
    found = find_lack(marker)
    assert found is None if lack is None else lack in (found or "")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "mod_auth_openidc.so").touch()
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / ".stamp").touch()
    assert find_lack(marker) is None
