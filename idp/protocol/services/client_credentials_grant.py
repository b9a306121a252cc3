"""Decides what a client gets that asks for itself: an access token of its own grant, and nothing else (RFC 6749 §4.4)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Random
from idp.kernel.ids import make_uuid7
from idp.platform.audit_log import AuditLog
from idp.platform.ledger import GrantRow, Ledger
from idp.protocol.rules.admin_scopes import PATH as ADMIN_PATH
from idp.protocol.rules.client import GrantType
from idp.protocol.rules.token_request import read_own_credentials
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.issuing import Basis, Issuing, TokenResponse
from idp.protocol.services.lifetimes import Lifetimes


class ClientCredentialsGrant:
    """``grant_type=client_credentials``."""

    def __init__(self, ledger: Ledger, audit: AuditLog, issuing: Issuing, lifetimes: Lifetimes, random: Random, issuer: str) -> None:
        self._ledger = ledger
        self._audit = audit
        self._issuing = issuing
        self._life = timedelta(seconds=lifetimes.access_token)
        self._random = random
        self._admin_resource = issuer + ADMIN_PATH

    async def answer(self, parameters: Mapping[str, str], caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        """Write a grant of the client's own with its audit row; raise ProtocolError ``invalid_target``."""
        client = caller.client
        request = read_own_credentials(parameters, client, self._admin_resource)
        signers = await self._issuing.prepare(client, request.audience, request.scope)
        grant = GrantRow(
            id=make_uuid7(lambda: now, self._random),
            client_id=client.client_id,
            person_id=None,
            lineage=None,
            scope=" ".join(request.scope),
            subject=None,
            audience=request.audience,
            factors="[]",
            acr=None,
            created_at=now,
            expires_at=now + self._life,
            confirmation=caller.confirmation,
            signed_by=None if signers.access_token is None else signers.access_token.kid,
        )
        event = AuditEvent(
            Kind.TOKEN_ISSUED,
            actor="client",
            client_id=client.client_id,
            request_id=request_id,
            details={"grant": GrantType.CLIENT_CREDENTIALS.value},
        )
        await self._ledger.redeem(grant, self._audit.prepare(event))
        seconds = int(now.timestamp())
        basis = Basis(
            grant_id=grant.id,
            person_id=None,
            ends_at=seconds + int(self._life.total_seconds()),
            scope=" ".join(request.scope),
            subject=None,
            lineage=None,
            proved=(),
            acr=None,
            auth_time=None,
            audience=request.audience,
            confirmation=caller.confirmation,
            terms=None,
        )
        response = await self._issuing.issue(client, basis, seconds, signers=signers)
        return replace(response, scope="") if request.drops_scope else response
