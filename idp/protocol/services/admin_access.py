"""Decides who may use the admin API: a client's own access token for it, looked up each time, so that suspending it holds at once."""

from dataclasses import dataclass

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.admin_scopes import PATH, AdminScope
from idp.protocol.services.possession import TokenUse
from idp.protocol.services.resources import Resources


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

    def __init__(self, resources: Resources, issuer: str) -> None:
        self._resources = resources
        self._audience = issuer + PATH

    def make_nonce(self) -> str:
        """Return the nonce that the next DPoP proof should carry."""
        return self._resources.make_nonce()

    async def check(self, use: TokenUse) -> Administrator:
        """Return who asks; raise ProtocolError ``invalid_token``, ``insufficient_scope`` or those of a proof."""
        read = await self._resources.open(use)
        # A person's token never reaches here, whatever its scope: the audience is given to clients for themselves.
        if read.grant.person_id is not None or read.audience != self._audience:
            raise ProtocolError("insufficient_scope", f"This needs a token for {self._audience}.", redirectable=False)
        return Administrator(f"client:{read.grant.client_id}", frozenset(read.scope))
