"""Decides what a person must prove and is asked before another device gets an answer: the same decision as for a browser's own request."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Detail, Kind, Place, Result
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import Fault
from idp.kernel.ids import encode_base64url, make_outward_id
from idp.kernel.levels import ACR_ORDER, Acr
from idp.people.rules.person import Standing as PersonStanding
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.protocol.rules.authorization import (
    AccountChoiceRequired,
    Barred,
    ConsentRequired,
    Decision,
    Denied,
    Granted,
    LevelUnreachable,
    Progress,
    ProofRequired,
    SignInRequired,
    decide,
)
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.claims import list_unasked
from idp.protocol.rules.client import Client, Entitlement, find_home
from idp.protocol.rules.consents import agree
from idp.protocol.rules.decoupled_level import lower, serves
from idp.protocol.rules.decoupled_refusals import RequestGone, RequestOfAnother, RequestRefusedHere
from idp.protocol.rules.decoupled_request import Answer, Approval, DecoupledRequest, Status
from idp.protocol.rules.decoupled_request import Kind as RequestKind
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.decoupled_requests import DecoupledRequests, HeldRequest
from idp.protocol.stores import consents, subjects
from idp.protocol.stores.standing import StandingReads
from idp.sign_in.rules.interaction import Interaction, PageNeeded, Refused, SignInNeeded, Step, is_answered_by
from idp.sign_in.rules.refusals import BarredHere
from idp.sign_in.rules.session import Session, write_factors
from idp.sign_in.services.dispatch import Leaving
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.session_links import SessionLinks

KIND = "decoupled"
"""The kind of interaction that ends with an answer for another device."""

PAGE = "/approve"


@dataclass(frozen=True)
class Asked:
    """What the page asks. ``mark`` names exactly this: request, person, purposes and claims; what was not shown is not agreed to."""

    held: HeldRequest
    client: Client
    entitlements: tuple[Entitlement, ...]
    also: tuple[str, ...]
    mark: str
    granted: Granted | None

    @property
    def request(self) -> DecoupledRequest:
        """Return the request that waits."""
        return self.held.request


class Outcome(StrEnum):
    """How an answer ended; the page after it says so."""

    APPROVED = "approved"
    DENIED = "denied"
    LATE = "late"


class _Beaten(Exception):
    """Another answer came first; nothing of this one is recorded."""


class DecoupledApproval:
    """Leads a person from a waiting request to the answer; the continuation of its kind of flow."""

    def __init__(
        self,
        database: Database,
        interactions: Interactions,
        requests: DecoupledRequests,
        directory: ClientDirectory,
        standings: StandingReads,
        links: SessionLinks,
        audit: AuditLog,
        usable: frozenset[str],
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._interactions = interactions
        self._requests = requests
        self._directory = directory
        self._standings = standings
        self._links = links
        self._audit = audit
        self._usable = usable
        self._clock = clock
        self._random = random

    async def begin(self, request: DecoupledRequest, browser_cookie: str, language: str, address: str) -> Interaction | None:
        """Begin the flow of this browser that answers ``request``; None when its client may not act any more. Raises TooManyFlows."""
        client = await self._find_client(request)
        if client is None:
            return None
        return await self._interactions.begin(
            KIND,
            browser_cookie,
            request=json.dumps({"request": request.id}),
            client_id=client.client_id,
            department=client.name,
            department_en=client.name_en,
            home_url=find_home(client),
            wanted=find_wanted(request, client),
            language=language,
            isolated=client.isolated,
            address=address,
        )

    async def decide(
        self,
        interaction: Interaction,
        session: Session | None,
        standing: PersonStanding | None,
        request_id: str,
        place: Place,
        leave: Leaving,
    ) -> Step:
        """Return the next step of the flow (architecture decision 13)."""
        if _find_outcome(interaction) is not None:
            return PageNeeded(PAGE)
        found = await self._find(interaction)
        if found is None:
            return Refused(RequestGone.code)
        held, client = found
        if session is None:
            return SignInNeeded()
        if held.request.person_id not in (None, session.person_id):
            return Refused(RequestOfAnother.code)
        decision = await self._decide(held.request, client, session, _has_declined(interaction, session))
        match decision:
            case Granted() | ConsentRequired():
                return PageNeeded(PAGE)
            case SignInRequired():
                return SignInNeeded()
            case ProofRequired():
                return PageNeeded("/raise")
            case LevelUnreachable():
                return Refused("level_unreachable")
            case Barred():
                return Refused(BarredHere.code)
            case AccountChoiceRequired():
                raise Fault("whoever approves says on this very page who it is")
            case Denied():
                return Refused(RequestRefusedHere.code)
            case _:
                assert_never(decision)

    async def ask(self, interaction: Interaction, session: Session) -> Asked | None:
        """Return what to ask this person; None when the flow is at another step, which the dispatcher names."""
        found = await self._find(interaction)
        if found is None:
            return None
        held, client = found
        if held.request.person_id not in (None, session.person_id):
            return None
        decision = await self._decide(held.request, client, session, _has_declined(interaction, session))
        if not isinstance(decision, Granted | ConsentRequired):
            return None
        entitlements = decision.entitlements if isinstance(decision, ConsentRequired) else ()
        also = list_unasked(held.request.scope, client, entitlements)
        shown = [held.request.id, str(session.person_id), [[e.purpose, e.version, e.claims] for e in entitlements], also]
        mark = encode_base64url(hashlib.sha256(json.dumps(shown).encode()).digest())
        return Asked(held, client, entitlements, also, mark, decision if isinstance(decision, Granted) else None)

    def is_shown(self, asked: Asked, mark: str) -> bool:
        """Tell whether the form answers exactly what is asked now."""
        return hmac.compare_digest(mark.encode(), asked.mark.encode())

    async def answer(
        self, interaction: Interaction, session: Session, asked: Asked, answer: Answer, request_id: str, place: Place
    ) -> Interaction:
        """Record the answer with its audit rows, tell the other device, and return the interaction that remembers how it ended.

        An answer that comes too late leaves no trace: the request was answered otherwise, and nothing was consented to.
        """
        granted = None
        if answer is Answer.APPROVE:
            decision = await self._decide(asked.request, asked.client, session, declined=True, agreed=asked.entitlements)
            if not isinstance(decision, Granted):
                return _end(interaction, Outcome.LATE)
            granted = decision
        try:
            async with self._database.transaction() as tx:
                approval = None if granted is None else await self._give(tx, session, asked, granted, request_id, place)
                kind = Kind.REQUEST_DENIED if granted is None else Kind.REQUEST_APPROVED
                await self._record(tx, kind, asked, session, request_id, place, {"kind": asked.request.kind.value})
                if not await self._requests.answer(asked.held, answer, approval):
                    raise _Beaten
        except _Beaten:
            return _end(interaction, Outcome.LATE)
        return _end(interaction, Outcome.DENIED if granted is None else Outcome.APPROVED)

    async def _give(self, tx: Transaction, session: Session, asked: Asked, granted: Granted, request_id: str, place: Place) -> Approval:
        """Record what is consented to by an approval, and return it."""
        now = self._clock()
        for e in asked.entitlements:
            await consents.give(tx, session.person_id, asked.client.client_id, e.purpose, e.version, e.claims, now)
            given: dict[str, Detail] = {"purpose": e.purpose, "version": e.version, "claims": " ".join(e.claims)}
            await self._record(tx, Kind.CONSENT_GIVEN, asked, session, request_id, place, given)
        subject = await subjects.find_or_add(tx, session.person_id, asked.client.sector_id, make_outward_id(self._random), now)
        return _approve(session, granted, subject, asked.client.sector_id)

    def find_outcome(self, interaction: Interaction) -> Outcome | None:
        """Return how the flow ended, None while it goes on."""
        return _find_outcome(interaction)

    async def _find(self, interaction: Interaction) -> tuple[HeldRequest, Client] | None:
        held = await self._requests.find(json.loads(interaction.request)["request"])
        if held is None or self._clock() >= held.request.expires_at or held.request.status is not Status.PENDING:
            return None
        client = await self._find_client(held.request)
        return None if client is None else (held, client)

    async def _find_client(self, request: DecoupledRequest) -> Client | None:
        client = await self._directory.find(request.client_id)
        return client if client is not None and client.status in self._usable and serves(client) else None

    async def _decide(
        self, request: DecoupledRequest, client: Client, session: Session, declined: bool, agreed: tuple[Entitlement, ...] = ()
    ) -> Decision:
        presence = await self._standings.read(session.id_hash, client.client_id, client.sector_id)
        standing = presence.standing if presence is not None else None
        if standing is not None and client.isolated:
            link = await self._links.read(session.lineage, client.client_id)
            standing = standing._replace(own=link.proved)
        if standing is not None:
            standing = standing._replace(consents=agree(standing.consents, agreed))
        progress = Progress(signed_in=True, declined=declined, without_passkey=True, confirmed=True)
        return decide(_describe(request, client), client, standing, None, progress, self._clock())

    async def _record(
        self,
        tx: Transaction,
        kind: Kind,
        asked: Asked,
        session: Session,
        request_id: str,
        place: Place,
        details: dict[str, Detail],
    ) -> None:
        event = AuditEvent(
            kind,
            Result.REFUSED if kind is Kind.REQUEST_DENIED else Result.DONE,
            actor="person",
            person_id=session.person_id,
            client_id=asked.client.client_id,
            request_id=request_id,
            details=details,
            place=place,
        )
        await self._audit.record(tx, event)


def find_wanted(request: DecoupledRequest, client: Client) -> Acr:
    """Return the class that the sign-in aims at: what was asked, at least the client's minimum."""
    return max(client.minimum_acr, _find_asked(request) or client.minimum_acr, key=ACR_ORDER.index)


def _find_asked(request: DecoupledRequest) -> Acr | None:
    return lower(Acr(request.wanted)) if request.wanted else None


def _describe(request: DecoupledRequest, client: Client) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri="",
        scope=request.scope,
        state=None,
        nonce=None,
        challenge=None,
        prompts=frozenset(),
        max_age=None,
        wanted=_find_asked(request),
        login_hint=None,
        id_token_hint=None,
        ui_locales=None,
    )


def _approve(session: Session, granted: Granted, subject: str, sector_id: UUID) -> Approval:
    return Approval(
        person_id=session.person_id,
        subject=subject,
        factors=write_factors(granted.proved),
        acr=lower(granted.acr).value,
        auth_time=int(granted.auth_time.timestamp()),
        sector_id=sector_id,
    )


def _has_declined(interaction: Interaction, session: Session) -> bool:
    return interaction.declined and is_answered_by(interaction, session.person_id)


def _find_outcome(interaction: Interaction) -> Outcome | None:
    stored: Mapping[str, str] = json.loads(interaction.request)
    return Outcome(stored["outcome"]) if "outcome" in stored else None


def _end(interaction: Interaction, outcome: Outcome) -> Interaction:
    return replace(interaction, request=json.dumps({**json.loads(interaction.request), "outcome": outcome.value}))


def is_for_device(request: DecoupledRequest) -> bool:
    """Tell whether a terminal waits, whose code the person compares."""
    return request.kind is RequestKind.DEVICE


def find_minutes_left(request: DecoupledRequest, now: datetime) -> int:
    """Return how many whole minutes are left to answer, at least 1."""
    return max(1, int((request.expires_at - now).total_seconds() // 60))
