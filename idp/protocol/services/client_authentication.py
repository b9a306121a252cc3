"""Decides which client speaks: exactly one method, the registered one, compared in constant time (RFC 6749 §2.3)."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
from idp.kernel.errors import ProtocolError
from idp.platform.audit_log import AuditLog
from idp.platform.ledger import Ledger
from idp.protocol.rules.client import AuthMethod, Client
from idp.protocol.services.clients import ClientDirectory, Clients

MAX_AUTHORIZATION = 4_096


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """What a request at an endpoint for clients shows of who speaks.

    ``method`` and ``path`` are those of the request; ``authorization`` and ``dpop`` the headers, ``certificate`` the DER of the client's
    TLS certificate as a trusted proxy told it.
    """

    parameters: Mapping[str, str]
    method: str = "POST"
    path: str = "/token"
    authorization: bytes | None = None
    dpop: bytes | None = None
    certificate: bytes | None = None
    request_id: str = ""
    place: Callable[[], Place] | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that a request proved to come from, and the key it proved to hold: what its tokens are bound to, None for bearer."""

    client: Client
    confirmation: str | None = None


class ClientAuthentication:
    """Authenticates the client of a request at the token and introspection endpoints."""

    def __init__(self, directory: ClientDirectory, clients: Clients, usable: frozenset[str], ledger: Ledger, audit: AuditLog) -> None:
        self._directory = directory
        self._usable = usable
        self._clients = clients
        self._ledger = ledger
        self._audit = audit

    async def authenticate(self, request: ClientRequest) -> Caller:
        """Return the client that the request proves to come from; raise ProtocolError ``invalid_client`` for anything else.

        Whoever fails to be a client that exists is recorded, with the place they asked from.
        """
        method, client_id, secret = _read_credentials(request.authorization, request.parameters)
        client = await self._directory.find(client_id)
        if client is None:
            raise _refuse("unknown client")
        fault = self._find_fault(client, method, secret)
        if fault is not None:
            event = AuditEvent(
                Kind.CLIENT_REFUSED,
                Result.REFUSED,
                actor="visitor",
                client_id=client.client_id,
                request_id=request.request_id,
                details={"reason": fault},
                place=request.place() if request.place is not None else None,
            )
            await self._ledger.record(self._audit.prepare(event))
            raise _refuse(fault)
        return Caller(client)

    def _find_fault(self, client: Client, method: AuthMethod, secret: str) -> str | None:
        if client.auth_method is not method:
            return f"registered for {client.auth_method.value}, not {method.value}"
        if method is not AuthMethod.NONE and not self._clients.is_secret(client, secret):
            return "wrong secret"
        return None if client.status in self._usable else f"status {client.status}"


def _refuse(hint: str) -> ProtocolError:
    return ProtocolError("invalid_client", "Client authentication failed.", hint, redirectable=False)


def _read_credentials(authorization: bytes | None, parameters: Mapping[str, str]) -> tuple[AuthMethod, str, str]:
    posted_id, posted_secret = parameters.get("client_id"), parameters.get("client_secret")
    if authorization is not None:
        if posted_secret is not None:
            raise ProtocolError("invalid_request", "The client authenticated in two ways at once.")
        client_id, secret = _read_basic(authorization)
        if posted_id is not None and posted_id != client_id:
            raise ProtocolError("invalid_request", "Two different client_id values were sent.")
        return AuthMethod.SECRET_BASIC, client_id, secret
    if posted_id is None:
        raise _refuse("no credentials")
    if posted_secret is None:
        return AuthMethod.NONE, posted_id, ""
    return AuthMethod.SECRET_POST, posted_id, posted_secret


def _read_basic(authorization: bytes) -> tuple[str, str]:
    """Return id and secret of a Basic header; both are form-urlencoded inside (RFC 6749 §2.3.1)."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic" or len(value) > MAX_AUTHORIZATION:
        raise _refuse("not Basic")
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).partition(b":")
        if not colon:
            raise _refuse("no colon")
        return _unquote(client_id), _unquote(secret)
    except (binascii.Error, UnicodeDecodeError):
        raise _refuse("malformed Basic") from None


def _unquote(raw: bytes) -> str:
    text = unquote_to_bytes(raw.replace(b"+", b" ")) if b"%" in raw or b"+" in raw else raw
    return text.decode("utf-8")
