"""Decides what is measured: one server process with the embedded defaults, synthetic people and their live sessions."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.operations import ES256, REFRESHING, RESOURCE_OF, RS256, Target
from idp.app import Services, build_services
from idp.composition import open_platform
from idp.http.cookies import CookieNames
from idp.kernel.audit_events import Place
from idp.kernel.clock import read_system_clock, read_system_random
from idp.kernel.levels import Factor, Proved
from idp.people.rules.documents import find_check_character
from idp.people.rules.identifiers import parse_id_number
from idp.people.services.directory import NewPerson
from idp.platform.embedded_postgres import EmbeddedPostgres
from idp.platform.migrations import migrate
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import TokenFormat
from idp.settings import load_settings

REDIRECT_URI = "https://rp.example/callback"
PASSWORD = "synthetic-Bench-2026"
SCOPE = "openid"


@dataclass(frozen=True)
class Running:
    """A provider under measurement: its own process, and the one that keeps its state."""

    target: Target
    server_pid: int
    store_pid: int


def make_identifier(number: int) -> str:
    """Return a valid synthetic resident ID of the test province."""
    seventeen = f"35010219{70 + number % 30:02d}0101{number % 1000:03d}"
    return seventeen + find_check_character(seventeen)


@asynccontextmanager
async def run_provider(
    folder: Path, port: int, people: int = 32, profile: Path | None = None, further: dict[str, str] | None = None
) -> AsyncIterator[Running]:
    """Start PostgreSQL (durable) and one server process, seed them, and stop both at the end.

    With ``profile`` the server samples its own stack and writes the tally there when it ends; ``further`` are settings in the environment.
    """
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.start()  # from the main thread: the parent-death signal follows the thread
    server: subprocess.Popen[bytes] | None = None
    try:
        await migrate(postgres.owner_dsn(), "sandbox")
        environ = {
            "IDP_ENVIRONMENT": "sandbox",
            "IDP_SERVER__ISSUER": f"http://127.0.0.1:{port}",
            "IDP_SERVER__PORT": str(port),
            "IDP_DATABASE__DSN": postgres.service_dsn(socket=True),
            "IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(folder / "kek"),
            "IDP_AUDIT__CHECKPOINT_FILE": str(folder / "checkpoints.jsonl"),
            "IDP_LOG__LEVEL": "error",
            "IDP_COOKIE_SUFFIX": "bench",
            # All its people come from one address.
            "IDP_SIGN_IN__FAILURES_PER_NETWORK": "1000000",
            "IDP_SIGN_IN__FLOWS_PER_NETWORK_AND_MINUTE": "1000000",
            **(further or {}),
        }
        target = await _seed(environ, port, people)
        command = (
            [sys.executable, "-m", "idp", "serve"] if profile is None else [sys.executable, "-m", "bench.sampled_server", str(profile)]
        )
        server = subprocess.Popen(command, env={**os.environ, **environ})
        await asyncio.to_thread(_wait_until_ready, port, server)
        yield Running(target, server.pid, postgres.pid or 0)
    finally:
        if server is not None:
            server.terminate()
            await asyncio.to_thread(server.wait, 20)
        await asyncio.to_thread(postgres.stop)
        postgres.erase()


async def _seed(environ: dict[str, str], port: int, people: int) -> Target:
    platform = await open_platform(load_settings(None, environ), read_system_clock, read_system_random)
    try:
        services = build_services(platform)
        secrets = {
            ES256: await _add_client(services, ES256, "ES256", "authorization_code", "client_credentials"),
            RS256: await _add_client(services, RS256, "RS256", "authorization_code", "client_credentials"),
            REFRESHING: await _add_client(services, REFRESHING, "ES256", "authorization_code", "refresh_token"),
        }
        sessions = [await _add_person(services, number, port) for number in range(people)]
        identifiers = [make_identifier(number) for number in range(people)]
        return Target(f"http://127.0.0.1:{port}", secrets, REDIRECT_URI, SCOPE, sessions, identifiers, PASSWORD)
    finally:
        await platform.close()


async def _add_client(services: Services, client_id: str, algorithm: str, *grant_types: str) -> str:
    registration = Client(
        client_id=client_id,
        name="压力测试（合成）",
        sector="bench",
        redirect_uris=(REDIRECT_URI,),
        grant_types=frozenset(grant_types),
        scopes=("profile",),
        id_token_algorithm=algorithm,
        resources=tuple(resource for owner, resource in RESOURCE_OF.items() if owner == client_id),
        access_token_format=TokenFormat.JWT,
    )
    async with services.platform.database.transaction() as tx:
        return await services.clients.add(tx, registration, actor="bench") or ""


async def _add_person(services: Services, number: int, port: int) -> str:
    now = read_system_clock()
    verifier = await services.passwords.hash(PASSWORD)
    document = parse_id_number(make_identifier(number), now.date())
    person_id = await services.people.add_person(NewPerson(f"合成{number}", document, None, 3, verifier))
    async with services.platform.database.transaction() as tx:
        proved = (Proved(Factor.PASSWORD, now),)
        opened = await services.sessions.open(tx, person_id, proved, None, Place())
    name = CookieNames(f"http://127.0.0.1:{port}", "bench").session
    return f"{name}={opened.cookie}"


def _wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server was not ready after 30 s")
