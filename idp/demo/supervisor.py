"""Decides how the demo starts and ends: each part after the one it stands on, all of them stopped when one dies or somebody says so."""

import asyncio
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import idp
from idp.composition import StartRefused
from idp.demo.conformance import DOOR_PLACE, ConformanceTarget, SuiteAddress, add_settings
from idp.demo.seed import APP, APP_PLACE, APP_TITLE, DEPARTMENTS, SampleDepartment, SecretLost, find_websites_host, seed
from idp.demo.site import describe_account
from idp.kernel.checks import CheckKind
from idp.kernel.clock import read_system_random
from idp.kernel.ids import make_outward_id
from idp.platform.child_processes import find_free_port, follow_parent, write_private
from idp.platform.embedded_postgres import EmbeddedPostgres
from idp.platform.embedded_programs import EmbeddedPostgresFailed
from idp.platform.migrations import MigrationFailed, migrate
from idp.settings import load_settings
from idp.sources.simulated_register import AUTHORITIES

PATIENCE = 60.0
"""Seconds that a part may take until it answers."""

LAST_LINES = 12
STOP_PATIENCE = 15.0

SETTINGS = """# Written anew at every start of the demo.
environment = "demo"
cookie_suffix = "{port}"

[server]
issuer = "{issuer}"
port = {port}

[database]
dsn = "{dsn}"
owner_dsn = "{owner_dsn}"

[keys]
key_encryption_key_file = "{folder}/key-encryption-key"

[audit]
checkpoint_file = "{folder}/audit-checkpoints.jsonl"

# Whoever tries the demo signs in and registers often, all from one address, and nobody pays for it; the lock after five resends stays.
[sign_in]
failures_per_network = 20000
flows_per_network_and_minute = 60000
sms_gap_seconds = 0
sms_per_phone_and_hour = 2000
sms_per_phone_and_day = 20000
sms_per_address_and_hour = 2000
sms_per_network_and_hour = 2000
sms_per_device_and_day = 20000
sms_per_minute = 20000

[registration]
checks_per_person_and_day = 2000
checks_per_unproven_phone = 2000
checks_per_device_and_day = 20000
checks_per_address_and_hour = 60000
checks_per_network_and_hour = 60000
checks_per_minute = 20000
starts_per_address_and_hour = 60000
starts_per_device_and_day = 20000

# The sample departments are on this machine, and are told of sign-outs there.
[fetching]
loopback = true

[sms]
gateway = "aliyun"
endpoint = "http://127.0.0.1:{sms_port}"
access_key_id = "demo"
access_key_secret_file = "{folder}/sms-secret"
sign_name = "一证通"

{authorities}
[log]
level = "warning"
"""

AUTHORITY = """[sources.authorities.{name}]
kinds = [{kinds}]
endpoint = "{address}/{name}"
app_key = "demo"
secret_file = "{folder}/authorities-secret"
{page}
"""


class DemoFailed(Exception):
    """The demo cannot start or had to stop; the text is for the person at the terminal."""


class _Stopped(Exception):
    """Somebody asked the demo to stop."""


class Demo:
    """One demo in one folder. ``announce`` prints a line. ``host``: browsers make passkeys for a name, not for an address.

    ``target``: it is for a conformance run, with https and without the departments' websites.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        announce: Callable[[str], None],
        host: str = "127.0.0.1",
        target: ConformanceTarget | None = None,
    ) -> None:
        self._folder = folder
        self._issuer = target.issuer if target else f"http://{host}:{port}"
        self._port = port
        self._target = target
        self._websites = () if target else _list_websites()
        self._websites_host = find_websites_host(self._issuer)
        self._announce = announce
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._postgres: EmbeddedPostgres | None = None
        self._lock: int | None = None
        # The demo has its own settings: what the caller's shell says about another installation must not reach its parts.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
        self._environ = {**inherited, "IDP_SETTINGS": str(folder / "idp.toml"), "PYTHONUNBUFFERED": "1"}

    def start(self, *, reset: bool, with_app: bool) -> None:
        """Start every part in order. Raises DemoFailed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        places = [
            0,
            *(d.place for d in self._websites),
            *([APP_PLACE] if with_app else []),
            *([DOOR_PLACE] if self._target and self._target.door else []),
        ]
        for place in places:
            _check_port(self._port + place)
        postgres = EmbeddedPostgres(self._folder / "postgres")
        if reset:
            self._forget(postgres)
            postgres = EmbeddedPostgres(self._folder / "postgres")
        self._postgres = postgres
        postgres.start()
        if postgres.area != postgres.folder:
            self._announce(f"data: {postgres.area}")
        if self._target:
            self._target.prepare()
        sms_port, authorities_port = find_free_port(), find_free_port()
        self._write_settings(postgres, sms_port, authorities_port)
        settings = load_settings(self._folder / "idp.toml", {})
        asyncio.run(migrate(settings.database.owner_dsn, settings.environment))
        python = [sys.executable, "-m"]
        # Before the people: what is known of them was asked there.
        authorities = [*python, "idp.demo.processes", "authorities", "--port", str(authorities_port)]
        self._launch("authorities", authorities, f"http://127.0.0.1:{authorities_port}/faults")
        asyncio.run(seed(settings, self._folder / "secrets"))
        if self._target:
            asyncio.run(self._target.seed(settings))
        self._launch("sms", [*python, "idp.demo.processes", "simulator", "--port", str(sms_port)], f"http://127.0.0.1:{sms_port}/messages")
        self._launch_provider([*python, "idp.demo.processes", "serve"])
        self._launch("worker", [*python, "idp", "worker"], None)
        for department in self._websites:
            self._launch_website(department)
        if with_app:
            self._launch_app()

    @property
    def issuer(self) -> str:
        """The provider's address."""
        return self._issuer

    def announce_websites(self, *, with_app: bool) -> None:
        """Say where the departments and the app are; for a conformance run, what it needs instead."""
        for department in self._websites:
            self._announce(f"department: http://{self._websites_host}:{self._port + department.place}")
        if self._target:
            self._target.announce(self._announce)
        if with_app:
            self._announce(f"app: http://{self._websites_host}:{self._port + APP_PLACE}")

    def watch(self) -> None:
        """Return never: raises _Stopped when somebody says so, DemoFailed when a part dies."""
        while True:
            for name, child in self._children:
                if child.poll() is not None:
                    raise DemoFailed(self._describe_death(name, child))
            if self._postgres is not None and not self._postgres.is_running:
                raise DemoFailed("PostgreSQL ended unexpectedly; everything was stopped.")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop every part, the last one first."""
        for _, child in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(STOP_PATIENCE)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self._children.clear()
        if self._target:
            self._target.clean_up()
        if self._postgres is not None:
            self._postgres.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise DemoFailed(f"A demo is already running on the data in {self._folder}; stop it first.") from None
        self._lock = lock

    def _forget(self, postgres: EmbeddedPostgres) -> None:
        postgres.erase()
        for path in self._folder.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _write_settings(self, postgres: EmbeddedPostgres, sms_port: int, authorities_port: int) -> None:
        for secret in (self._folder / "sms-secret", self._folder / "authorities-secret"):
            if not secret.exists():
                write_private(secret, make_outward_id(read_system_random, 32) + "\n")
        text = SETTINGS.format(
            port=self._port,
            issuer=self._issuer,
            dsn=postgres.service_dsn(socket=True),
            owner_dsn=postgres.owner_dsn(),
            folder=self._folder,
            sms_port=sms_port,
            authorities=_write_authorities(self._folder, f"http://127.0.0.1:{authorities_port}"),
        )
        write_private(self._folder / "idp.toml", add_settings(text, self._target.write_settings()) if self._target else text)

    def _launch_provider(self, command: list[str]) -> None:
        if self._target is None:
            self._launch("serve", command, f"http://127.0.0.1:{self._port}/readyz")
        else:
            command += self._target.list_serve_options()
            self._launch("serve", command, f"{self._target.near_address}/readyz", self._target.make_context())
            if self._target.door:
                self._launch("nginx", self._target.list_door_command(), None)

    def _launch_website(self, department: SampleDepartment) -> None:
        port = self._port + department.place
        command = [sys.executable, "-m", "examples.department"]
        command += ["--issuer", self._issuer, "--client-id", department.client_id]
        command += ["--client-secret-file", str(self._folder / "secrets" / f"{department.client_id}.secret")]
        command += ["--host", self._websites_host, "--port", str(port), "--title", department.title, "--subtitle", department.title_en]
        command += ["--scope", " ".join(("openid", *department.scopes)), "--theme", "pine" if department.place == 1 else "brick"]
        self._launch(department.client_id, command, f"http://127.0.0.1:{port}/")

    def _launch_app(self) -> None:
        port = self._port + APP_PLACE
        command = [sys.executable, "-m", "examples.app_entry", "--issuer", self._issuer, "--client-id", APP]
        command += ["--client-secret-file", str(self._folder / "secrets" / f"{APP}.secret"), "--title", APP_TITLE]
        command += ["--host", self._websites_host, "--port", str(port)]
        for department in _list_websites():
            command += ["--target", f"{department.client_id}={department.title}"]
        self._launch(APP, command, f"http://127.0.0.1:{port}/")

    def _launch(self, name: str, command: list[str], health: str | None, trusting: ssl.SSLContext | None = None) -> None:
        """Start a child that dies with us (the signal follows this, the main thread) and wait until it answers."""
        log = self._folder / "logs" / f"{name}.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                cwd=_find_checkout(),
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=follow_parent(os.getpid(), signal.SIGTERM),
            )
        self._children.append((name, child))
        if health is not None:
            self._wait_for(name, child, health, trusting)

    def _wait_for(self, name: str, child: subprocess.Popen[bytes], address: str, trusting: ssl.SSLContext | None) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if child.poll() is not None:
                raise DemoFailed(self._describe_death(name, child))
            try:
                with urllib.request.urlopen(address, timeout=2, context=trusting):  # noqa: S310 - an address of our own
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise DemoFailed(f"The part {name} did not answer within {PATIENCE:.0f} seconds.")

    def _describe_death(self, name: str, child: subprocess.Popen[bytes]) -> str:
        log = self._folder / "logs" / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:] if log.exists() else []
        what = f"The part {name} ended unexpectedly ({child.returncode}); everything was stopped."
        return "\n".join([f"{what} Its last lines:", *lines]) if lines else f"{what} It wrote nothing."


def _write_authorities(folder: Path, address: str) -> str:
    tables = []
    for name, kinds in AUTHORITIES.items():
        page = f'page = "{address}/face"' if CheckKind.REAL_PERSON in kinds else ""
        written = ", ".join(f'"{kind}"' for kind in sorted(kinds))
        tables.append(AUTHORITY.format(name=name, kinds=written, address=address, folder=folder, page=page))
    return "\n".join(tables)


def run_demo(
    *,
    port: int,
    host: str = "127.0.0.1",
    reset: bool,
    with_app: bool = False,
    data: Path | None,
    announce: Callable[[str], None],
    suite: SuiteAddress | None = None,
    listen: str = "127.0.0.1",
) -> None:
    """Run the demo until SIGINT or SIGTERM. Raises DemoFailed in one sentence, with a part's last lines when one died.

    ``suite``: run it for that conformance suite, listening on the address ``listen``.
    """
    if importlib.util.find_spec("examples.department") is None and not (_find_checkout() / "examples" / "department").is_dir():
        raise DemoFailed("The demo runs from a checkout: the sample departments are not part of the installed package.")
    folder = (data or _find_checkout() / "var" / ("conformance" if suite else "demo")).resolve()
    target = ConformanceTarget(folder / "conformance", host, listen, port, suite) if suite else None
    demo = Demo(folder, port, announce, host, target)
    before = [(number, signal.signal(number, _raise_stopped)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        demo.start(reset=reset, with_app=with_app)
        demo.announce_websites(with_app=with_app)
        announce(f"account: {describe_account()}")
        announce(f"ready: {demo.issuer}")
        demo.watch()
    except _Stopped:
        pass
    except (EmbeddedPostgresFailed, MigrationFailed, StartRefused, SecretLost) as error:
        raise DemoFailed(str(error)) from error
    except OSError as error:
        raise DemoFailed(f"{error.filename or 'A file'} cannot be used: {error.strerror}.") from error
    finally:
        for number, _ in before:
            signal.signal(number, signal.SIG_IGN)
        demo.stop()
        for number, handler in before:
            signal.signal(number, handler)


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _list_websites() -> tuple[SampleDepartment, ...]:
    """Return the departments that have a website: the first of each place."""
    return tuple(d for at, d in enumerate(DEPARTMENTS) if d.place not in {e.place for e in DEPARTMENTS[:at]})


def _find_checkout() -> Path:
    return Path(idp.__file__).resolve().parent.parent


def _check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise DemoFailed(f"The port {port} is in use; stop what uses it or choose another one with --port.") from None
