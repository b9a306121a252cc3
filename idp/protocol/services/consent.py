"""Decides what is recorded when a person agrees or does not agree to a release that rests on consent."""

import hashlib
import json
from dataclasses import dataclass, replace
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
from idp.kernel.clock import Clock
from idp.kernel.ids import encode_base64url
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.protocol.rules.authorization import ConsentRequired
from idp.protocol.rules.authorization_details import Detail
from idp.protocol.rules.claims import list_unasked
from idp.protocol.rules.client import Client, Entitlement
from idp.protocol.services.authorization import Authorization
from idp.protocol.services.continuation import read_parameters, read_progress, write_request
from idp.protocol.services.shown_claims import mask_claims
from idp.protocol.stores import consents
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.session import Session


@dataclass(frozen=True)
class Question:
    """What one person is asked. ``mark`` names exactly this: person, purposes, versions and claims.

    ``also`` are the claims that go to the client with it and that nobody is asked about, ``details`` what else the client wants to do;
    ``verified``: it also learns how some of ``also`` were verified.
    """

    entitlements: tuple[Entitlement, ...]
    client: Client
    mark: str
    also: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    verified: bool = False


def make_question(
    person_id: UUID, entitlements: tuple[Entitlement, ...], client: Client, details: tuple[Detail, ...] = (), verified: bool = False
) -> Question:
    """Return the question with its mark, which the form carries back: what was not shown is not agreed to."""
    asked = [[e.purpose, e.version, e.claims] for e in entitlements]
    shown = json.dumps([str(person_id), client.client_id, asked, [dict(detail) for detail in details], verified])
    mark = encode_base64url(hashlib.sha256(shown.encode()).digest())
    return Question(entitlements, client, mark, details=details, verified=verified)


class Consent:
    """Shows what is asked and records the answer."""

    def __init__(self, database: Database, people: People, authorization: Authorization, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._authorization = authorization
        self._audit = audit
        self._clock = clock

    async def find_question(self, interaction: Interaction, session: Session) -> Question | None:
        """Return what to ask the person of this session; None when there is nothing to ask any more."""
        decision, request, client = await self._authorization.find_decision(
            read_parameters(interaction), session.id_hash, read_progress(interaction, session.person_id)
        )
        if not isinstance(decision, ConsentRequired):
            return None
        details = request.terms.authorization_details
        also = list_unasked(request.scope, client, decision.entitlements, request.asked_claims)
        verified = not request.verified_names.isdisjoint(also)
        return replace(make_question(session.person_id, decision.entitlements, client, details, verified), also=also)

    async def show_values(self, question: Question, session: Session) -> dict[str, str]:
        """Return what this person would release, masked, by claim."""
        profile = await self._people.read_profile(session.person_id)
        return mask_claims(profile, [claim for entitlement in question.entitlements for claim in entitlement.claims])

    async def answer(
        self,
        interaction: Interaction,
        session: Session,
        question: Question,
        *,
        allow: bool,
        request_id: str,
        place: Place,
    ) -> Interaction:
        """Record the answer with its audit rows; return the interaction that remembers it."""
        now, client = self._clock(), question.client
        async with self._database.transaction() as tx:
            for entitlement in question.entitlements:
                if allow:
                    await consents.give(
                        tx, session.person_id, client.client_id, entitlement.purpose, entitlement.version, entitlement.claims, now
                    )
                event = AuditEvent(
                    Kind.CONSENT_GIVEN if allow else Kind.CONSENT_DENIED,
                    Result.DONE if allow else Result.REFUSED,
                    actor="person",
                    person_id=session.person_id,
                    client_id=client.client_id,
                    request_id=request_id,
                    details={"purpose": entitlement.purpose, "version": entitlement.version, "claims": " ".join(entitlement.claims)},
                    place=place,
                )
                await self._audit.record(tx, event)
        request = write_request(read_parameters(interaction), consented=allow, denied=not allow, by=session.person_id)
        return replace(interaction, request=request)
