"""The provider as an operator runs it: real processes of ``idp serve`` and ``idp worker`` on a durable PostgreSQL, reached over HTTP.

Used by scripts/shows, so it needs nothing but what the demo installs. People, phones and the SMS gateway are synthetic.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import httpx2
import uvicorn
from starlette.requests import ClientDisconnect

from idp.app import Services, build_services
from idp.composition import open_platform
from idp.http.cookies import CookieNames
from idp.kernel.clock import read_system_clock, read_system_random
from idp.people.rules.documents import find_check_character
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import parse_id_number, parse_phone
from idp.people.services.directory import NewPerson
from idp.platform.child_processes import find_free_port
from idp.platform.embedded_postgres import EmbeddedPostgres
from idp.platform.migrations import migrate
from idp.protocol.rules.client import Client
from idp.settings import load_settings
from sms import create_simulator
from tests.support.authorities import serve_authorities

ROOT = Path(__file__).resolve().parents[2]
REDIRECT_URI = "https://department.example/callback"
PASSWORD = "synthetic-Show-2026"
GATEWAY_KEY, GATEWAY_SECRET, SIGN_NAME = "show", "show-secret", "一证通"
READY_SECONDS = 90.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Citizen:
    """A synthetic person with document, phone, e-mail address and ``PASSWORD``."""

    person_id: Any
    name: str
    document: str
    phone: str
    email: str


@dataclass
class Department:
    """A registered client and its secret."""

    client_id: str
    secret: str


class SmsGateway:
    """The simulator of the SMS gateway in a thread of this process; it remembers the idempotency key of every call."""

    def __init__(self) -> None:
        self.port = find_free_port()
        self.calls: list[tuple[str, str]] = []
        """(idempotency key, phone) of every call, answered or not."""
        self.hold = 0.0
        """Seconds that an answer is held back."""
        self._app = create_simulator(keys={GATEWAY_KEY: GATEWAY_SECRET}, sign_name=SIGN_NAME, clock=lambda: datetime.now(UTC))
        config = uvicorn.Config(
            self._note, host="127.0.0.1", port=self.port, log_level="error", lifespan="off", ws="none", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    async def _note(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            query = parse_qs(scope["query_string"].decode())
            self.calls.append((query["OutId"][0], query["PhoneNumbers"][0]))
            if self.hold:
                await asyncio.sleep(self.hold)
        with contextlib.suppress(ClientDisconnect):  # a caller that was killed
            await self._app(scope, receive, send)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        wait_for(lambda: self._server.started, "the SMS gateway")

    def stop(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(10)

    async def read_messages(self, phone: str) -> list[dict[str, str]]:
        """Return the messages that a number got, newest first."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/messages", params={"phone": phone})
            messages: list[dict[str, str]] = answer.json()
            return messages


@dataclass
class RealProvider:
    """PostgreSQL, ``idp serve``, ``idp worker`` and the gateway, all on free ports of 127.0.0.1 and in one temporary folder."""

    folder: Path
    further: dict[str, str] = field(default_factory=dict)
    port: int = 0
    serving: "subprocess.Popen[bytes] | None" = None
    working: "subprocess.Popen[bytes] | None" = None
    departments: dict[str, Department] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.port = find_free_port()
        self.postgres = EmbeddedPostgres(self.folder / "postgres")
        self.gateway = SmsGateway()
        self._open = contextlib.ExitStack()
        self._named: dict[str, str] = {}

    @property
    def issuer(self) -> str:
        """The issuer's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The settings of every process, as its environment."""
        return {
            "IDP_ENVIRONMENT": "sandbox",
            "IDP_SERVER__ISSUER": self.issuer,
            "IDP_SERVER__PORT": str(self.port),
            "IDP_SERVER__TRUSTED_PROXY_HOPS": "1",  # so that every browser has an address of its own
            "IDP_DATABASE__DSN": self.postgres.service_dsn(),
            "IDP_DATABASE__OWNER_DSN": self.postgres.owner_dsn(),
            "IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(self.folder / "kek"),
            "IDP_AUDIT__CHECKPOINT_FILE": str(self.folder / "checkpoints.jsonl"),
            "IDP_AUDIT__CHECKPOINT_SECONDS": "2",
            "IDP_COOKIE_SUFFIX": "show",
            "IDP_SMS__GATEWAY": "aliyun",
            "IDP_SMS__ENDPOINT": f"http://127.0.0.1:{self.gateway.port}",
            "IDP_SMS__ACCESS_KEY_ID": GATEWAY_KEY,
            "IDP_SMS__ACCESS_KEY_SECRET_FILE": str(self.folder / "gateway-secret"),
            "IDP_SMS__SIGN_NAME": SIGN_NAME,
            **self._named,
            **self.further,
        }

    @property
    def cookie_names(self) -> CookieNames:
        """The names of its cookies."""
        return CookieNames(self.issuer, "show")

    async def prepare(self) -> None:
        """Start PostgreSQL, the gateway and the authorities, and migrate.

        Call it from the main thread: the server follows the thread that started it. ``authorities`` run in a thread of this process.
        """
        (self.folder / "gateway-secret").write_text(GATEWAY_SECRET)
        self.postgres.start()
        self.gateway.start()
        self.authorities = self._open.enter_context(serve_authorities(read_system_clock))
        self._named = self.authorities.write_settings(self.folder)
        await migrate(self.postgres.owner_dsn(), "sandbox")

    async def seed(self, work: Callable[[Services], Awaitable[Any]]) -> Any:
        """Do something with the services in this process, on the same database and keys."""
        platform = await open_platform(load_settings(None, self.environ), read_system_clock, read_system_random)
        try:
            return await work(build_services(platform))
        finally:
            await platform.close()

    async def add_department(self, client_id: str, **changes: Any) -> Department:
        """Register a department."""
        given: dict[str, Any] = {
            "client_id": client_id,
            "name": f"部门{client_id}（样例）",
            "sector": client_id,
            "redirect_uris": (REDIRECT_URI,),
            "grant_types": frozenset({"authorization_code", "refresh_token", "client_credentials"}),
            "scopes": ("profile", "phone", "real_name", "identity"),
            "status": "live",
            **changes,
        }

        async def add(services: Services) -> str:
            async with services.platform.database.transaction() as tx:
                return await services.clients.add(tx, Client(**given), actor="show") or ""

        made = self.departments[client_id] = Department(client_id, await self.seed(add))
        return made

    async def add_citizens(self, names: list[str], password: str = PASSWORD) -> list[Citizen]:
        """Add synthetic people, ready to sign in with password and code."""

        async def add(services: Services) -> list[Citizen]:
            verifier = await services.passwords.hash(password)
            now = read_system_clock()
            made = []
            for name in names:
                self.made += 1
                seventeen = f"350102{1960 + self.made % 40}0{1 + self.made % 9}1{self.made % 9}{self.made:03d}"
                document = parse_id_number(seventeen + find_check_character(seventeen), now.date())
                phone = parse_phone(f"1390{self.made:07d}")
                assert document is not None
                assert phone is not None
                email = EmailAddress(f"synthetic-{self.made}@example.com")
                person = NewPerson(name, document, phone, 3, verifier, now - timedelta(days=1), email=email)
                made.append(Citizen(await services.people.add_person(person), name, document.value, phone.value, email.value))
            return made

        citizens: list[Citizen] = await self.seed(add)
        return citizens

    def serve(self) -> None:
        """Start ``idp serve`` and wait until it is ready."""
        self.serving = self._spawn("serve")
        wait_for(lambda: self._is_ready(self.serving), "idp serve")

    def work(self) -> None:
        """Start ``idp worker``."""
        self.working = self._spawn("worker")

    def run(self, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command of ``idp`` to its end."""
        command = [sys.executable, "-m", "idp", *arguments]
        settings = {**os.environ, **self.environ, **(environ or {})}
        return subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def read_log(self, command: str) -> str:
        """Return what a process logged so far."""
        path = self.folder / f"{command}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def kill_serve(self) -> None:
        """``kill -9`` of idp serve."""
        assert self.serving is not None
        self.serving.send_signal(signal.SIGKILL)
        self.serving.wait(STOP_SECONDS)

    def kill_worker(self) -> None:
        """``kill -9`` of idp worker."""
        assert self.working is not None
        self.working.send_signal(signal.SIGKILL)
        self.working.wait(STOP_SECONDS)

    def kill_postgres(self) -> None:
        """``kill -9`` of the postmaster, then start it again at the same address (which waits for its backends to leave)."""
        os.kill(self.postgres.pid, signal.SIGKILL)
        self.postgres.stop()
        self.postgres.start()

    async def fetch(self, statement: str, *arguments: object) -> list[Any]:
        """Run one statement as the database's owner."""
        connection = await asyncpg.connect(self.postgres.owner_dsn(), timeout=10)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    def stop_processes(self) -> None:
        """Stop serve and worker in order."""
        for process in (self.serving, self.working):
            if process is not None and process.poll() is None:
                process.terminate()
        for process in (self.serving, self.working):
            if process is not None:
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(STOP_SECONDS)
        self.serving = self.working = None

    def stop(self) -> None:
        """Stop everything and erase the cluster."""
        self.stop_processes()
        self.gateway.stop()
        self._open.close()
        self.postgres.stop()
        self.postgres.erase()

    def _spawn(self, command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{command}.log").open("ab") as log:
            environ = {**{k: v for k, v in os.environ.items() if not k.startswith("IDP_")}, **self.environ}
            return subprocess.Popen([sys.executable, "-m", "idp", command], env=environ, cwd=ROOT, stdout=log, stderr=log)

    def _is_ready(self, process: "subprocess.Popen[bytes] | None") -> bool:
        if process is None or process.poll() is not None:
            raise RuntimeError(f"idp serve ended: {self.read_log('serve')[-1500:]}")
        try:
            with urllib.request.urlopen(f"{self.issuer}/readyz", timeout=2):
                return True
        except OSError:
            return False


@contextlib.asynccontextmanager
async def run_real_provider(**further: str) -> AsyncIterator[RealProvider]:
    """Prepare a provider (database and gateway run, serve and worker do not yet); stop and remove everything at the end."""
    with tempfile.TemporaryDirectory(prefix="idp-show-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server's user must enter it
        provider = RealProvider(folder, further)
        try:
            await provider.prepare()
            yield provider
        finally:
            provider.stop()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Wait until something is so. Raises RuntimeError when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} was not ready after {seconds:g} s")
        time.sleep(0.05)
