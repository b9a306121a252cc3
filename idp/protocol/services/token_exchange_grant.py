"""Decides what one token is exchanged for another: never more than the first has, and always with who acts written inside (RFC 8693)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Random
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import make_uuid7
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import GrantRow, Ledger
from idp.protocol.rules.authorization import FIRST_VISIT, Denied, Granted, decide
from idp.protocol.rules.client import Client, GrantType
from idp.protocol.rules.client_status import CLOSED
from idp.protocol.rules.device_secret import SCOPE as APP_SCOPE
from idp.protocol.rules.device_secret import is_named
from idp.protocol.rules.grant import Grant
from idp.protocol.rules.scopes import choose_client_scope
from idp.protocol.rules.terms import NO_TERMS, read_terms, write_terms
from idp.protocol.rules.token_exchange import (
    ExchangeAccess,
    ExchangeDeviceSecret,
    ExchangeForTicket,
    TokenType,
    add_actor,
    describe_silent_request,
    find_exchange_fault,
    find_ticket_fault,
    narrow_exchange,
    read_exchange,
)
from idp.protocol.services.access_tokens import AccessTokens, ReadToken
from idp.protocol.services.app_sessions import AppSessions
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.front_tickets import FrontTickets
from idp.protocol.services.grant_endings import GrantEndings
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.issuing import Basis, Issuing, TokenResponse
from idp.protocol.services.jwt_access_tokens import make_unknown_resource
from idp.protocol.services.sector_subjects import SectorSubjects
from idp.protocol.stores import resource_servers
from idp.protocol.stores.grants import AppSignIn, GrantReads
from idp.protocol.stores.standing import StandingReads
from idp.sign_in.rules.session import write_factors


class TokenExchangeGrant:
    """``grant_type=urn:ietf:params:oauth:grant-type:token-exchange``."""

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        audit: AuditLog,
        grants: GrantReads,
        subjects: SectorSubjects,
        access_tokens: AccessTokens,
        id_tokens: IdTokens,
        apps: AppSessions,
        tickets: FrontTickets,
        directory: ClientDirectory,
        standings: StandingReads,
        issuing: Issuing,
        endings: GrantEndings,
        issuer: str,
        random: Random,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._grants = grants
        self._subjects = subjects
        self._access_tokens = access_tokens
        self._id_tokens = id_tokens
        self._apps = apps
        self._tickets = tickets
        self._directory = directory
        self._standings = standings
        self._issuing = issuing
        self._endings = endings
        self._issuer = issuer
        self._random = random

    async def answer(self, parameters: Mapping[str, str], caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        """Return the new token; raise ProtocolError."""
        exchange = read_exchange(parameters, self._issuer)
        match exchange:
            case ExchangeAccess():
                return await self._exchange_access(exchange, caller, now, request_id)
            case ExchangeForTicket():
                return await self._exchange_for_ticket(exchange, caller, now, request_id)
            case ExchangeDeviceSecret():
                return await self._exchange_device_secret(exchange, caller, now, request_id)

    async def _exchange_access(self, exchange: ExchangeAccess, caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        client = caller.client
        read = await self._read_subject_token(exchange.subject_token, caller, now, request_id)
        if exchange.resource not in client.requests.allowed_resources:
            raise ProtocolError("invalid_target", "This resource is not known for this client.", redirectable=False)
        scope = narrow_exchange(read.scope, exchange.scope)
        grant = read.grant
        terms = read_terms(grant.terms)
        act = add_actor(client.client_id, terms.actor)
        # What was asked for another audience, or for UserInfo, does not travel on.
        kept = replace(NO_TERMS, actor=act, kind="exchange", authorization_details=terms.authorization_details)
        if await resource_servers.read(self._database, exchange.resource) is None:
            raise make_unknown_resource()
        subject = await self._find_subject(grant, client)
        signers = await self._issuing.prepare(client, exchange.resource, ())  # no ID Token: it is for a resource server
        row = GrantRow(
            id=make_uuid7(lambda: now, self._random),
            client_id=client.client_id,
            person_id=grant.person_id,
            lineage=grant.lineage,
            scope=" ".join(scope),
            subject=subject,
            audience=exchange.resource,
            factors=write_factors(grant.proved),
            acr=grant.acr,
            created_at=now,
            expires_at=min(read.expires_at, grant.expires_at),
            confirmation=caller.confirmation,
            terms=write_terms(kept),
            signed_by=signers.kids,
            idle_limit=grant.idle_limit,
            parent_id=grant.id,
        )
        await self._write(row, caller, request_id, {"grant": GrantType.TOKEN_EXCHANGE.value, "of": grant.client_id})
        basis = _make_basis(row, grant)._replace(lineage=None)
        return await self._issuing.issue(
            client, basis, int(now.timestamp()), signers=signers, issued_token_type=TokenType.ACCESS_TOKEN.value
        )

    async def _exchange_for_ticket(self, exchange: ExchangeForTicket, caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        read = await self._read_subject_token(exchange.subject_token, caller, now, request_id)
        client, grant = caller.client, read.grant
        fault = find_ticket_fault(client.client_id, grant, read.scope, read.audience)
        if fault is not None:
            raise await self._refuse(caller, grant, fault, request_id)
        target = await self._directory.find(exchange.target)
        if exchange.target not in client.requests.front_ticket_targets or target is None or target.status in CLOSED:
            raise ProtocolError("invalid_target", "This app may not enter there.", redirectable=False)
        ticket = self._tickets.make(grant, target, exchange.challenge, now)
        event = AuditEvent(
            Kind.TICKET_ISSUED,
            actor="client",
            person_id=grant.person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"target": target.client_id},
        )
        await self._ledger.record(self._audit.prepare(event))
        return TokenResponse(
            access_token=ticket,
            expires_in=self._tickets.life,
            token_type="N_A",
            issued_token_type=TokenType.FRONT_TICKET.value,
        )

    async def _exchange_device_secret(
        self, exchange: ExchangeDeviceSecret, caller: Caller, now: datetime, request_id: str
    ) -> TokenResponse:
        client = caller.client
        secret = self._apps.open_device_secret(exchange.device_secret, now)
        hinted = self._id_tokens.read_hint(exchange.id_token)
        if secret is None or hinted is None or not is_named(exchange.device_secret, hinted.device_secret_hash):
            raise await self._refuse(caller, None, "the device secret is not the ID Token's", request_id)
        if APP_SCOPE not in client.scopes or client.sector_id != secret.sector_id:
            raise ProtocolError("unauthorized_client", "This app does not share sign-ins with that one.", redirectable=False)
        sign_in = await self._grants.read_app_sign_in(secret.lineage, now)
        if sign_in is None or hinted.sid != self._id_tokens.make_sid(secret.lineage, hinted.client_id):
            raise await self._refuse(caller, None, "the app's sign-in ended", request_id)
        return await self._sign_in_app(exchange, sign_in, caller, now, request_id)

    async def _sign_in_app(
        self, exchange: ExchangeDeviceSecret, sign_in: AppSignIn, caller: Caller, now: datetime, request_id: str
    ) -> TokenResponse:
        client = caller.client
        keeps = GrantType.REFRESH_TOKEN in client.grant_types
        scope = choose_client_scope(exchange.scope, client)
        granted = await self._decide(client, scope, sign_in, now)
        subject = await self._subjects.find(sign_in.person_id, client.sector_id)
        signers = await self._issuing.prepare(client, None, scope)
        row = GrantRow(
            id=make_uuid7(lambda: now, self._random),
            client_id=client.client_id,
            person_id=sign_in.person_id,
            lineage=sign_in.lineage,
            scope=" ".join(scope),
            subject=subject,
            audience=None,
            factors=write_factors(granted.proved),
            acr=granted.acr.value,
            created_at=now,
            expires_at=sign_in.expires_at,
            confirmation=caller.confirmation,
            signed_by=signers.kids,
        )
        await self._write(row, caller, request_id, {"grant": GrantType.TOKEN_EXCHANGE.value, "of": "device secret"})
        basis = Basis(
            grant_id=row.id,
            person_id=row.person_id,
            ends_at=int(row.expires_at.timestamp()),
            scope=row.scope,
            subject=subject,
            lineage=row.lineage,
            proved=granted.proved,
            acr=row.acr,
            auth_time=int(granted.auth_time.timestamp()),
            audience=None,
            confirmation=row.confirmation,
            terms=None,
        )
        return await self._issuing.issue(
            client,
            basis,
            int(now.timestamp()),
            generation=0 if keeps else None,
            signers=signers,
            device_secret=exchange.device_secret,
            issued_token_type=TokenType.ACCESS_TOKEN.value,
        )

    async def _decide(self, client: Client, scope: tuple[str, ...], sign_in: AppSignIn, now: datetime) -> Granted:
        """Return what a silent authorization of this client would grant; raise the ProtocolError that it would end with."""
        # An app's session is found as a browser's: its lineage is its own id.
        presence = await self._standings.read(sign_in.lineage, client.client_id, client.sector_id)
        request = describe_silent_request(client, scope)
        decision = decide(request, client, None if presence is None else presence.standing, None, FIRST_VISIT, now)
        match decision:
            case Granted():
                return decision
            case Denied():
                raise replace(decision.error, redirectable=False)
            case _:
                raise _refuse_subject("a page would be needed")

    async def _read_subject_token(self, text: str, caller: Caller, now: datetime, request_id: str) -> ReadToken:
        read = await self._access_tokens.read(text, now)
        if read is None:
            raise await self._refuse(caller, None, "not an access token that counts", request_id)
        grant = read.grant
        fault = find_exchange_fault(caller.client, grant.client_id, read.audience, read.confirmation, caller.confirmation)
        if fault is not None:
            raise await self._refuse(caller, grant, fault, request_id)
        return read

    async def _find_subject(self, grant: Grant, client: Client) -> str | None:
        """Return whom ``client`` knows the person as: what the resource server may call them is found where it asks, by its own sector."""
        if grant.person_id is None or grant.client_id == client.client_id:
            return grant.subject
        return await self._subjects.find(grant.person_id, client.sector_id)

    async def _write(self, row: GrantRow, caller: Caller, request_id: str, details: dict[str, Detail]) -> None:
        event = AuditEvent(
            Kind.TOKEN_ISSUED,
            actor="client",
            person_id=row.person_id,
            client_id=caller.client.client_id,
            request_id=request_id,
            details=details,
        )
        if not await self._ledger.redeem(row, self._audit.prepare(event)):
            raise _refuse_subject("the sign-in ended meanwhile")

    async def _refuse(self, caller: Caller, grant: Grant | None, reason: str, request_id: str) -> ProtocolError:
        await self._endings.record_refusal(caller, grant.person_id if grant is not None else None, reason, request_id)
        return _refuse_subject(reason)


def _refuse_subject(hint: str) -> ProtocolError:
    """Return the error of a subject or actor token that does not do, whatever the reason is (RFC 8693 §2.2.2)."""
    return ProtocolError("invalid_request", "The subject token is not valid for this request.", hint, redirectable=False)


def _make_basis(row: GrantRow, grant: Grant) -> Basis:
    return Basis(
        grant_id=row.id,
        person_id=row.person_id,
        ends_at=int(row.expires_at.astimezone(UTC).timestamp()),
        scope=row.scope,
        subject=row.subject,
        lineage=row.lineage,
        proved=grant.proved,
        acr=row.acr,
        auth_time=int(min(p.at for p in grant.proved).timestamp()) if grant.proved else None,
        audience=row.audience,
        confirmation=row.confirmation,
        terms=row.terms,
    )
