"""Decides what no test may do: open a socket beyond this machine, or be skipped where CI promises that everything runs.

Tests marked ``browser``, ``redis``, ``apache``, ``nginx``, ``hsm`` or ``node`` are skipped where the program, or what it must have beside
it, is not installed; they ask ``find_program`` for its path.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = {
    "browser": ("chromium", "chromium-browser", "google-chrome"),
    "redis": ("redis-server",),
    "apache": ("apache2", "httpd"),
    "nginx": ("nginx",),
    "hsm": ("softhsm2-util",),
    "node": ("node", "nodejs"),
}
"""Names of the program that a marked test needs, by marker; the first found is taken."""

NGINX_SCRIPTS = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")
"""The module with which nginx writes a certificate as RFC 9440 has it."""

APACHE_MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules")
NODE_PACKAGES = Path(__file__).resolve().parent.parent / "relying_parties" / "node_modules"
"""Where scripts/setup-node installs what tests/relying_parties/package-lock.json names."""


def find_program(marker: str) -> str | None:
    """Return the path of the program that tests of this marker need, or None when it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return next((found for name in PROGRAMS[marker] if (found := shutil.which(name, path=path))), None)


def find_lack(marker: str) -> str | None:
    """Return what tests of this marker lack here, in words, or None when they can run."""
    if find_program(marker) is None:
        return f"{PROGRAMS[marker][0]}, which is not installed"
    if marker == "apache" and not any((Path(folder) / "mod_auth_openidc.so").exists() for folder in APACHE_MODULE_FOLDERS):
        return "Apache's mod_auth_openidc, which is not installed"
    if marker == "nginx" and not NGINX_SCRIPTS.exists():
        return "nginx's js module, which is not installed"
    if marker == "node" and not (NODE_PACKAGES / ".stamp").exists():
        return "the packages that scripts/setup-node installs"
    return None


class OutsideAddress(AssertionError):
    """A test tried to reach an address outside this machine."""


def is_inside(family: int, address: Any) -> bool:
    """Return whether an address stays on this machine: every family but IP does, and of IP the loopback."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guard_sockets(patch: pytest.MonkeyPatch) -> None:
    connect, connect_ex, sendto, resolve = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo

    def refuse(family: int, address: Any) -> None:
        if not is_inside(family, address):
            raise OutsideAddress(f"A test tried to reach {address!r}; only this machine may be reached.")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse(self.family, address)
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        refuse(self.family, rest[-1])
        return sendto(self, data, *rest)

    def guarded_resolve(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name is not None and not is_inside(socket.AF_INET, (name,)):
            raise OutsideAddress(f"A test tried to resolve {name!r}; only this machine may be reached.")
        return resolve(host, *rest, **named)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket.socket, "sendto", guarded_sendto)
    patch.setattr(socket, "getaddrinfo", guarded_resolve)


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        _guard_sockets(patch)
        yield


def skips_fail() -> bool:
    """Return whether a skipped test is a failure here: ``CI=true`` says that every tool is installed."""
    return os.environ.get("CI") == "true"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is not installed."""
    for marker in PROGRAMS:
        if item.get_closest_marker(marker) and (lack := find_lack(marker)) is not None:
            pytest.skip(f"needs {lack}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if report.skipped and skips_fail() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and under CI a skip is a failure: {_reason(report.longrepr)}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    outcome: Any = yield
    report: pytest.CollectReport = outcome.get_result()
    if report.skipped and skips_fail():
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, and under CI a skip is a failure: {_reason(report.longrepr)}"


def _reason(longrepr: Any) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
