"""Decides where the parameters of an authorization request come from: the address, a pushed request, a signed object (RFC 9126, 9101)."""

from collections.abc import Mapping

from idp.kernel.errors import ProtocolError, Refusal
from idp.protocol.rules.client import Client, find_home
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.request_object import demands_pushing, demands_signature
from idp.protocol.services.pushed_requests import PushedRequests, is_pushed
from idp.protocol.services.request_objects import RequestObjects


class RequestUriUsed(Refusal):
    """The pushed request was used, has expired or never was: its client has to push another one."""

    code = "request_uri_used"


class UnusableRequest(Refusal):
    """The request cannot be used, and it names no address where its client could be told."""

    code = "request_refused"


def has_origin(parameters: Mapping[str, str], client: Client) -> bool:
    """Tell whether the parameters are not all there is to a request, or must not be."""
    return (
        "request_uri" in parameters
        or "request" in parameters
        or client.profile is not Profile.STANDARD
        or client.requests.require_pushed_authorization_requests
        or client.requests.require_signed_request_object
    )


class RequestOrigins:
    """Reads what an authorization request stands for."""

    def __init__(self, pushed: PushedRequests, objects: RequestObjects) -> None:
        self._pushed = pushed
        self._objects = objects

    async def resolve(self, parameters: Mapping[str, str], client: Client) -> Mapping[str, str]:
        """Return the parameters that count; raise ProtocolError, or RequestUriUsed."""
        request_uri = parameters.get("request_uri")
        if request_uri is not None and is_pushed(request_uri):
            if "request" in parameters:
                raise ProtocolError("invalid_request", "request and request_uri exclude each other.")
            pushed = await self._pushed.take(request_uri, client)
            if pushed is None:
                raise RequestUriUsed(department=client.name, department_en=client.name_en, home_url=find_home(client))
            return pushed
        if demands_pushing(client):
            raise ProtocolError("invalid_request", "This client's requests must be pushed.")
        if request_uri is not None or "request" in parameters:
            return await self._objects.read(parameters, client)
        if demands_signature(client):
            raise ProtocolError("invalid_request", "This client's requests must be signed: send a request object.")
        return parameters
