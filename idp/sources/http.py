"""Decides how an authority that speaks our contract is asked over HTTP: signed, bounded, in time; all else is UNAVAILABLE."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.sources.contract import MAXIMUM_REPLY, Unreadable, is_ready, is_unprocessed, read_reply, write_check
from idp.sources.signatures import Forged, PartnerKey
from idp.sources.source import Check, Outcome

TIME_LIMITS: Mapping[CheckKind, float] = {CheckKind.REAL_PERSON: 8.0}
"""Seconds for one question, of the kinds that take longer than the rest: comparing a face."""

TIME_LIMIT = 3.0
CONNECT_LIMIT = 1.0
PROBE_LIMIT = 2.0
NEVER_REPEATED = frozenset({CheckKind.BANK_CARD})
"""UnionPay counts every check of a card against it, and refuses it after four or five in a day (formats.md §5.1)."""

TOLD_STATUSES = frozenset({400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504})
"""Statuses that figures and log tell apart."""

IDLE_SECONDS = 4.0
"""A kept connection is given up before the other side is likely to close it."""


class _NoAnswer(Exception):
    """``reason`` is one of our words; ``unprocessed`` says that asking again cannot ask twice."""

    def __init__(self, reason: str, *, unprocessed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unprocessed = unprocessed


@dataclass(frozen=True)
class Authority:
    """Where an authority is and how it is asked. ``endpoint`` has no slash at its end; ``time_limit`` 0 means the contract's own limits."""

    name: str
    kinds: frozenset[CheckKind]
    endpoint: str
    key: PartnerKey
    time_limit: float = 0.0
    connect_limit: float = CONNECT_LIMIT


def make_client(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """Return the client that all sources share: no proxy or netrc of the environment, no redirects; limits are the bulkheads'."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=IDLE_SECONDS)
    return httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, limits=limits)


class HttpSource:
    """One authority over HTTP. ``client`` is shared and closed by who made it."""

    def __init__(self, authority: Authority, client: httpx2.AsyncClient, clock: Clock, random: Random) -> None:
        self._authority = authority
        self._client = client
        self._clock = clock
        self._random = random
        self._path = urlsplit(authority.endpoint).path

    @property
    def name(self) -> str:
        """The authority's name in the settings."""
        return self._authority.name

    @property
    def kinds(self) -> frozenset[CheckKind]:
        """What it can be asked."""
        return self._authority.kinds

    async def check(self, check: Check, timeout: float) -> Outcome:
        """Ask once, or twice when the first question surely was not processed. Only cancelling raises."""
        limit = min(timeout, self._authority.time_limit or TIME_LIMITS.get(check.kind, TIME_LIMIT))
        if limit <= 0:
            return self._fail("timeout")
        try:
            async with asyncio.timeout(limit):
                return await self._ask(check, time.monotonic() + limit)
        except _NoAnswer as failed:
            return self._fail(failed.reason)
        except TimeoutError:
            return self._fail("timeout")

    async def probe(self, kind: CheckKind) -> bool:
        """Tell whether the authority says that this kind can be asked; no person is named."""
        try:
            async with asyncio.timeout(PROBE_LIMIT):
                status, body, _ = await self._exchange("GET", f"/status/{kind.value}", b"", PROBE_LIMIT)
        except (_NoAnswer, TimeoutError):
            return False
        return status == 200 and is_ready(body, kind)

    async def _ask(self, check: Check, end: float) -> Outcome:
        try:
            body = write_check(check)
        except Unreadable:
            raise _NoAnswer("question") from None
        try:
            return await self._ask_once(check, body, end)
        except _NoAnswer as failed:
            if not failed.unprocessed or check.kind in NEVER_REPEATED:
                raise
        return await self._ask_once(check, body, end)

    async def _ask_once(self, check: Check, body: bytes, end: float) -> Outcome:
        status, answer, signature = await self._exchange("POST", "/checks", body, end - time.monotonic())
        if status == 503:
            raise _NoAnswer("busy", unprocessed=is_unprocessed(answer))
        if status != 200:
            raise _NoAnswer(_name_status(status))
        try:
            outcome = read_reply(answer, check, self.name, signature)
        except Unreadable as unreadable:
            raise _NoAnswer(str(unreadable)) from None
        if outcome.result is CheckResult.UNAVAILABLE:
            raise _NoAnswer("authority")
        return outcome

    async def _exchange(self, method: str, path: str, body: bytes, left: float) -> tuple[int, bytes, str]:
        """Send one signed request; return status, body and signature of the signed reply."""
        key, nonce = self._authority.key, self._random(16).hex()
        headers = {"accept": "application/json", "accept-encoding": "identity", "content-type": "application/json"}
        headers |= key.sign_request(method, f"{self._path}{path}", body, self._clock(), nonce)
        timeout = httpx2.Timeout(max(left, 0.001), connect=max(min(self._authority.connect_limit, left), 0.001))
        url = f"{self._authority.endpoint}{path}"
        status = 200
        try:
            async with self._client.stream(method, url, content=body, headers=headers, timeout=timeout) as reply:
                answer, status = await _read_bounded(reply), reply.status_code
                return status, answer, key.verify_reply(status, answer, reply.headers, self._clock(), nonce)
        except Forged as forged:
            # A proxy's error page is signed by nobody; its status tells the operator more.
            raise _NoAnswer(f"forged_{forged.reason}" if status == 200 else _name_status(status)) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise _NoAnswer("connection", unprocessed=True) from None
        except httpx2.TimeoutException:
            raise _NoAnswer("timeout") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError):
            raise _NoAnswer("broken") from None

    def _fail(self, reason: str) -> Outcome:
        return Outcome(CheckResult.UNAVAILABLE, self.name, reason=reason)


def _name_status(status: int) -> str:
    return f"status_{status}" if status in TOLD_STATUSES else "status"


async def _read_bounded(reply: httpx2.Response) -> bytes:
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise _NoAnswer("encoding")
    body = b""
    async for piece in reply.aiter_raw():
        body += piece
        if len(body) > MAXIMUM_REPLY:
            raise _NoAnswer("size")
    return body
