"""Decides how ``/connect/register`` speaks HTTP: JSON in, JSON out, one bearer token in the header (RFC 7591 §3, RFC 7592 §2).

``/register`` is where people open an account.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from idp.http.json_bodies import BadJson, read_object
from idp.http.request_context import read_context
from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json
from idp.protocol.rules.dynamic_registration import describe_registration
from idp.protocol.rules.metadata import REGISTRATION_PATH
from idp.protocol.services.dynamic_registration import DynamicRegistration, Registered

PATH: Final = REGISTRATION_PATH
PREFIX: Final = "/connect/"
MAX_BODY: Final = 49_152
NOT_CACHED: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class RegistrationEndpoint:
    """Registration and its management."""

    def __init__(self, registration: DynamicRegistration, issuer: str) -> None:
        self._registration = registration
        self._address = issuer + PATH

    def routes(self) -> list[Route]:
        """Return the routes of this endpoint."""
        return [
            Route(PATH, self.register, methods=["POST"]),
            Route(PATH + "/{client_id}", self.manage, methods=["GET", "PUT", "DELETE"]),
        ]

    async def register(self, request: Request) -> Response:
        """Register a client."""
        document = await _read_document(request)
        registered = await self._registration.register(document, _read_token(request), read_context(request).address)
        return JSONResponse(self._describe(registered), 201, NOT_CACHED)

    async def manage(self, request: Request) -> Response:
        """Tell a client what it is registered with, replace that, or end it."""
        client_id, token, address = request.path_params["client_id"], _read_token(request), read_context(request).address
        if request.method == "DELETE":
            await self._registration.remove(client_id, token, address)
            return Response(status_code=204, headers=NOT_CACHED)
        if request.method == "PUT":
            registered = await self._registration.replace(client_id, token, await _read_document(request), address)
        else:
            registered = await self._registration.read(client_id, token, address)
        return JSONResponse(self._describe(registered), 200, NOT_CACHED)

    def _describe(self, registered: Registered) -> dict[str, Any]:
        client_id = registered.client.client_id
        told = {
            **describe_registration(registered.client),
            "client_id_issued_at": int(registered.issued_at.timestamp()),
            "registration_access_token": registered.token,
            "registration_client_uri": f"{self._address}/{client_id}",
        }
        if registered.secret is not None:
            told |= {"client_secret": registered.secret, "client_secret_expires_at": 0}
        if registered.statement is not None:
            told["software_statement"] = registered.statement
        return told


def _read_token(request: Request) -> str | None:
    given = request.headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip()[:200] if scheme.lower() == "bearer" else None


async def _read_document(request: Request) -> dict[str, Json]:
    try:
        return await read_object(request, MAX_BODY)
    except BadJson as error:
        raise ProtocolError("invalid_client_metadata", f"The body cannot be read: {error}", redirectable=False) from None
