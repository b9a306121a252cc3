"""Decides how an authorization code is redeemed: once, by its client, from its address, with its verifier and key (RFC 6749 §4.1.3)."""

from collections.abc import Mapping
from datetime import UTC, datetime

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.platform.audit_log import AuditLog
from idp.platform.ledger import GrantRow, Ledger, LedgerFull
from idp.protocol.rules.authorization_details import check_details
from idp.protocol.rules.client import Client, GrantType
from idp.protocol.rules.device_secret import SCOPE as APP_SCOPE
from idp.protocol.rules.pkce import proves
from idp.protocol.rules.resources import choose_audience
from idp.protocol.rules.token_request import RedeemCode, read_redemption
from idp.protocol.services.app_sessions import AppSessions
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.grant_endings import GrantEndings, make_invalid_grant
from idp.protocol.services.issuing import Basis, Issuing, TokenResponse
from idp.protocol.services.lifetimes import Lifetimes
from idp.protocol.services.sealed_values import AuthorizationCode
from idp.sign_in.rules.session import read_factors

EXPIRED = "expired"
NOT_VALID = "The authorization code is not valid for this request."


class CodeGrant:
    """``grant_type=authorization_code``."""

    def __init__(
        self,
        ledger: Ledger,
        audit: AuditLog,
        values: BearerValues,
        issuing: Issuing,
        endings: GrantEndings,
        lifetimes: Lifetimes,
        apps: AppSessions,
    ) -> None:
        self._ledger = ledger
        self._audit = audit
        self._values = values
        self._issuing = issuing
        self._endings = endings
        self._lifetimes = lifetimes
        self._apps = apps

    async def answer(self, parameters: Mapping[str, str], caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        """Redeem the code in one flush with its audit row; raise ProtocolError ``invalid_grant``."""
        client = caller.client
        request = read_redemption(parameters)
        seconds = int(now.timestamp())
        code = self._values.open(AuthorizationCode, request.code)
        if code is None:
            await self._endings.record_refusal(caller, None, "unreadable", request_id)
            raise make_invalid_grant(NOT_VALID, "unreadable")
        reason = _find_fault(code, request, caller, seconds)
        if reason is not None:
            if reason == EXPIRED:
                await self._end_replayed(code, client, now, request_id)
            await self._endings.record_refusal(caller, code.person_id, reason, request_id)
            raise make_invalid_grant(NOT_VALID, reason)
        check_details(code.terms, parameters, client)
        audience = choose_audience(code.terms, parameters, None)
        signers = await self._issuing.prepare(client, audience, code.scope.split())
        keeps = GrantType.REFRESH_TOKEN in client.grant_types
        offline = "offline_access" in code.scope.split()
        ends_at = seconds + self._lifetimes.offline if keeps and offline else code.session_ends_at
        lineage, app = code.lineage, None
        if keeps and APP_SCOPE in code.scope.split():
            app = await self._apps.open(code, client, request_id, Place())
            if app is None:
                await self._end_replayed(code, client, now, request_id)
                await self._endings.record_refusal(caller, code.person_id, "the session ended", request_id)
                raise make_invalid_grant(NOT_VALID, "the session ended")
            lineage, ends_at = app.lineage, int(app.expires_at.timestamp())
        grant = GrantRow(
            id=code.id,
            client_id=client.client_id,
            person_id=code.person_id,
            lineage=lineage,
            scope=code.scope,
            subject=code.subject,
            audience=audience,
            factors=code.factors,
            acr=code.acr,
            created_at=now,
            expires_at=datetime.fromtimestamp(ends_at, UTC),
            confirmation=caller.confirmation,
            terms=code.terms,
            signed_by=signers.kids,
        )
        event = AuditEvent(
            Kind.TOKEN_ISSUED,
            actor="client",
            person_id=code.person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"grant": GrantType.AUTHORIZATION_CODE.value},
        )
        try:
            redeemed = await self._ledger.redeem(grant, self._audit.prepare(event))
        except LedgerFull:  # the code is good for another try, which opens a sign-in of its own
            if app is not None:
                await self._apps.close(app, client, request_id)
            raise
        if not redeemed:
            if app is not None:
                await self._apps.close(app, client, request_id)
            await self._end_replayed(code, client, now, request_id)
            await self._endings.record_refusal(caller, code.person_id, "code used twice or no longer covered", request_id)
            raise make_invalid_grant(NOT_VALID, "used twice, or the session ended")
        basis = Basis(
            grant_id=code.id,
            person_id=code.person_id,
            ends_at=ends_at,
            scope=code.scope,
            subject=code.subject,
            lineage=lineage,
            proved=read_factors(code.factors),
            acr=code.acr,
            auth_time=code.auth_time,
            audience=audience,
            confirmation=caller.confirmation,
            terms=code.terms,
        )
        return await self._issuing.issue(
            client,
            basis,
            seconds,
            generation=0 if keeps else None,
            nonce=code.nonce,
            signers=signers,
            device_secret=None if app is None else self._apps.make_device_secret(lineage, client, app.expires_at),
            request_id=request_id,
        )

    async def _end_replayed(self, code: AuthorizationCode, client: Client, now: datetime, request_id: str) -> None:
        """End the grant of a code that was used before, whenever it comes with its proofs (RFC 6749 §4.1.2); nothing if it was not."""
        await self._endings.end(code.id, code.person_id, client, now, "code used twice", request_id)


def _find_fault(code: AuthorizationCode, request: RedeemCode, caller: Caller, now: int) -> str | None:
    """Return why a code does not fit its request, None when it does. No fault says anything to the client but ``invalid_grant``.

    That it is too old comes last: it ends what the code gave, so only whoever proved everything else may say it (RFC 7636 §4.6).
    """
    if code.client_id != caller.client.client_id:
        return "of another client"
    if code.redirect_uri != request.redirect_uri:
        return "another redirect URI"
    if not proves(request.verifier, code.challenge):
        return "the code verifier does not fit"
    if code.sector_id not in (None, caller.client.sector_id):
        return "of another sector"
    if code.confirmation is not None and code.confirmation != caller.confirmation:
        return "bound to another key"
    return EXPIRED if now >= code.expires_at else None
