"""Decides what a revoked token means: the grant behind it ends, so every token of it does, at once (RFC 7009, architecture decision 8)."""

from collections.abc import Mapping
from uuid import UUID

from idp.kernel.audit_events import Result
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import Client
from idp.protocol.services.access_tokens import AccessTokens
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.grant_endings import GrantEndings
from idp.protocol.services.sealed_values import RefreshToken
from idp.protocol.stores.grants import GrantReads

REASON = "revoked by the client"


class Revocation:
    """``/revoke``."""

    def __init__(self, grants: GrantReads, values: BearerValues, access_tokens: AccessTokens, endings: GrantEndings, clock: Clock) -> None:
        self._grants = grants
        self._values = values
        self._access_tokens = access_tokens
        self._endings = endings
        self._clock = clock

    async def revoke(self, parameters: Mapping[str, str], client: Client, request_id: str) -> None:
        """End the grant of a token of the client's own; raise ProtocolError ``invalid_request`` without one.

        A token that is unknown, over or somebody else's changes nothing and is answered in the same way (§2.2). The hint is not needed.
        """
        text = parameters.get("token")
        if text is None:
            raise ProtocolError("invalid_request", "token is missing.", redirectable=False)
        grant_id = self._find_grant(text)
        now = self._clock()
        grant = None if grant_id is None else await self._grants.read(grant_id, now)
        if grant is not None and grant.client_id == client.client_id and grant.ended_at is None:
            await self._endings.end(grant.id, grant.person_id, client, now, REASON, request_id, Result.DONE)

    def _find_grant(self, text: str) -> UUID | None:
        # An expired token still names its grant: whoever wants it gone shall not have to care which of its tokens is at hand.
        token = self._values.open(RefreshToken, text) or self._access_tokens.open(text)
        return None if token is None else token.grant_id
