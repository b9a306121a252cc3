"""Decides how a kiosk (自助终端) begins: which clients may, what a person sees of it, which code is typed (RFC 8628 §3.1)."""

from collections.abc import Mapping

import msgspec

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.errors import ProtocolError
from idp.platform.audit_log import AuditLog
from idp.platform.ledger import Ledger
from idp.protocol.rules.authorization_details import check_details
from idp.protocol.rules.authorization_request import read_acr_values
from idp.protocol.rules.client import Client, GrantType
from idp.protocol.rules.decoupled_level import check_classes
from idp.protocol.rules.decoupled_request import Kind as RequestKind
from idp.protocol.rules.decoupled_request import is_message, show_user_code
from idp.protocol.rules.resources import keep_resources
from idp.protocol.rules.scopes import choose_scope, read_scope
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.decoupled_requests import DecoupledRequests

LIFE = 600
INTERVAL = 5
PAGE = "/device"


class DeviceAuthorizationResponse(msgspec.Struct, frozen=True):
    """The answer (RFC 8628 §3.2). No ``verification_uri_complete``: a person who only scans compares nothing."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    interval: int


class DeviceAuthorization:
    """``POST /device_authorization``. A client that has this grant authenticates by a key: ``rules/client_checks.py`` lets no other."""

    def __init__(self, requests: DecoupledRequests, ledger: Ledger, audit: AuditLog, issuer: str) -> None:
        self._requests = requests
        self._ledger = ledger
        self._audit = audit
        self._issuer = issuer

    async def begin(self, parameters: Mapping[str, str], caller: Caller, request_id: str, place: Place) -> bytes:
        """Begin a request and return the JSON answer; raise ProtocolError.

        ``device_name`` (ours) is what the terminal calls itself, for instance the hall and its number; the person compares it.
        """
        client = caller.client
        if GrantType.DEVICE_CODE not in client.grant_types:
            raise ProtocolError("unauthorized_client", "This client is not registered for the device grant.", redirectable=False)
        name = parameters.get("device_name", "")
        if name and not is_message(name):
            raise ProtocolError("invalid_request", "device_name is one printable line of at most 100 characters.", redirectable=False)
        check_classes(parameters, client)
        check_details(None, parameters, client)
        wanted = read_acr_values(parameters)
        request = await self._requests.begin(
            RequestKind.DEVICE,
            client.client_id,
            find_scope(parameters, client),
            LIFE,
            INTERVAL,
            message=name,
            wanted="" if wanted is None else wanted.value,
            terms=keep_resources(parameters, client),
        )
        event = AuditEvent(
            Kind.REQUEST_BEGUN,
            actor="client",
            client_id=client.client_id,
            request_id=request_id,
            details={"kind": RequestKind.DEVICE.value},
            place=place,
        )
        await self._ledger.record(self._audit.prepare(event))
        return msgspec.json.encode(
            DeviceAuthorizationResponse(request.id, show_user_code(request.user_code), self._issuer + PAGE, LIFE, INTERVAL)
        )


def find_scope(parameters: Mapping[str, str], client: Client) -> tuple[str, ...]:
    """Return the scope of a decoupled request; raise ProtocolError without ``openid``. There is no offline access without a browser."""
    requested = read_scope(parameters.get("scope", ""))
    if "openid" not in requested:
        raise ProtocolError("invalid_scope", "The scope openid is required.", redirectable=False)
    return choose_scope(requested, ("openid", *(s for s in client.scopes if s != "offline_access")))
