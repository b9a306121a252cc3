"""Decides how the peer is run: npm oidc-provider as it is published, in production mode, its state in a Redis of its own."""

import asyncio
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.driver import Answer, Connection, UnexpectedAnswer
from bench.operations import ES256, FORM, REFRESHING, RESOURCES, RS256, Addresses, Target
from bench.provider import REDIRECT_URI, SCOPE, Running

FOLDER = Path(__file__).parent / "peer"
ADDRESSES = Addresses(authorization="/auth", userinfo="/me", token="/token", introspection="/token/introspection", jwks="/jwks")


class PeerMissing(Exception):
    """Node, the peer's packages or Redis are not installed; the text is one sentence."""


@asynccontextmanager
async def run_peer(port: int, people: int = 32) -> AsyncIterator[Running]:
    """Start Redis and the peer, sign synthetic people in, and stop both at the end. Raises PeerMissing."""
    node, redis = shutil.which("node"), shutil.which("redis-server")
    if node is None or redis is None or not (FOLDER / "node_modules").is_dir():
        raise PeerMissing("The peer needs Node, redis-server and the packages of bench/peer (scripts/setup-node bench/peer).")
    store = subprocess.Popen(
        [redis, "--port", str(port + 1), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
    )
    server: subprocess.Popen[bytes] | None = None
    try:
        secrets = {client_id: os.urandom(32).hex() for client_id in (ES256, RS256, REFRESHING)}
        environ = {
            "NODE_ENV": "production",
            "PEER_PORT": str(port),
            "PEER_REDIS": f"redis://127.0.0.1:{port + 1}/0",
            "PEER_CLIENTS": json.dumps([_describe_client(client_id, secret) for client_id, secret in secrets.items()]),
            "PEER_RESOURCES": json.dumps(RESOURCES),
        }
        server = subprocess.Popen([node, "server.js"], cwd=FOLDER, env={**os.environ, **environ}, stderr=subprocess.DEVNULL)
        await asyncio.to_thread(_wait_until_ready, port, server)
        target = Target(f"http://127.0.0.1:{port}", secrets, REDIRECT_URI, SCOPE, [], addresses=ADDRESSES)
        for number in range(people):
            target.sessions.append(await _sign_in(target, f"synthetic-{number}"))
        yield Running(target, server.pid, store.pid)
    finally:
        for process in (server, store):
            if process is not None:
                process.terminate()
                await asyncio.to_thread(process.wait, 20)


def _describe_client(client_id: str, secret: str) -> dict[str, object]:
    own = ["authorization_code", "client_credentials"]
    return {
        "client_id": client_id,
        "client_secret": secret,
        "redirect_uris": [REDIRECT_URI],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"] if client_id == REFRESHING else own,
        "id_token_signed_response_alg": "RS256" if client_id == RS256 else "ES256",
    }


async def _sign_in(target: Target, account: str) -> str:
    """Return the Cookie header of a browser that signed in and has been to every client once."""
    connection, jar = Connection(target.origin), dict[str, str]()
    try:
        for client_id in target.secrets:
            query = {
                "client_id": client_id,
                "redirect_uri": target.redirect_uri,
                "response_type": "code",
                "scope": target.scope,
                "code_challenge": "x" * 43,
                "code_challenge_method": "S256",
            }
            answer = await _follow(connection, jar, f"{target.addresses.authorization}?{urlencode(query)}", target.redirect_uri)
            if answer.status == 200:
                posted = await _ask(connection, jar, "POST", answer.headers["x-target"], urlencode({"account": account}).encode())
                answer = await _follow(connection, jar, _find_path(posted.headers["location"]), target.redirect_uri)
            if answer.status not in (302, 303):
                raise UnexpectedAnswer(f"the peer's sign-in ended with {answer.status} {answer.body[:200]!r}")
    finally:
        connection.close()
    return "; ".join(f"{name}={value}" for name, value in jar.items() if name.startswith("_session"))


async def _follow(connection: Connection, jar: dict[str, str], path: str, end: str) -> Answer:
    for _ in range(8):
        answer = await _ask(connection, jar, "GET", path)
        location = answer.headers.get("location", "")
        if answer.status not in (302, 303) or location.startswith(end):
            answer.headers["x-target"] = path
            return answer
        path = _find_path(location)
    raise UnexpectedAnswer("too many redirects")


async def _ask(connection: Connection, jar: dict[str, str], method: str, path: str, body: bytes = b"") -> Answer:
    headers = [("Cookie", "; ".join(f"{name}={value}" for name, value in jar.items()))]
    answer = await connection.request(method, path, [*headers, FORM] if body else headers, body)
    for cookie in answer.cookies:
        name, _, value = cookie.partition(";")[0].partition("=")
        jar[name] = value
    return answer


def _find_path(location: str) -> str:
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if server.poll() is not None:
            raise PeerMissing(f"The peer ended with {server.returncode}; it needs the Node that bench/peer/package.json names.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{ADDRESSES.discovery}", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise PeerMissing("The peer was not ready after 30 s.")
