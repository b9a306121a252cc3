"""Decides who may use the admin API: a client's own access token for it, looked up each time, so that suspending it holds at once."""

from collections.abc import Collection
from dataclasses import dataclass

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.protocol.rules.admin_scopes import PATH, AdminScope
from idp.protocol.services.access_tokens import AccessTokens


@dataclass(frozen=True)
class Administrator:
    """Who asks: the client, as audit and changes name it, and what its token allows."""

    actor: str
    scopes: frozenset[str]

    def need(self, scope: AdminScope) -> None:
        """Raise ProtocolError ``insufficient_scope`` unless the token has this scope."""
        if scope.value not in self.scopes:
            raise ProtocolError("insufficient_scope", f"This needs the scope {scope.value}.", redirectable=False)


class AdminAccess:
    """Checks access tokens of the admin API."""

    def __init__(self, access_tokens: AccessTokens, issuer: str, clock: Clock) -> None:
        self._access_tokens = access_tokens
        self._audience = issuer + PATH
        self._clock = clock

    async def check(self, token: str, proved: Collection[str]) -> Administrator:
        """Return who asks; raise ProtocolError ``invalid_token`` or ``insufficient_scope``.

        ``proved`` are the keys that the request proved to hold: a bound token counts with its own key only.
        """
        read = await self._access_tokens.read(token, self._clock())
        if read is None or (read.grant.confirmation is not None and read.grant.confirmation not in proved):
            raise ProtocolError("invalid_token", "The access token is not valid.", redirectable=False)
        # A person's token never reaches here, whatever its scope: the audience is given to clients for themselves.
        if read.grant.person_id is not None or read.audience != self._audience:
            raise ProtocolError("insufficient_scope", f"This needs a token for {self._audience}.", redirectable=False)
        return Administrator(f"client:{read.grant.client_id}", frozenset(read.scope))
