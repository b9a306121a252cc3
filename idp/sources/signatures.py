"""Decides what is signed between us and an authority: both directions under HMAC-SM3, the reply bound to the nonce of its request.

Canonical text (formats.md §5.2), lines joined by a line feed, so no field may hold one::

    yizheng-hmac-sm3 request 1          yizheng-hmac-sm3 reply 1
    METHOD                              status, three digits
    path, with ?query if there is one   -
    X-App-Key                           X-App-Key
    X-Timestamp (milliseconds)          X-Timestamp, the authority's own
    X-Nonce                             X-Nonce of the request
    hex SM3 of the body                 hex SM3 of the body

``X-Signature`` is the lower-case hex HMAC-SM3 of that text under the secret that both sides hold.
"""

import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.hashes import SM3, Hash
from cryptography.hazmat.primitives.hmac import HMAC

TOLERANCE = timedelta(minutes=5)
"""How far the clocks of the two sides may be apart."""

NONCE_LIFE = timedelta(minutes=10)
"""How long an authority remembers a nonce: both sides of the tolerance."""

MOST_NONCES = 200_000
SHORTEST_SECRET = 32
"""Bytes of a partner's secret."""

APP_KEY, TIMESTAMP, NONCE, SIGNATURE = "x-app-key", "x-timestamp", "x-nonce", "x-signature"

_APP_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{13}", re.ASCII)
_TARGET = re.compile(r"/[\x21-\x7e]{0,1000}", re.ASCII)
_METHOD = re.compile(r"[A-Z]{1,10}", re.ASCII)


class Forged(Exception):
    """A message was not signed by who holds the secret, or not now, or not for this exchange. ``reason`` is one of our words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_app_key(text: str) -> bool:
    """Tell whether a text can be an app key: 1–64 letters, digits, dots, underscores, hyphens."""
    return _APP_KEY.fullmatch(text) is not None


@dataclass(frozen=True)
class PartnerKey:
    """What the two sides share. The secret (at least 32 bytes) never prints. Raises ValueError for what cannot be one."""

    app_key: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not is_app_key(self.app_key):
            raise ValueError("an app key is 1 to 64 letters, digits, dots, underscores and hyphens")
        if len(self.secret) < SHORTEST_SECRET:
            raise ValueError(f"a partner's secret is at least {SHORTEST_SECRET} bytes")

    def sign_request(self, method: str, target: str, body: bytes, now: datetime, nonce: str) -> dict[str, str]:
        """Return the four headers of a request. ``target`` is its path and query, ``nonce`` 16–64 characters that were never used."""
        timestamp = write_milliseconds(now)
        signature = self._mac(write_request(method, target, self.app_key, timestamp, nonce, body))
        return {APP_KEY: self.app_key, TIMESTAMP: timestamp, NONCE: nonce, SIGNATURE: signature}

    def verify_request(self, method: str, target: str, body: bytes, headers: Mapping[str, str], now: datetime) -> str:
        """Return the nonce of a request (the authority's side); its repetition is for NonceMemory. Raises Forged."""
        timestamp, nonce, signature = _read_headers(headers, self.app_key, now)
        try:
            text = write_request(method, target, self.app_key, timestamp, nonce, body)
        except ValueError:
            raise Forged("target") from None
        self._compare(text, signature)
        return nonce

    def sign_reply(self, status: int, body: bytes, now: datetime, nonce: str) -> dict[str, str]:
        """Return the four headers of a reply to the request of ``nonce`` (the authority's side)."""
        timestamp = write_milliseconds(now)
        return {
            APP_KEY: self.app_key,
            TIMESTAMP: timestamp,
            NONCE: nonce,
            SIGNATURE: self._mac(write_reply(status, self.app_key, timestamp, nonce, body)),
        }

    def verify_reply(self, status: int, body: bytes, headers: Mapping[str, str], now: datetime, nonce: str) -> str:
        """Return the signature of a reply to our request of ``nonce``. Raises Forged for any other reply, however well signed."""
        timestamp, theirs, signature = _read_headers(headers, self.app_key, now)
        if not hmac.compare_digest(theirs.encode(), nonce.encode()):
            raise Forged("nonce")
        self._compare(write_reply(status, self.app_key, timestamp, nonce, body), signature)
        return signature

    def _compare(self, text: bytes, signature: str) -> None:
        if not hmac.compare_digest(self._mac(text).encode(), signature.encode()):
            raise Forged("signature")

    def _mac(self, text: bytes) -> str:
        mac = HMAC(self.secret, SM3())
        mac.update(text)
        return mac.finalize().hex()


def write_request(method: str, target: str, app_key: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """Return the canonical text of a request. Two different requests have different texts. Raises ValueError for a field out of form."""
    if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("the method or the target cannot be signed")
    return _join("yizheng-hmac-sm3 request 1", method, target, app_key, timestamp, nonce, body)


def write_reply(status: int, app_key: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """Return the canonical text of a reply. Raises ValueError for a field out of form."""
    if not 100 <= status <= 999:
        raise ValueError("a status has three digits")
    return _join("yizheng-hmac-sm3 reply 1", str(status), "-", app_key, timestamp, nonce, body)


def _join(kind: str, first: str, second: str, app_key: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    if not _APP_KEY.fullmatch(app_key) or not _TIMESTAMP.fullmatch(timestamp) or not _NONCE.fullmatch(nonce):
        raise ValueError("the app key, the timestamp or the nonce cannot be signed")
    digest = Hash(SM3())
    digest.update(body)
    return "\n".join((kind, first, second, app_key, timestamp, nonce, digest.finalize().hex())).encode("ascii")


def write_milliseconds(instant: datetime) -> str:
    """Return the milliseconds since 1970 (13 digits from 2001 to 2286)."""
    return str(int(instant.timestamp() * 1000))


def _read_headers(headers: Mapping[str, str], app_key: str, now: datetime) -> tuple[str, str, str]:
    named, timestamp, nonce, signature = (headers.get(name, "") for name in (APP_KEY, TIMESTAMP, NONCE, SIGNATURE))
    if not all((named, timestamp, nonce, signature)):
        raise Forged("header")
    if not signature.isascii() or not _NONCE.fullmatch(nonce) or not _TIMESTAMP.fullmatch(timestamp):
        raise Forged("header")
    if named != app_key:
        raise Forged("app_key")
    if abs(now - datetime.fromtimestamp(int(timestamp) / 1000, UTC)) > TOLERANCE:
        raise Forged("clock")
    return timestamp, nonce, signature


class NonceMemory:
    """The nonces that an authority has seen in the last ten minutes, at most 200,000 of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, datetime] = OrderedDict()

    def add(self, nonce: str, now: datetime) -> None:
        """Remember a nonce. Raises Forged when it was seen before, or when so many came that an older one would have to be forgotten."""
        while self._seen and now - next(iter(self._seen.values())) > NONCE_LIFE:
            self._seen.popitem(last=False)
        if nonce in self._seen or len(self._seen) >= MOST_NONCES:
            raise Forged("nonce")
        self._seen[nonce] = now
