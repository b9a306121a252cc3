"""Decides what leaves the house about a person in one answer: computed anew from entitlement and consent, and recorded each time."""

from datetime import datetime
from typing import cast
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.json_text import Json
from idp.people.services.directory import People
from idp.people.stores import levels
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import Ledger
from idp.protocol.rules.claims import ClaimValue, find_allowed, limit_to_plain, list_releases, narrow_asked, select_claims
from idp.protocol.rules.claims_request import NOTHING, VERIFIED, Asked, ClaimAsk, VerifiedAsk
from idp.protocol.rules.client import Client, Entitlement
from idp.protocol.rules.scopes import list_claims
from idp.protocol.rules.terms import read_terms
from idp.protocol.rules.verified_claims import VERIFIABLE, answer_verified, describe_verification
from idp.protocol.services.profile_claims import describe_profile
from idp.protocol.stores.grants import GrantOfPerson, GrantReads

WITHOUT_PROFILE = frozenset({"sub", "ial", "real_name_verified"})
"""Claims that need nothing of the sealed profile."""

IN_EVERY_TOKEN = frozenset({"sub", "acr", "auth_time"})


class ClaimsRelease:
    """Releases claims to clients."""

    def __init__(self, database: Database, ledger: Ledger, audit: AuditLog, people: People, grants: GrantReads) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._people = people
        self._grants = grants

    async def release(
        self,
        found: GrantOfPerson,
        scope: tuple[str, ...],
        person_id: UUID,
        subject: str,
        client: Client,
        now: datetime,
        request_id: str,
        asked: Asked | None = None,
    ) -> dict[str, ClaimValue]:
        """Return the claims that the scope and ``asked`` stand for, ``sub`` among them, and record the release.

        ``asked`` None: what the grant's own terms say of UserInfo, as far as ``scope`` was not narrowed since.
        """
        if asked is None:
            claims_request = read_terms(found.grant.terms).claims if found.grant.terms is not None else None
            asked = narrow_asked(claims_request.userinfo, found.grant.scope, scope) if claims_request is not None else NOTHING
        allowed = find_allowed(client, found.consents)
        ial = found.ial or 1
        known: dict[str, ClaimValue] = {"sub": subject, "ial": ial, "real_name_verified": ial >= 2}
        wanted = {*list_claims(scope), *asked.claims, *(VERIFIABLE if asked.verified else ())}
        if found.profile is not None and not WITHOUT_PROFILE.issuperset(wanted):
            known.update(describe_profile(self._people.open_profile(person_id, found.profile)))
        claims = {"sub": subject, **select_claims(scope, allowed, known, asked.claims)}
        released = [name for name in claims if name != "sub"]
        if asked.verified:
            told = find_allowed(client, found.consents, verified=True)
            entries = await self._verify(asked.verified, told, known, ial, person_id, now)
            if entries:
                claims[VERIFIED] = cast(ClaimValue, entries if len(entries) > 1 else entries[0])
                released += [VERIFIED, *(name for entry in entries for name in cast(dict[str, Json], entry["claims"]))]
        if released:
            await self._record(list(dict.fromkeys(released)), allowed, person_id, client, request_id)
        return claims

    async def release_for_id_token(
        self, grant_id: UUID, client: Client, asked: Asked, subject: str, now: datetime, request_id: str
    ) -> dict[str, ClaimValue]:
        """Return what the claims request asks the ID Token to say besides what every one does; encrypted ones alone name a person."""
        if client.responses.id_token_encrypted_response_alg is None:
            asked = limit_to_plain(asked)
        asked = Asked({name: ask for name, ask in asked.claims.items() if name not in IN_EVERY_TOKEN}, asked.verified)
        if asked == NOTHING:
            return {}
        found = await self._grants.read_with_person(grant_id, now)
        if found is None or found.grant.person_id is None:
            return {}
        claims = await self.release(found, (), found.grant.person_id, subject, client, now, request_id, asked)
        return {name: value for name, value in claims.items() if name not in IN_EVERY_TOKEN}

    async def _verify(
        self,
        asks: tuple[VerifiedAsk, ...],
        allowed: tuple[Entitlement, ...],
        known: dict[str, ClaimValue],
        ial: int,
        person_id: UUID,
        now: datetime,
    ) -> list[dict[str, Json]]:
        """Return the entries of ``verified_claims``, of claims that the client may be told this of."""
        wanted = {name: ClaimAsk() for ask in asks for name in ask.claims}
        entitled = {name: cast(Json, value) for name, value in select_claims((), allowed, known, wanted).items()}
        matched = await levels.list_proved(self._database, person_id)
        return answer_verified(asks, describe_verification(ial, matched), entitled, now)

    async def _record(
        self, released: list[str], allowed: tuple[Entitlement, ...], person_id: UUID, client: Client, request_id: str
    ) -> None:
        covered = list_releases(released, allowed)
        event = AuditEvent(
            Kind.CLAIMS_RELEASED,
            actor="client",
            person_id=person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={
                "claims": " ".join(released),
                "purposes": "; ".join(r.purpose for r in covered),
                "bases": " ".join(dict.fromkeys(r.basis.value for r in covered)),
            },
        )
        await self._ledger.record(self._audit.prepare(event))
