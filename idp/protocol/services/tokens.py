"""Decides what a token request is answered with: redeem, rotate or issue in one flush with its audit row (RFC 6749 §4.1.3, §6)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import assert_never
from uuid import UUID

import msgspec

from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import GrantId, make_uuid7
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import GrantRow, Ledger, Rotation
from idp.protocol.rules.claims import list_amr
from idp.protocol.rules.client import AuthMethod, Client, GrantType
from idp.protocol.rules.grant import Grant, Ineffective, Repeat, Reused, Rotate, decide_refresh
from idp.protocol.rules.pkce import proves
from idp.protocol.rules.token_request import RedeemCode, Refresh, UseOwnCredentials, narrow_scope, read_token_request
from idp.protocol.services.authorization import Lifetimes
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.sealed_values import AccessToken, AuthorizationCode, RefreshToken
from idp.protocol.stores import grants as grant_store
from idp.protocol.stores.grants import GrantReads
from idp.sign_in.rules.session import read_factors


class TokenResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The successful answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: str
    expires_in: int
    scope: str | None = None
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str = msgspec.field(default_factory=lambda: "Bearer")


EXPIRED = "expired"
_encode = msgspec.json.Encoder().encode


class Tokens:
    """Answers token requests of clients that were authenticated."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        audit: AuditLog,
        grants: GrantReads,
        values: BearerValues,
        id_tokens: IdTokens,
        lifetimes: Lifetimes,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._grants = grants
        self._values = values
        self._id_tokens = id_tokens
        self._lifetimes = lifetimes
        self._clock = clock
        self._random = random

    async def answer(self, parameters: Mapping[str, str], client: Client, request_id: str) -> bytes:
        """Return the JSON answer; raise ProtocolError."""
        request = read_token_request(parameters, client)
        now = self._clock()
        match request:
            case RedeemCode():
                response = await self._redeem(request, client, now, request_id)
            case Refresh():
                response = await self._refresh(request, client, now, request_id)
            case UseOwnCredentials():
                response = await self._issue_to_client(request, client, now, request_id)
            case _:
                assert_never(request)
        return _encode(response)

    async def _redeem(self, request: RedeemCode, client: Client, now: datetime, request_id: str) -> TokenResponse:
        seconds = int(now.timestamp())
        code = self._values.open(AuthorizationCode, request.code)
        reason = _find_fault(code, request, client, seconds)
        if reason is not None or code is None:
            if code is not None and reason == EXPIRED:
                await self._end_replayed(code, client, now, request_id)
            await self._record_refusal(client, code, reason or "unreadable", request_id)
            raise _bad_grant("The authorization code is not valid for this request.", reason or "unreadable")
        keeps = GrantType.REFRESH_TOKEN in client.grant_types
        offline = "offline_access" in code.scope.split()
        ends_at = seconds + self._lifetimes.offline if keeps and offline else code.session_ends_at
        grant = GrantRow(
            id=code.id,
            client_id=client.client_id,
            person_id=code.person_id,
            lineage=code.lineage,
            scope=code.scope,
            subject=code.subject,
            audience=None,
            factors=code.factors,
            acr=code.acr,
            created_at=now,
            expires_at=datetime.fromtimestamp(ends_at, UTC),
        )
        event = AuditEvent(
            Kind.TOKEN_ISSUED,
            actor="client",
            person_id=code.person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"grant": GrantType.AUTHORIZATION_CODE.value},
        )
        if not await self._ledger.redeem(grant, self._audit.prepare(event)):
            await self._end_replayed(code, client, now, request_id)
            await self._record_refusal(client, code, "code used twice or no longer covered", request_id)
            raise _bad_grant("The authorization code is not valid for this request.", "used twice, or the session ended")
        id_token = await self._id_tokens.sign(
            client.id_token_algorithm,
            client.client_id,
            code.subject,
            code.lineage,
            seconds,
            auth_time=code.auth_time,
            acr=code.acr,
            amr=list_amr(read_factors(code.factors)),
            nonce=code.nonce,
        )
        return TokenResponse(
            access_token=self._seal_access_token(code.id, seconds, ends_at),
            expires_in=min(self._lifetimes.access_token, ends_at - seconds),
            scope=code.scope,
            refresh_token=self._seal_refresh_token(code.id, 0, seconds, ends_at) if keeps else None,
            id_token=id_token,
        )

    async def _end_replayed(self, code: AuthorizationCode, client: Client, now: datetime, request_id: str) -> None:
        """End the grant of a code that was used before, whenever it comes again (RFC 6749 §4.1.2); nothing when it never was."""
        async with self._database.transaction() as tx:
            if await grant_store.end(tx, code.id, now, "code used twice") is not None:
                await self._audit.record(tx, _make_grant_ended(code.person_id, client, "code used twice", request_id))

    async def _refresh(self, request: Refresh, client: Client, now: datetime, request_id: str) -> TokenResponse:
        seconds = int(now.timestamp())
        token = self._values.open(RefreshToken, request.refresh_token)
        if token is None or seconds >= token.expires_at:
            raise _bad_grant("The refresh token is not valid.", "unreadable" if token is None else "expired")
        grant = await self._grants.read(token.grant_id, now)
        if grant is None or grant.client_id != client.client_id or grant.person_id is None:
            raise _bad_grant("The refresh token is not valid.", "of another client")
        scope = narrow_scope(grant.scope, request.scope)
        generation = await self._find_next_generation(grant, token, client, now, request_id)
        ends_at = int(grant.expires_at.timestamp())
        id_token = None
        if grant.subject is not None and grant.lineage is not None:
            id_token = await self._id_tokens.sign(
                client.id_token_algorithm,
                client.client_id,
                grant.subject,
                grant.lineage,
                seconds,
                auth_time=int(min(p.at for p in grant.proved).timestamp()),
                acr=grant.acr,
                amr=list_amr(grant.proved),
                nonce=None,
            )
        return TokenResponse(
            access_token=self._seal_access_token(grant.id, seconds, ends_at, None if scope == grant.scope else " ".join(scope)),
            expires_in=min(self._lifetimes.access_token, ends_at - seconds),
            scope=" ".join(scope),
            refresh_token=self._seal_refresh_token(grant.id, generation, seconds, ends_at),
            id_token=id_token,
        )

    async def _find_next_generation(self, grant: Grant, token: RefreshToken, client: Client, now: datetime, request_id: str) -> int:
        """Return the generation of the successor; raise ProtocolError, and end the grant when the token was used before."""
        decision = decide_refresh(grant, token.generation, client.auth_method is not AuthMethod.NONE, now)
        event = AuditEvent(
            Kind.TOKEN_REFRESHED, actor="client", person_id=grant.person_id, client_id=client.client_id, request_id=request_id
        )
        match decision:
            case Rotate():
                if await self._ledger.rotate(Rotation(grant.id, token.generation, now), self._audit.prepare(event)):
                    return token.generation + 1
                # Another request with the same token came first: what the grant says now decides, as if it had come a moment later.
                moved = await self._grants.read(grant.id, now)
                if moved is None or moved.generation == token.generation:
                    raise _bad_grant("The refresh token is not valid.", "the grant ended")
                return await self._find_next_generation(moved, token, client, now, request_id)
            case Repeat():
                async with self._database.transaction() as tx:
                    if not await grant_store.spend_grace(tx, grant.id, grant.generation):
                        raise _bad_grant("The refresh token is not valid.", "grace was spent")
                    await self._audit.record(tx, event)
                return grant.generation
            case Reused():
                await self._end_reused(grant, client, now, request_id)
                raise _bad_grant("The refresh token is not valid.", "reused")
            case Ineffective():
                raise _bad_grant("The refresh token is not valid.", "the grant ended")
            case _:
                assert_never(decision)

    async def _end_reused(self, grant: Grant, client: Client, now: datetime, request_id: str) -> None:
        async with self._database.transaction() as tx:
            if await grant_store.end(tx, grant.id, now, "refresh token reused") is not None:
                await self._audit.record(tx, _make_grant_ended(grant.person_id, client, "refresh token reused", request_id))

    async def _issue_to_client(self, request: UseOwnCredentials, client: Client, now: datetime, request_id: str) -> TokenResponse:
        seconds = int(now.timestamp())
        grant_id = GrantId(make_uuid7(lambda: now, self._random))
        ends_at = seconds + self._lifetimes.access_token
        grant = GrantRow(
            id=grant_id,
            client_id=client.client_id,
            person_id=None,
            lineage=None,
            scope="",
            subject=None,
            audience=request.audience,
            factors="[]",
            acr=None,
            created_at=now,
            expires_at=now + timedelta(seconds=self._lifetimes.access_token),
        )
        event = AuditEvent(
            Kind.TOKEN_ISSUED,
            actor="client",
            client_id=client.client_id,
            request_id=request_id,
            details={"grant": GrantType.CLIENT_CREDENTIALS.value},
        )
        await self._ledger.redeem(grant, self._audit.prepare(event))
        return TokenResponse(access_token=self._seal_access_token(grant_id, seconds, ends_at), expires_in=self._lifetimes.access_token)

    def _seal_access_token(self, grant_id: UUID, now: int, ends_at: int, scope: str | None = None) -> str:
        return self._values.seal(AccessToken(grant_id, min(now + self._lifetimes.access_token, ends_at), now, scope))

    def _seal_refresh_token(self, grant_id: UUID, generation: int, now: int, ends_at: int) -> str:
        return self._values.seal(RefreshToken(grant_id, generation, min(now + self._lifetimes.refresh_idle, ends_at)))

    async def _record_refusal(self, client: Client, code: AuthorizationCode | None, reason: str, request_id: str) -> None:
        event = AuditEvent(
            Kind.TOKEN_REFUSED,
            Result.REFUSED,
            actor="client",
            person_id=None if code is None else code.person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"reason": reason},
        )
        await self._ledger.record(self._audit.prepare(event))


def _find_fault(code: AuthorizationCode | None, request: RedeemCode, client: Client, now: int) -> str | None:
    """Return why a code does not fit its request, None when it does. No fault says anything to the client but ``invalid_grant``."""
    if code is None:
        return "unreadable"
    if code.client_id != client.client_id:
        return "of another client"
    if now >= code.expires_at:
        return EXPIRED
    if code.redirect_uri != request.redirect_uri:
        return "another redirect URI"
    if not proves(request.verifier, code.challenge):
        return "the code verifier does not fit"
    return None


def _make_grant_ended(person_id: UUID | None, client: Client, reason: str, request_id: str) -> AuditEvent:
    return AuditEvent(
        Kind.GRANT_ENDED,
        Result.REFUSED,
        actor="client",
        person_id=person_id,
        client_id=client.client_id,
        request_id=request_id,
        details={"reason": reason},
    )


def _bad_grant(description: str, hint: str) -> ProtocolError:
    return ProtocolError("invalid_grant", description, hint, redirectable=False)
