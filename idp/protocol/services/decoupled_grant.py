"""Decides what a device that waits for an answer elsewhere gets: tokens without a session, once (RFC 8628 §3.4, CIBA §10.1)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Random
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import make_uuid7
from idp.platform.audit_log import AuditLog
from idp.platform.ledger import GrantRow, Ledger, LedgerFull
from idp.protocol.rules.client import GrantType
from idp.protocol.rules.decoupled_level import list_told
from idp.protocol.rules.decoupled_request import Approval, DecoupledRequest
from idp.protocol.rules.decoupled_request import Kind as RequestKind
from idp.protocol.rules.resources import choose_audience
from idp.protocol.rules.token_request import need
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.decoupled_requests import DecoupledRequests
from idp.protocol.services.grant_endings import GrantEndings, make_invalid_grant
from idp.protocol.services.issuing import Basis, Issuing, Signers, TokenResponse
from idp.sign_in.rules.session import read_factors

GRANT_LIFE = timedelta(minutes=10)
IDLE_LIMIT = 120
"""Seconds after which a kiosk's grant that nobody used is over: the person has left."""

PARAMETER = {RequestKind.DEVICE: "device_code", RequestKind.CIBA: "auth_req_id"}
GRANT_TYPE = {RequestKind.DEVICE: GrantType.DEVICE_CODE, RequestKind.CIBA: GrantType.CIBA}


class DecoupledGrant:
    """``grant_type`` of one kind of decoupled request."""

    def __init__(
        self,
        kind: RequestKind,
        requests: DecoupledRequests,
        ledger: Ledger,
        audit: AuditLog,
        issuing: Issuing,
        endings: GrantEndings,
        random: Random,
    ) -> None:
        self._kind = kind
        self._requests = requests
        self._ledger = ledger
        self._audit = audit
        self._issuing = issuing
        self._endings = endings
        self._random = random

    async def answer(self, parameters: Mapping[str, str], caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        """Return the tokens of an approved request, once; raise ProtocolError with the word of RFC 8628 §3.5 otherwise."""
        client = caller.client
        poll = await self._requests.poll(need(parameters, PARAMETER[self._kind]), client.client_id, self._kind)
        if poll is None:
            raise await self._refuse_gone(caller, request_id)
        if poll.error:
            raise _explain(poll.error)
        audience = choose_audience(poll.request.terms, parameters, None)
        signers = await self._issuing.prepare(client, audience, poll.request.scope)
        if not await self._requests.take(poll.request):
            raise await self._refuse_gone(caller, request_id)
        approval = poll.request.approval
        assert approval is not None  # noqa: S101 - approved requests carry it
        if approval.sector_id not in (None, client.sector_id):
            await self._endings.record_refusal(caller, approval.person_id, "of another sector", request_id)
            raise make_invalid_grant("The request is not valid any more.", "of another sector")
        try:
            return await self._issue(poll.request, approval, audience, signers, caller, now, request_id)
        except LedgerFull:  # nothing was written, and the client is told to come back
            await self._requests.put_back(poll.request)
            raise

    async def _refuse_gone(self, caller: Caller, request_id: str) -> ProtocolError:
        await self._endings.record_refusal(caller, None, "unknown or used", request_id)
        return make_invalid_grant("There is no such request of this client, or it was answered already.", "unknown or used")

    async def _issue(
        self,
        request: DecoupledRequest,
        approval: Approval,
        audience: str | None,
        signers: Signers,
        caller: Caller,
        now: datetime,
        request_id: str,
    ) -> TokenResponse:
        client = caller.client
        ends = now + GRANT_LIFE
        scope = " ".join(request.scope)
        grant = GrantRow(
            id=make_uuid7(lambda: now, self._random),
            client_id=client.client_id,
            person_id=approval.person_id,
            lineage=None,
            scope=scope,
            subject=approval.subject,
            audience=audience,
            factors=approval.factors,
            acr=approval.acr,
            created_at=now,
            expires_at=ends,
            confirmation=caller.confirmation,
            terms=request.terms,
            signed_by=signers.kids,
            idle_limit=IDLE_LIMIT if self._kind is RequestKind.DEVICE else None,
        )
        event = AuditEvent(
            Kind.TOKEN_ISSUED,
            actor="client",
            person_id=approval.person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"grant": GRANT_TYPE[self._kind].value},
        )
        if not await self._ledger.redeem(grant, self._audit.prepare(event)):
            await self._endings.record_refusal(caller, approval.person_id, "the account is closed to sign-in", request_id)
            raise make_invalid_grant("The request is not valid any more.", "the account is closed to sign-in")
        seconds = int(now.timestamp())
        basis = Basis(
            grant_id=grant.id,
            person_id=approval.person_id,
            ends_at=int(ends.astimezone(UTC).timestamp()),
            scope=scope,
            subject=approval.subject,
            # No browser session stands behind it: a sid of its own, that no other grant shares.
            lineage=grant.id.bytes,
            proved=list_told(read_factors(approval.factors)),
            acr=approval.acr,
            auth_time=approval.auth_time,
            audience=audience,
            confirmation=caller.confirmation,
            terms=request.terms,
        )
        # A JWT is read without us, so it lives no longer than any other: whoever reads it lags behind for five minutes at most.
        life = int(GRANT_LIFE.total_seconds()) if signers.access_token is None else None
        return await self._issuing.issue(client, basis, seconds, life=life, signers=signers)


def _explain(error: str) -> ProtocolError:
    """Return the answer to a poll that gets no tokens."""
    match error:
        case "authorization_pending":
            return ProtocolError("authorization_pending", "The person has not answered yet.", redirectable=False)
        case "slow_down":
            return ProtocolError("slow_down", "Wait five seconds longer between two requests from now on.", redirectable=False)
        case "access_denied":
            return ProtocolError("access_denied", "The person refused.", redirectable=False)
        case _:
            return ProtocolError("expired_token", "Nobody answered in time; begin again.", redirectable=False)
