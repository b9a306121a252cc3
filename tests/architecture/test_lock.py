"""The lock says the same on every machine, and the files that pip installs from say what the lock says."""

import json
import re
import subprocess

import pytest

from tests.support.import_violations import CHECKOUT

EXPORTS = ("runtime", "demo", "dev")
PUBLIC_HOST = re.compile(r"https://[a-z]+(\.[a-z]+)*\.(org|com|net)\Z")
"""A public name: encrypted, no address in figures, no port, no credentials, none of a private network's endings."""


def read_hosts(name: str) -> set[str]:
    return set(re.findall(r"[a-z+]+://[^/\"'\s]*", (CHECKOUT / name).read_text(encoding="utf-8")))


def test_lock_names_one_public_index_and_where_it_keeps_files() -> None:
    hosts = read_hosts("uv.lock")
    assert len(hosts) == 2
    assert all(PUBLIC_HOST.match(host) for host in hosts), hosts


@pytest.mark.parametrize("export", EXPORTS)
def test_export_names_no_index(export: str) -> None:
    assert read_hosts(f"requirements/{export}.txt") == set()


@pytest.mark.parametrize("export", EXPORTS)
def test_every_exported_package_is_pinned_and_hashed(export: str) -> None:
    text = (CHECKOUT / f"requirements/{export}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(packages) > 20
    for package in packages:
        assert re.match(r"[a-z0-9.\-\[\],]+==[^ ]+", package), package
        assert "--hash=sha256:" in package, package


def test_the_node_packages_are_pinned_and_hashed_and_come_from_nowhere_in_particular() -> None:
    lock = json.loads((CHECKOUT / "tests/relying_parties/package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 20
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
    wanted = json.loads((CHECKOUT / "tests/relying_parties/package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert wanted == {name: packages[f"node_modules/{name}"]["version"] for name in wanted}


def test_exports_and_lock_are_up_to_date() -> None:
    done = subprocess.run([CHECKOUT / "scripts/lock", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
