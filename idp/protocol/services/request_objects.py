"""Decides how a request object is verified: signed by the client's own key, sent along or fetched where it registered it (RFC 9101)."""

from collections.abc import Collection, Mapping
from typing import Protocol

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.platform.fetching import FetchFailed
from idp.protocol.rules.algorithms import CLIENT_SIGNING
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.profile import choose_algorithms
from idp.protocol.rules.request_object import TYPES, check_object, demands_signature, read_object_parameters
from idp.protocol.services.client_keys import ClientKeySets, KeysUnreadable
from keys import InvalidSignature, read_foreign_token

MAX_OBJECT = 16_000
"""Bytes of a request object, sent along or fetched."""


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

    async def read(self, parameters: Mapping[str, str], client: Client) -> dict[str, str]:
        """Return the parameters that ``request``, or ``request_uri`` by address, stands for; raise ProtocolError."""
        if "request" in parameters and "request_uri" in parameters:
            raise ProtocolError("invalid_request", "request and request_uri exclude each other.")
        text = parameters["request"] if "request" in parameters else await self._fetch(parameters["request_uri"], client)
        return read_object_parameters(await self.verify(text, client), parameters, client)

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
        try:
            body = await self._addresses.read(address.partition("#")[0], size=MAX_OBJECT)
            return body.decode("ascii").strip()
        except (FetchFailed, UnicodeDecodeError) as error:
            reason = error.reason if isinstance(error, FetchFailed) else "type"
            raise ProtocolError("invalid_request_uri", "The request object could not be read at its address.", reason) from None
