"""Decides how an address that a client named is asked: resolved once, pinned, never a private network, never redirected, always bounded."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2

from idp.platform.outside_addresses import IpAddress, OutsideAddress, OutsideRules, read_address, read_number

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the numeric addresses of a host; OSError when there are none."""

CONNECT_LIMIT = 3.0
TOTAL_LIMIT = 5.0
"""Seconds for everything together: name, connection, answer."""

SIZE_LIMIT = 64 * 1024
"""Bytes of an answer, where the caller names no other."""

ADDRESSES_TRIED = 3
AT_ONCE = 32
"""Addresses that one process asks at a time; a further caller waits within its own time limit."""

RESOLVER_THREADS = 4
KEPT_HEADERS = frozenset({"accept", "authorization", "content-type"})


class FetchFailed(Exception):
    """Nothing usable came; ``reason`` is one of our words, so that it may be logged and shown.

    By our own rules: address, scheme, port, network. By the other side: name, connection, timeout, redirect, status_NNN, type, encoding,
    size, broken.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def by_rule(self) -> bool:
        """Tell whether asking again is useless until somebody changes the address or the settings."""
        return self.reason in ("address", "scheme", "port", "network")


@dataclass(frozen=True)
class Fetched:
    """An answer: ``content_type`` is lower-case and without parameters."""

    status: int
    content_type: str
    body: bytes


def make_tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts the machine's authorities and those of ``ca_file`` (PEM); OSError when the file cannot be used."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class Fetcher:
    """Asks addresses that clients named. One for the process; ``close`` it at the end.

    Nothing is remembered between two questions: no connection, no cookie; no proxy and no password of the environment is used.
    """

    def __init__(
        self,
        rules: OutsideRules,
        *,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """``transport`` stands in for the network; raise OSError when ``ca_file`` cannot be used."""
        # A kept connection would be found again by its number, though it was opened for another name.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._rules = rules
        self._transport = transport or httpx2.AsyncHTTPTransport(verify=make_tls_context(ca_file), trust_env=False, limits=limits)
        # Names are looked up on threads of their own: a name server that never answers keeps nobody else's work waiting.
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")
        self._resolve = resolve or self._ask_resolver
        self._free = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        """Close what is open. A look-up that still waits for its name server is left to end by itself."""
        await self._transport.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def read(
        self,
        address: str,
        *,
        content_types: Collection[str] = (),
        size: int = SIZE_LIMIT,
        seconds: float = TOTAL_LIMIT,
    ) -> bytes:
        """Return the body of a document: status 200 and, where ``content_types`` are named, one of them. Raise FetchFailed."""
        accept = {"accept": ", ".join(content_types)} if content_types else {}
        fetched = await self.send("GET", address, headers=accept, size=size, seconds=seconds)
        if fetched.status != 200:
            raise FetchFailed(f"status_{fetched.status}")
        if content_types and fetched.content_type not in content_types:
            raise FetchFailed("type")
        return fetched.body

    async def send(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        size: int = SIZE_LIMIT,
        seconds: float = TOTAL_LIMIT,
    ) -> Fetched:
        """Ask once and return the answer, whatever its status but a redirect. Raise FetchFailed; only cancelling raises something else.

        ``headers``: accept, authorization and content-type; ValueError for others. The connection is opened to an address that was checked,
        while the certificate and the Host header are those of the name (RFC 9110 §7.2), so a second look-up cannot lead elsewhere.
        """
        if not KEPT_HEADERS.issuperset(headers or ()):
            raise ValueError("no other header is sent to an address of a client's choice")
        try:
            parts = read_address(address, self._rules)
        except ValueError as fault:
            raise FetchFailed(str(fault)) from None
        try:
            async with asyncio.timeout(seconds), self._free:
                end = time.monotonic() + seconds
                numbers = await self._find_numbers(parts)
                return await self._ask_in_turn(parts, numbers, method, headers or {}, content, size, end)
        except TimeoutError:
            raise FetchFailed("timeout") from None

    async def _find_numbers(self, parts: OutsideAddress) -> list[IpAddress]:
        try:
            numbers = [read_number(text) for text in await self._resolve(parts.host, parts.port)]
        except (OSError, ValueError):
            raise FetchFailed("name") from None
        if not numbers:
            raise FetchFailed("name")
        # One forbidden address among several is how an answer is made to look harmless.
        if not all(self._rules.admits(number) for number in numbers):
            raise FetchFailed("network")
        return list(dict.fromkeys(numbers))[:ADDRESSES_TRIED]

    async def _ask_in_turn(
        self,
        parts: OutsideAddress,
        numbers: Sequence[IpAddress],
        method: str,
        headers: Mapping[str, str],
        content: bytes,
        size: int,
        end: float,
    ) -> Fetched:
        *others, last = numbers
        for number in others:
            try:
                return await self._ask(parts, number, method, headers, content, size, end)
            except FetchFailed as failed:
                if failed.reason != "connection":
                    raise
        return await self._ask(parts, last, method, headers, content, size, end)

    async def _ask(
        self,
        parts: OutsideAddress,
        number: IpAddress,
        method: str,
        headers: Mapping[str, str],
        content: bytes,
        size: int,
        end: float,
    ) -> Fetched:
        host = f"[{number}]" if number.version == 6 else str(number)
        left = max(end - time.monotonic(), 0.001)
        request = httpx2.Request(
            method,
            f"{'https' if parts.secure else 'http'}://{host}:{parts.port}{parts.target}",
            headers={**headers, "host": parts.authority, "accept-encoding": "identity", "connection": "close"},
            content=content or None,
            extensions={
                "sni_hostname": parts.host,
                "timeout": {"connect": min(CONNECT_LIMIT, left), "read": left, "write": left, "pool": left},
            },
        )
        try:
            answer = await self._transport.handle_async_request(request)
            try:
                return await _read_answer(answer, size)
            finally:
                await answer.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise FetchFailed("connection") from None
        except httpx2.TimeoutException:
            raise FetchFailed("timeout") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError):
            raise FetchFailed("broken") from None

    async def _ask_resolver(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return [str(address[0]) for *_, address in found]


async def _read_answer(answer: httpx2.Response, size: int) -> Fetched:
    if 300 <= answer.status_code < 400:
        raise FetchFailed("redirect")
    # Nothing is ever decompressed, so nothing can grow beyond what travelled.
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed("encoding")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > size:
            raise FetchFailed("size")
    kind: str = answer.headers.get("content-type", "")
    return Fetched(answer.status_code, kind.partition(";")[0].strip().lower(), bytes(body))
