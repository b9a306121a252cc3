"""Decides whether a text is an access token of ours that counts at this moment, whoever presents it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from idp.protocol.rules.grant import Grant, is_effective
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.sealed_values import AccessToken
from idp.protocol.stores.grants import GrantReads


@dataclass(frozen=True)
class ReadToken:
    """An access token that counts: ``scope`` and ``audience`` are the token's own, which may be less than the grant's."""

    grant: Grant
    scope: tuple[str, ...]
    audience: str | None
    expires_at: datetime


class AccessTokens:
    """Opens access tokens; whether the presenter holds the key that they are bound to is the caller's question."""

    def __init__(self, values: BearerValues, grants: GrantReads) -> None:
        self._values = values
        self._grants = grants

    async def read(self, text: str, now: datetime) -> ReadToken | None:
        """Return what a token stands for, None when it is not ours, too old, or its grant does not stand any more."""
        token = self._values.open(AccessToken, text)
        if token is None or now.timestamp() >= token.expires_at:
            return None
        grant = await self._grants.read(token.grant_id, now)
        if grant is None or not is_effective(grant, now):
            return None
        scope = grant.scope if token.scope is None else tuple(token.scope.split())
        return ReadToken(grant, scope, grant.audience, datetime.fromtimestamp(token.expires_at, UTC))
