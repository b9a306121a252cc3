"""Decides whether a text is an access token of ours that counts at this moment, whoever presents it."""

from datetime import UTC, datetime
from typing import NamedTuple

from idp.protocol.rules.grant import Grant, is_effective
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.jwt_access_tokens import JwtAccessTokens
from idp.protocol.services.sealed_values import AccessToken
from idp.protocol.stores.grants import GrantReads


class ReadToken(NamedTuple):
    """An access token that counts: scope, audience and key are the token's own, which may differ from the grant's."""

    grant: Grant
    scope: tuple[str, ...]
    audience: str | None
    expires_at: datetime
    issued_at: datetime
    confirmation: str | None


class AccessTokens:
    """Opens access tokens, opaque ones and JWTs; whether the presenter holds their key is another question (Possession.check_use)."""

    def __init__(self, values: BearerValues, grants: GrantReads, jwts: JwtAccessTokens | None = None) -> None:
        """Without ``jwts`` only opaque tokens count: those of resources of ours."""
        self._values = values
        self._grants = grants
        self._jwts = jwts

    def open(self, text: str) -> AccessToken | None:
        """Return what a text carries, None when it is no access token of ours; it may be too old, and its grant over."""
        if self._jwts is not None and text.count(".") == 2:
            return self._jwts.open(text)
        return self._values.open(AccessToken, text)

    async def read(self, text: str, now: datetime) -> ReadToken | None:
        """Return what a token stands for, None when it is not ours, too old, or its grant does not stand any more."""
        token = self.open(text)
        if token is None or now.timestamp() >= token.expires_at:
            return None
        grant = await self._grants.read(token.grant_id, now)
        return None if grant is None or not is_effective(grant, now) else describe_token(token, grant)


def describe_token(token: AccessToken, grant: Grant) -> ReadToken:
    """Return a token with its grant, whose scope and audience are those of a token that says none; its key the token says itself.

    Sent to its client as Bearer it stays that, whatever the grant is bound to since.
    """
    return ReadToken(
        grant=grant,
        scope=grant.scope if token.scope is None else tuple(token.scope.split()),
        audience=grant.audience if token.audience is None else token.audience,
        expires_at=datetime.fromtimestamp(token.expires_at, UTC),
        issued_at=datetime.fromtimestamp(token.issued_at, UTC),
        confirmation=token.confirmation,
    )
