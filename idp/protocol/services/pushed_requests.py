"""Decides how an authorization request is pushed before a person is sent: checked at once, kept for a minute, used once (RFC 9126)."""

import json
from collections.abc import Mapping

from idp.authenticators.rules.throttling import name_origin
from idp.kernel.clock import Random
from idp.kernel.errors import ProtocolError, Refusal
from idp.kernel.ids import make_outward_id
from idp.platform.transients import Transients
from idp.protocol.rules.authorization_request import PARAMETERS, find_return_address, read_authorization_request
from idp.protocol.rules.client import AuthMethod, Client
from idp.protocol.rules.request_object import demands_signature
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.request_objects import RequestObjects

PREFIX = "urn:ietf:params:oauth:request_uri:"
KIND = "pushed_request"
FLOW = "pushed_request_flow"
LIFE = 90
"""Seconds; a browser only has to be sent."""

FLOW_LIFE = 3_600.0
PUSHES = "pushes_of_network"
MINUTE = 60.0
THUMBPRINT = "jkt:"


class PushedRequests:
    """Keeps requests that clients pushed."""

    def __init__(
        self, transients: Transients, objects: RequestObjects, usable: frozenset[str], random: Random, per_network: int = 300
    ) -> None:
        self._transients = transients
        self._objects = objects
        self._usable = usable
        self._random = random
        self._per_network = per_network

    async def push(self, parameters: Mapping[str, str], caller: Caller, address: str) -> dict[str, object]:
        """Return ``request_uri`` and ``expires_in`` of a request that could be answered; raise ProtocolError for any other.

        ``address``: who asks. Of a public client, which anybody can be, a network pushes no more in a minute than it may begin flows.
        """
        client = caller.client
        if client.auth_method is AuthMethod.NONE:
            counted = await self._transients.count(PUSHES, name_origin(address), MINUTE)
            if counted.number > self._per_network:
                raise ProtocolError("temporarily_unavailable", "Too many requests from this network; try again in a minute.")
        if parameters.get("client_id", client.client_id) != client.client_id:
            raise ProtocolError("invalid_request", "client_id is not the client that authenticated.")
        if "request_uri" in parameters:
            raise ProtocolError("invalid_request", "A pushed request holds no request_uri.")
        if "request" in parameters:
            parameters = await self._objects.read(parameters, client)
        elif demands_signature(client):
            raise ProtocolError("invalid_request", "This client's requests must be signed: send a request object.")
        kept = {name: value for name, value in parameters.items() if name in PARAMETERS}
        kept = _bind(kept, caller)
        try:
            redirect_uri = find_return_address(kept, client, self._usable)
        except Refusal as refusal:
            raise ProtocolError("invalid_request", "redirect_uri is not registered for this client.", refusal.code) from None
        read_authorization_request(kept, client, redirect_uri)
        name = make_outward_id(self._random, 32)
        stored = json.dumps({"client_id": client.client_id, "parameters": kept}, ensure_ascii=False).encode()
        await self._transients.put(KIND, name, stored, LIFE)
        return {"request_uri": PREFIX + name, "expires_in": LIFE}

    async def take(self, request_uri: str, client: Client) -> dict[str, str] | None:
        """Return the parameters of a pushed request of this client, once; None when there is none (any more)."""
        name = request_uri.removeprefix(PREFIX)
        if len(name) > 64:
            return None
        known = await self._transients.get(KIND, name)
        if known is None or json.loads(known.value)["client_id"] != client.client_id:
            return None  # of another client: it stays whose it is
        taken = await self._transients.take(KIND, name)
        if taken is None:
            return None
        parameters: dict[str, str] = json.loads(taken)["parameters"]
        return parameters

    async def remember_flow(self, request_uri: str, interaction_id: str) -> None:
        """Note which flow a pushed request began, for a browser that asks for the same address again."""
        await self._transients.put(FLOW, request_uri.removeprefix(PREFIX), interaction_id.encode(), FLOW_LIFE)

    async def find_flow(self, request_uri: str) -> str | None:
        """Return the flow that a pushed request began, None when none is known."""
        name = request_uri.removeprefix(PREFIX)
        known = await self._transients.get(FLOW, name) if request_uri.startswith(PREFIX) and len(name) <= 64 else None
        return known.value.decode() if known is not None else None


def _bind(parameters: dict[str, str], caller: Caller) -> dict[str, str]:
    """Return the parameters bound to client and key: a proof at this endpoint names the key as ``dpop_jkt`` does (RFC 9449 §10.1)."""
    bound = {**parameters, "client_id": caller.client.client_id}
    confirmation = caller.confirmation
    if confirmation is None or not confirmation.startswith(THUMBPRINT):
        return bound
    thumbprint = confirmation.removeprefix(THUMBPRINT)
    if bound.setdefault("dpop_jkt", thumbprint) != thumbprint:
        raise ProtocolError("invalid_dpop_proof", "dpop_jkt names another key than the DPoP proof.")
    return bound


def is_pushed(request_uri: str) -> bool:
    """Tell whether a ``request_uri`` is one of ours."""
    return request_uri.startswith(PREFIX)
