"""Decides how a request object is verified: signed by the client's own key, sent along or fetched where it registered it (RFC 9101)."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.platform.fetching import FetchFailed
from idp.protocol.rules.algorithms import CLIENT_SIGNING
from idp.protocol.rules.authorization_request import PARAMETERS
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.profile import choose_algorithms
from idp.protocol.rules.request_object import TYPES, check_object, demands_signature, read_object_parameters
from idp.protocol.services.client_keys import ClientKeySets, KeysUnreadable
from keys import InvalidSignature, read_foreign_token

MAX_OBJECT = 16_000
"""Bytes of a request object, sent along or fetched."""


FRESH: Final = timedelta(seconds=10)
"""How long what an address answered, also that it did not, is believed: anybody may send people there, without a sign-in."""

FETCHES: Final = 30
"""How often the addresses of one client are asked in a minute, by each process."""

MINUTE: Final = timedelta(minutes=1)
MAX_KNOWN: Final = 500


@dataclass
class _Known:
    """What one address answered: a text, or the word of what was wrong."""

    text: str | None = None
    reason: str = ""
    asked_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Addresses(Protocol):
    """Who asks addresses that clients name."""

    async def read(self, address: str, *, content_types: Collection[str] = (), size: int = MAX_OBJECT, seconds: float = 5.0) -> bytes:
        """Return the body of a document; raise FetchFailed."""
        ...


class RequestObjects:
    """Reads request objects."""

    def __init__(self, keys: ClientKeySets, addresses: Addresses, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._addresses = addresses
        self._issuer = issuer
        self._clock = clock
        self._fetched: dict[tuple[str, str], _Known] = {}
        self._fetches: dict[str, tuple[datetime, int]] = {}

    async def read(self, parameters: Mapping[str, str], client: Client) -> dict[str, str]:
        """Return the parameters that ``request``, or ``request_uri`` by address, stands for; raise ProtocolError."""
        if "request" in parameters and "request_uri" in parameters:
            raise ProtocolError("invalid_request", "request and request_uri exclude each other.")
        text = parameters["request"] if "request" in parameters else await self._fetch(parameters["request_uri"], client)
        return read_object_parameters(await self.verify(text, client), parameters, client, PARAMETERS)

    async def verify(self, text: str, client: Client, registered: str | None = None) -> Mapping[str, object]:
        """Return the claims of a request object of this client; raise ProtocolError ``invalid_request_object``.

        ``registered``: the algorithm that the client is registered with, ``request_object_signing_alg`` when it is None.
        """
        try:
            token = read_foreign_token(text, max_size=MAX_OBJECT)
            if token.algorithm == "none" and client.profile is Profile.STANDARD and not demands_signature(client):
                raise ProtocolError("request_not_supported", "Unsigned request objects are not accepted.")
            algorithms = choose_algorithms(client, CLIENT_SIGNING, registered or client.requests.request_object_signing_alg)
            await self._keys.verify(client, token, algorithms, TYPES)
        except (InvalidSignature, KeysUnreadable) as error:
            raise ProtocolError("invalid_request_object", "The request object is not signed by a key of this client.", str(error)) from None
        check_object(token.claims, client, self._issuer, int(self._clock().timestamp()))
        return token.claims

    async def _fetch(self, address: str, client: Client) -> str:
        if address not in client.requests.request_uris:
            raise ProtocolError("invalid_request_uri", "This request_uri is neither one of ours nor registered for this client.")
        if len(self._fetched) >= MAX_KNOWN:
            self._fetched.clear()
        known = self._fetched.setdefault((client.client_id, address), _Known())
        async with known.lock:  # of many at once one asks
            if known.asked_at is None or self._clock() - known.asked_at >= FRESH:
                await self._ask(address, known, client.client_id)
        if known.text is None:
            raise ProtocolError("invalid_request_uri", "The request object could not be read at its address.", known.reason)
        return known.text

    async def _ask(self, address: str, known: _Known, client_id: str) -> None:
        """Ask the address unless those of this client were asked too often within this minute."""
        known.text, known.reason = None, "too often"
        if not self._may_ask(client_id):
            return
        known.asked_at = self._clock()
        try:
            body = await self._addresses.read(address.partition("#")[0], size=MAX_OBJECT)
            known.text = body.decode("ascii").strip()
        except FetchFailed as failed:
            known.reason = failed.reason
        except UnicodeDecodeError:
            known.reason = "type"

    def _may_ask(self, client_id: str) -> bool:
        if len(self._fetches) >= MAX_KNOWN:
            self._fetches.clear()
        began, number = self._fetches.get(client_id, (self._clock(), 0))
        if self._clock() - began >= MINUTE:
            began, number = self._clock(), 0
        self._fetches[client_id] = (began, number + 1)
        return number < FETCHES
