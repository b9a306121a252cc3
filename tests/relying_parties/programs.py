"""Decides how each relying party that we did not write is registered and started, and how its version is read."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as read_python_version
from pathlib import Path
from pwd import getpwnam
from typing import Any

from tests.support.discipline import APACHE_MODULE_FOLDERS, find_program

HERE = Path(__file__).resolve().parent
NAMES = {
    "apache": "Apache httpd with mod_auth_openidc",
    "openid_client": "npm openid-client",
    "passport_openidconnect": "npm passport-openidconnect",
    "mozilla_django_oidc": "PyPI mozilla-django-oidc",
    "idpyoidc": "PyPI idpyoidc",
}


@dataclass(frozen=True)
class Start:
    """What a program needs: a folder of its own that its user may write to, and its environment."""

    folder: Path
    environ: Mapping[str, str]

    def spawn(self, command: list[str], *, within: Path, **further: Any) -> "subprocess.Popen[bytes]":
        """Start a command; what it says goes to ``output.log``. Nothing of this process's environment but PATH reaches it."""
        with (self.folder / "output.log").open("ab") as log:
            return subprocess.Popen(command, cwd=within, env=dict(self.environ), stdout=log, stderr=log, **further)


@dataclass(frozen=True)
class Program:
    """One relying party. ``callback`` is the path of its redirect address, ``entrance`` leads into the sign-in, ``silent``
    asks with ``prompt=none`` (empty: it cannot), and then shows ``refusal`` when nobody is signed in. ``declined`` is what it
    shows when the person declines."""

    name: str
    callback: str
    entrance: str
    silent: str
    start: Callable[[Start], "subprocess.Popen[bytes]"]
    read_version: Callable[[], str]
    refusal: str = "login_required"
    declined: str = "access_denied"
    backchannel: str = ""
    """Where its server is told of sign-outs, empty: nowhere."""
    registered: tuple[str, ...] = ()
    """What the operator types besides the name, the addresses and the claims."""


def start_node(name: str) -> Callable[[Start], "subprocess.Popen[bytes]"]:
    """Return how a program for Node is started."""

    def start(given: Start) -> "subprocess.Popen[bytes]":
        return given.spawn([find_program("node") or "node", "app.mjs"], within=HERE / name)

    return start


def start_apache(given: Start) -> "subprocess.Popen[bytes]":
    """Start httpd in the foreground; as root, under the user ``nobody``, who may not see the checkout: it gets a copy."""
    shutil.copytree(HERE / "apache", given.folder, dirs_exist_ok=True)
    modules = next(folder for folder in APACHE_MODULE_FOLDERS if (Path(folder) / "mod_auth_openidc.so").exists())
    environ = {**given.environ, "FOLDER": str(given.folder), "MODULES": modules, "PASSPHRASE": "synthetic-passphrase"}
    command = [find_program("apache") or "apache2", "-f", str(given.folder / "httpd.conf"), "-DFOREGROUND"]
    if os.geteuid() != 0:
        return Start(given.folder, environ).spawn(command, within=given.folder)
    nobody = getpwnam("nobody")
    for path in [given.folder, *given.folder.rglob("*")]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return Start(given.folder, environ).spawn(command, within=given.folder, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])


def start_django(given: Start) -> "subprocess.Popen[bytes]":
    """Make the site's database, then serve it."""
    environ = {**given.environ, "DJANGO_SECRET_KEY": "synthetic-" * 5, "DATABASE": str(given.folder / "site.sqlite3")}
    within = HERE / "mozilla_django_oidc"
    command = [sys.executable, "-B", "manage.py"]
    subprocess.run([*command, "migrate", "--verbosity", "0"], cwd=within, env=environ, check=True, timeout=60)
    serve = [*command, "runserver", "--noreload", f"127.0.0.1:{environ['PORT']}"]
    return Start(given.folder, environ).spawn(serve, within=within)


def start_idpyoidc(given: Start) -> "subprocess.Popen[bytes]":
    """Start the site; the library writes into the working folder."""
    return given.spawn([sys.executable, "-B", str(HERE / "idpyoidc" / "app.py")], within=given.folder)


def read_node_version(package: str) -> Callable[[], str]:
    """Return how the version of an installed package is read."""

    def read() -> str:
        installed = json.loads((HERE / "node_modules" / package / "package.json").read_text(encoding="utf-8"))
        return f"{package} {installed['version']}"

    return read


def read_apache_version() -> str:
    """Return httpd's own version and what the module says of itself in its file."""
    said = subprocess.run([find_program("apache") or "apache2", "-v"], capture_output=True, text=True, timeout=20, check=True).stdout
    modules = next(folder for folder in APACHE_MODULE_FOLDERS if (Path(folder) / "mod_auth_openidc.so").exists())
    found = re.search(rb"mod_auth_openidc-(\d+\.\d+[.\d]*)", (Path(modules) / "mod_auth_openidc.so").read_bytes())
    httpd = re.search(r"Apache/([\d.]+)", said)
    return f"httpd {httpd[1] if httpd else '?'}, mod_auth_openidc {found[1].decode() if found else '?'}"


def read_python_versions(*packages: str) -> Callable[[], str]:
    """Return how the versions of installed distributions are read."""
    return lambda: ", ".join(f"{package} {read_python_version(package)}" for package in packages)


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "apache",
            "/app/callback",
            "/app/",
            "/app/silent/",
            start_apache,
            read_apache_version,
            "Invalid Request",
            "Invalid Request",
            backchannel="/app/callback?logout=backchannel",
        ),
        Program("openid_client", "/callback", "/sign-in", "/silent", start_node("openid_client"), read_node_version("openid-client")),
        Program(
            "passport_openidconnect",
            "/callback",
            "/sign-in",
            "/silent",
            start_node("passport_openidconnect"),
            read_node_version("passport-openidconnect"),
            declined="没有登录",
            registered=("--legacy-no-pkce", "--auth-method", "client_secret_post"),
        ),
        Program(
            "mozilla_django_oidc",
            "/oidc/callback/",
            "/oidc/authenticate/",
            "",
            start_django,
            read_python_versions("mozilla-django-oidc", "Django"),
            declined="没有登录",
            registered=("--scope", "email", "--entitlement", "联系:consent:email,email_verified:Contact"),
        ),
        Program(
            "idpyoidc",
            "/callback",
            "/sign-in",
            "/silent",
            start_idpyoidc,
            read_python_versions("idpyoidc"),
            registered=("--id-token-alg", "RS256"),
        ),
    )
}


def make_folder(name: str) -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for one program, which another user may enter."""
    folder = tempfile.TemporaryDirectory(prefix=f"rp-{name}-")
    Path(folder.name).chmod(0o755)
    return folder
