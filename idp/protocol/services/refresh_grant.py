"""Decides how a refresh token is exchanged: the generation moves on in one flush with its audit row (RFC 6749 §6, RFC 9700 §4.14)."""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

import msgspec

from idp.kernel.audit_events import AuditEvent, Kind
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import Ledger, Rotation
from idp.protocol.rules.authorization_details import check_details
from idp.protocol.rules.client import AuthMethod, Client
from idp.protocol.rules.confirmation import choose_lasting, may_continue, may_repeat
from idp.protocol.rules.grant import Grant, Ineffective, Repeat, Reused, Rotate, decide_refresh
from idp.protocol.rules.profile import find_demands
from idp.protocol.rules.resources import choose_audience
from idp.protocol.rules.token_request import narrow_scope, read_refresh
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.grant_endings import GrantEndings, make_invalid_grant
from idp.protocol.services.issuing import Basis, Issuing, TokenResponse
from idp.protocol.services.sealed_values import RefreshToken
from idp.protocol.stores import grants as grant_store
from idp.protocol.stores.grants import GrantReads

NOT_VALID = "The refresh token is not valid."


class RefreshGrant:
    """``grant_type=refresh_token``."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        audit: AuditLog,
        grants: GrantReads,
        values: BearerValues,
        issuing: Issuing,
        endings: GrantEndings,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._grants = grants
        self._values = values
        self._issuing = issuing
        self._endings = endings

    async def answer(self, parameters: Mapping[str, str], caller: Caller, now: datetime, request_id: str) -> TokenResponse:
        """Rotate the refresh token; raise ProtocolError ``invalid_grant``, and end the grant when the token was used before."""
        client = caller.client
        request = read_refresh(parameters)
        seconds = int(now.timestamp())
        token = self._values.open(RefreshToken, request.refresh_token)
        if token is None or seconds >= token.expires_at:
            raise make_invalid_grant(NOT_VALID, "unreadable" if token is None else "expired")
        grant = await self._grants.read(token.grant_id, now)
        if grant is None or grant.client_id != client.client_id or grant.person_id is None:
            raise make_invalid_grant(NOT_VALID, "of another client")
        # A token from before the grant had a key was anybody's who found it: when it comes back, it counts as used again, with any key.
        needs_key = token.bound or token.generation >= grant.generation
        if needs_key and not may_continue(grant.confirmation, caller.confirmation, _is_authenticated(client)):
            raise make_invalid_grant(NOT_VALID, "bound to another key")
        scope = narrow_scope(client, grant.scope, request.scope)
        check_details(grant.terms, parameters, client)
        audience = choose_audience(grant.terms, parameters, grant.audience)
        signers = await self._issuing.prepare(client, audience, scope)
        rotates = find_demands(client.profile).rotates_refresh
        if rotates:
            generation: int | None = await self._find_next_generation(grant, token, caller, now, request_id, signers.kids)
        else:
            generation = None
            await self._use_again(grant, token, client, now, request_id, signers.kids)
        basis = Basis(
            grant_id=grant.id,
            person_id=grant.person_id,
            ends_at=int(grant.expires_at.timestamp()),
            scope=" ".join(grant.scope),
            subject=grant.subject,
            lineage=grant.lineage,
            proved=grant.proved,
            acr=grant.acr,
            auth_time=int(min(p.at for p in grant.proved).timestamp()),
            audience=audience,
            confirmation=caller.confirmation,
            terms=grant.terms,
        )
        narrowed = None if scope == grant.scope else " ".join(scope)
        answer = await self._issuing.issue(
            client, basis, seconds, narrowed=narrowed, generation=generation, signers=signers, request_id=request_id
        )
        return answer if rotates else msgspec.structs.replace(answer, refresh_token=request.refresh_token)

    async def _use_again(self, grant: Grant, token: RefreshToken, client: Client, now: datetime, request_id: str, signed_by: str) -> None:
        """Record the use of a refresh token that stays the same (FAPI 2.0 §5.3.2.1); its key is what protects it."""
        decision = decide_refresh(grant, token.generation, False, now)
        if isinstance(decision, Reused):  # it was replaced before the client had a profile that replaces none
            await self._endings.end(grant.id, grant.person_id, client, now, "refresh token reused", request_id)
        if not isinstance(decision, Rotate):
            raise make_invalid_grant(NOT_VALID, "the grant ended")
        event = AuditEvent(
            Kind.TOKEN_REFRESHED, actor="client", person_id=grant.person_id, client_id=client.client_id, request_id=request_id
        )
        async with self._database.transaction() as tx:
            if not await grant_store.still_stands(tx, grant.id):
                raise make_invalid_grant(NOT_VALID, "the grant ended")
            await grant_store.note_signers(tx, grant.id, signed_by)
            await self._audit.record(tx, event)

    async def _find_next_generation(
        self, grant: Grant, token: RefreshToken, caller: Caller, now: datetime, request_id: str, signed_by: str
    ) -> int:
        """Return the generation of the successor; raise ProtocolError, and end the grant when the token was used before."""
        client = caller.client
        forgiving = may_repeat(grant.confirmation, caller.confirmation, _is_authenticated(client))
        decision = decide_refresh(grant, token.generation, forgiving, now)
        event = AuditEvent(
            Kind.TOKEN_REFRESHED, actor="client", person_id=grant.person_id, client_id=client.client_id, request_id=request_id
        )
        match decision:
            case Rotate():
                key = choose_lasting(grant.confirmation, caller.confirmation, _is_authenticated(client))
                if await self._ledger.rotate(Rotation(grant.id, token.generation, now, signed_by, key), self._audit.prepare(event)):
                    return token.generation + 1
                # Another request with the same token came first: what the grant says now decides, as if it had come a moment later.
                moved = await self._grants.read(grant.id, now)
                if moved is None or moved.generation == token.generation:
                    raise make_invalid_grant(NOT_VALID, "the grant ended")
                return await self._find_next_generation(moved, token, caller, now, request_id, signed_by)
            case Repeat():
                async with self._database.transaction() as tx:
                    if not await grant_store.spend_grace(tx, grant.id, grant.generation, signed_by):
                        raise make_invalid_grant(NOT_VALID, "grace was spent")
                    await self._audit.record(tx, event)
                return grant.generation
            case Reused():
                await self._endings.end(grant.id, grant.person_id, client, now, "refresh token reused", request_id)
                raise make_invalid_grant(NOT_VALID, "reused")
            case Ineffective():
                raise make_invalid_grant(NOT_VALID, "the grant ended")
            case _:
                assert_never(decision)


def _is_authenticated(client: Client) -> bool:
    return client.auth_method is not AuthMethod.NONE
