"""Decides how PostgreSQL runs without an installation: the binaries of a wheel, one owner per data folder, never as root."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import asyncpg

from idp.kernel.clock import Random, read_system_random
from idp.kernel.ids import encode_base64url
from idp.platform.child_processes import find_free_port, follow_parent, write_private
from idp.platform.embedded_programs import ENVIRONMENT, MAJOR, EmbeddedPostgresFailed, find_account

OWNER = "idp"
SERVICE = "idp_service"
SERVICE_GROUP = "idp_app"
START_SECONDS = 120.0
"""Crash recovery of a large data folder takes its time."""

LEAVING_SECONDS = 15.0
"""How long the server of a supervisor that was killed may take to leave the folder."""

RELOCATED = Path("/var/lib/yizheng-demo")

SERVER_SETTINGS = {"log_timezone": "UTC", "timezone": "UTC", "log_error_verbosity": "terse", "log_parameter_max_length_on_error": "0"}
"""Terse logs: the DETAIL of a violated constraint would repeat the row's values."""

NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class DataFolderBusy(EmbeddedPostgresFailed):
    """Another process uses the data folder."""


class EmbeddedPostgres:
    """One cluster in one folder.

    ``start()`` belongs in the **main thread**: the kernel's parent-death signal, which stops the server when its supervisor is killed,
    follows the thread that started it (prctl(2), PR_SET_PDEATHSIG), not the process. ``durable=False`` is for tests only.

    As root the server runs as ``nobody``. Where that user cannot enter the folder (a home of mode 0700) the cluster lives in
    ``/var/lib/yizheng-demo/<hash>`` and ``area`` tells so; binaries that it cannot enter are copied beside the data.
    """

    def __init__(
        self, folder: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None, random: Random = read_system_random
    ) -> None:
        self.folder = folder.resolve()
        self._durable = durable
        self._settings = {**SERVER_SETTINGS, **({} if durable else NOT_DURABLE), **(settings or {})}
        self._random = random
        self._account = find_account()
        self._process: subprocess.Popen[bytes] | None = None
        self._locks: list[int] = []
        self._socket_folder: Path | None = None
        self._port = 0
        self._passwords: dict[str, str] = {}
        self.area = self._choose_area()

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self._running().pid

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._port

    @property
    def is_running(self) -> bool:
        """Whether the postmaster that was started is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        """Where the server writes its messages."""
        return self.area / "server.log"

    def owner_dsn(self, database: str = "idp", *, socket: bool = False) -> str:
        """The DSN of the role that owns the schema and migrates it."""
        return self._make_dsn(OWNER, database, socket)

    def service_dsn(self, database: str = "idp", *, socket: bool = False) -> str:
        """The DSN of the role that serves; it is a member of ``idp_app`` and owns nothing.

        ``socket=True`` goes by the local socket: a fifth less work for both sides than TCP. Only this user (and root) can enter it.
        """
        return self._make_dsn(SERVICE, database, socket)

    def _make_dsn(self, role: str, database: str, socket: bool) -> str:
        self._running()
        login = f"postgresql://{role}:{self._passwords[role]}"
        if socket:
            return f"{login}@/{database}?host={quote(str(self._socket_folder), safe='')}&port={self._port}"
        return f"{login}@127.0.0.1:{self._port}/{database}"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedPostgresFailed("The embedded PostgreSQL was not started.")
        return self._process

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of ``template`` when given (nobody may be connected to that one)."""
        quoted = '"' + name.replace('"', '""') + '"'
        source = "" if template is None else ' TEMPLATE "' + template.replace('"', '""') + '" STRATEGY FILE_COPY'
        connection = await asyncpg.connect(self.owner_dsn("postgres"), timeout=10)
        try:
            await connection.execute("CREATE DATABASE " + quoted + source)
        finally:
            await connection.close()

    async def drop_database(self, name: str) -> None:
        """Drop a database and end whatever is connected to it."""
        connection = await asyncpg.connect(self.owner_dsn("postgres"), timeout=10)
        try:
            await connection.execute('DROP DATABASE IF EXISTS "' + name.replace('"', '""') + '" WITH (FORCE)')
        finally:
            await connection.close()

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, making the cluster first when there is none; returns when it accepts connections.

        Raises DataFolderBusy when another process has the folder, EmbeddedPostgresFailed with the server's last lines otherwise.
        """
        if self.is_running:
            return
        self.area = self._choose_area()
        self._take_locks()
        try:
            binaries = self._account.find_programs(self.area)
            self._read_passwords()
            if not (self.area / "data" / "PG_VERSION").exists():
                self._make_cluster(binaries)
            version = (self.area / "data" / "PG_VERSION").read_text().strip()
            if version != MAJOR:
                raise EmbeddedPostgresFailed(f"The data in {self.area} is of PostgreSQL {version}; this release runs {MAJOR}.")
            # Both locks are ours, so no server lives here and the file of a killed one is only in the way.
            (self.area / "data" / "postmaster.pid").unlink(missing_ok=True)
            self._launch(binaries)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server (fast shutdown: open transactions roll back) and give the folder free; harmless when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            for number, seconds in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                if process.poll() is not None:
                    break
                process.send_signal(number)
                try:
                    process.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def erase(self) -> None:
        """Remove the cluster with all its data. Raises DataFolderBusy when any process uses it."""
        if self.is_running:
            raise DataFolderBusy(f"The embedded PostgreSQL in {self.area} is running; stop it first.")
        if not self.area.exists():
            return
        self._take_locks()
        try:
            shutil.rmtree(self.area, ignore_errors=True)
            (self.folder / "relocated").unlink(missing_ok=True)
        finally:
            self.stop()

    # Where it lives ---------------------------------------------------------------------------------------------------

    def _choose_area(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        marker = self.folder / "relocated"
        if not marker.exists() and self._account.can_enter(self.folder):
            return self.folder
        # The marker makes the place the folder's own: a new checkout at an old path never meets the old one's data.
        if not marker.exists():
            write_private(marker, encode_base64url(self._random(16)))
        area = RELOCATED / sha256(f"{self.folder}\0{marker.read_text()}".encode()).hexdigest()[:24]
        area.mkdir(parents=True, exist_ok=True)
        RELOCATED.chmod(0o711)
        area.chmod(0o711)
        return area

    def _take_locks(self) -> None:
        """Take the supervisor's lock at once, and the server's when the last server has left the folder.

        The server and every one of its backends inherits the second: while one of them lives, whoever started it, nobody else starts.
        """
        deadline = time.monotonic() + LEAVING_SECONDS
        for name, patience in (("supervisor.lock", 0.0), ("server.lock", deadline)):
            lock = os.open(self.area / name, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._locks.append(lock)
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() < patience:
                        time.sleep(0.05)
                        continue
                    for held in self._locks:
                        os.close(held)
                    self._locks.clear()
                    raise DataFolderBusy(f"The data folder {self.area} is in use by another process; stop that one first.") from None

    # How it is made -----------------------------------------------------------------------------------------------------

    def _read_passwords(self) -> None:
        path = self.area / "passwords.json"
        if not path.exists():
            if (self.area / "data").exists():
                raise EmbeddedPostgresFailed(
                    f"The passwords of the cluster in {self.area} are missing: restore passwords.json or erase it."
                )
            made = {role: encode_base64url(self._random(24)) for role in (OWNER, SERVICE)}
            write_private(path, json.dumps(made))
        self._passwords = json.loads(path.read_text())

    def _make_cluster(self, binaries: Path) -> None:
        """Make the cluster beside its place and move it there when it is whole."""
        fresh = self.area / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password_file = self.area / "password.new"
        write_private(password_file, self._passwords[OWNER])
        self._account.give(fresh)
        self._account.give(password_file)
        try:
            arguments = ["-D", str(fresh), "-U", OWNER, "-E", "UTF8", "-A", "scram-sha-256", f"--pwfile={password_file}"]
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            self._account.run([str(binaries / "initdb"), *arguments, *([] if self._durable else ["--no-sync"])], None)
        finally:
            password_file.unlink(missing_ok=True)
        # The single-user server needs no connection, so the roles exist before anyone can connect. One command a line.
        commands = (
            f"CREATE ROLE {SERVICE_GROUP} NOLOGIN\n"
            f"CREATE ROLE {SERVICE} LOGIN IN ROLE {SERVICE_GROUP} PASSWORD '{self._passwords[SERVICE]}'\n"
            f"CREATE DATABASE {OWNER}\n"
        )
        self._account.run([str(binaries / "postgres"), "--single", "-D", str(fresh), "-F", "postgres"], commands)
        if self._durable:
            os.sync()
        fresh.rename(self.area / "data")

    # How it is started --------------------------------------------------------------------------------------------------

    def _launch(self, binaries: Path) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > 1_000_000:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        for attempt in range(5):
            # A server that was killed comes back at its address, where those who lost it look for it.
            self._port = self._port if self._port and attempt == 0 else find_free_port()
            self._socket_folder = self._make_socket_folder()
            command = [str(binaries / "postgres"), "-D", str(self.area / "data"), "-h", "127.0.0.1", "-p", str(self._port)]
            command += ["-k", str(self._socket_folder)]
            for name, value in self._settings.items():
                command += ["-c", f"{name}={value}"]
            with self.log_file.open("ab") as log:
                written = log.tell()
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,
                    pass_fds=(self._locks[1],),
                    preexec_fn=follow_parent(os.getpid(), signal.SIGINT),
                    user=self._account.uid,
                    group=self._account.gid,
                    extra_groups=self._account.groups,
                )
            if self._wait_until_ready():
                return
            lines = self.log_file.read_bytes()[written:].decode("utf-8", "replace")
            if "could not create any TCP/IP sockets" in lines and attempt < 4:
                continue  # another program took the port between our look and the server's
            raise EmbeddedPostgresFailed(f"PostgreSQL did not start in {self.area}: {lines[-800:]}")

    def _make_socket_folder(self) -> Path:
        """A path of the data folder could be longer than the 107 bytes that a socket's address holds."""
        if self._socket_folder is not None:
            return self._socket_folder
        note = self.area / "socket_folder"
        if note.exists() and Path(note.read_text()).name.startswith("idp-pg-"):
            shutil.rmtree(note.read_text(), ignore_errors=True)  # a killed supervisor could not
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it private
            folder = Path(tempfile.mkdtemp(prefix="idp-pg-", dir=parent))
            self._account.give(folder)
            if len(str(folder)) < 80 and self._account.can_enter(folder):
                write_private(note, str(folder))
                return folder
            folder.rmdir()
        raise EmbeddedPostgresFailed("There is no temporary folder that the PostgreSQL server can enter.")

    def _wait_until_ready(self) -> bool:
        process = self._running()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            try:
                lines = (self.area / "data" / "postmaster.pid").read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) >= 8 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        return False
