"""Decides who answers a token request: each grant type has one piece of code, found by one look-up (RFC 6749 §4, §6)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.protocol.rules.authorization_details import check_details
from idp.protocol.rules.client import GrantType
from idp.protocol.rules.confirmation import check_constraint
from idp.protocol.rules.token_request import find_grant_type
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.issuing import TokenResponse

AUTHORIZED = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN})
"""Grants of an authorization request, whose authorization details they hold what is named against; no other has any to give."""

_encode = msgspec.json.Encoder().encode


class GrantHandler(Protocol):
    """What answers the requests of one grant type."""

    async def answer(self, parameters: Mapping[str, str], caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        """Return the tokens, the grant and its audit row written; raise ProtocolError."""
        ...


class Tokens:
    """Answers token requests of clients that were authenticated."""

    def __init__(self, handlers: Mapping[GrantType, GrantHandler], clock: Clock) -> None:
        self._handlers = dict(handlers)
        self._clock = clock

    async def answer(self, parameters: Mapping[str, str], caller: Caller, request_id: str) -> bytes:
        """Return the JSON answer; raise ProtocolError."""
        grant_type = find_grant_type(parameters, caller.client)
        handler = self._handlers.get(grant_type)
        if handler is None:
            raise ProtocolError("unsupported_grant_type", "This grant type is not offered.")
        if grant_type not in AUTHORIZED:
            check_details(None, parameters, caller.client)
        check_constraint(caller.client, caller.confirmation)
        return _encode(await handler.answer(parameters, caller, self._clock(), request_id))
