"""Decides an authorization request from start to code: read who is here, decide, record, answer (OpenID Connect Core §3.1.2)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
from idp.kernel.browser_state import make_browser_state
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import ProtocolError, Refusal
from idp.kernel.ids import make_outward_id, make_uuid7
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import Ledger
from idp.protocol.rules.authorization import (
    FIRST_VISIT,
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
from idp.protocol.rules.authorization_details import grant_details, requires_representation
from idp.protocol.rules.authorization_request import (
    AuthorizationRequest,
    BadRedirectUri,
    find_return_address,
    read_authorization_request,
)
from idp.protocol.rules.client import Client
from idp.protocol.rules.profile import find_demands
from idp.protocol.rules.response_mode import find_response_mode
from idp.protocol.rules.session_state import SALT_BYTES, make_session_state
from idp.protocol.rules.terms import NO_TERMS, Terms, write_terms
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.lifetimes import Lifetimes
from idp.protocol.services.refusals import Refusals
from idp.protocol.services.request_origins import RequestOrigins, UnusableRequest, has_origin
from idp.protocol.services.responding import Answer, Responding
from idp.protocol.services.sealed_values import AuthorizationCode
from idp.protocol.stores import subjects
from idp.protocol.stores.standing import Presence, StandingReads
from idp.sign_in.rules.refusals import BarredHere, PasskeyMissing
from idp.sign_in.rules.refusals import LevelUnreachable as LevelTooHigh
from idp.sign_in.rules.session import Session, write_factors
from idp.sign_in.services.dispatch import Leaving
from idp.sign_in.services.session_links import SessionLinks


async def _leave_nothing(*, done: bool) -> None:
    """Do nothing: the request is in no flow that could end."""


class NobodyRepresented(Refusal):
    """The client wants somebody who acts for an organization; ``back_url`` tells it so."""

    code = "nobody_represented"


@dataclass(frozen=True)
class Unreachable:
    """The person has to be told first, by the page of ``code``; then the browser goes to this address, which tells the client the error."""

    url: str
    client: Client
    code: str


@dataclass(frozen=True)
class Undecided:
    """A person has to do something first. ``parameters`` are those that count, wherever the request had them from."""

    decision: SignInRequired | ProofRequired | AccountChoiceRequired | ConsentRequired | LevelUnreachable | Barred
    request: AuthorizationRequest
    client: Client
    parameters: Mapping[str, str]


def name_page(decision: LevelUnreachable | Barred) -> str:
    """Return the code of the page that tells the person before the client is told."""
    if isinstance(decision, Barred):
        return BarredHere.code
    return PasskeyMissing.code if decision.without_passkey else LevelTooHigh.code


class Authorization:
    """Answers authorization requests, at ``/authorize`` and again whenever a person finished a step."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        audit: AuditLog,
        directory: ClientDirectory,
        standings: StandingReads,
        links: SessionLinks,
        values: BearerValues,
        id_tokens: IdTokens,
        origins: RequestOrigins,
        responding: Responding,
        refusals: Refusals,
        usable: frozenset[str],
        lifetimes: Lifetimes,
        clock: Clock,
        random: Random,
        *,
        tells_session_state: bool = False,
    ) -> None:
        self._tells_session_state = tells_session_state
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._directory = directory
        self._standings = standings
        self._links = links
        self._values = values
        self._id_tokens = id_tokens
        self._origins = origins
        self._responding = responding
        self._refusals = refusals
        self._usable = usable
        self._lifetimes = lifetimes
        self._idle = timedelta(seconds=lifetimes.session_idle)
        self._clock = clock
        self._random = random

    async def answer(
        self,
        parameters: Mapping[str, str],
        session_hash: bytes | None,
        *,
        progress: Progress = FIRST_VISIT,
        request_id: str = "",
        place: Callable[[], Place] | None = None,
        leave: Leaving = _leave_nothing,
    ) -> Answer | Unreachable | Undecided:
        """Return where the browser goes, or what is missing; raise a Refusal when the client or its address is not known.

        ``leave`` ends the flow that asks, before anything is recorded of its end: of requests of one flow one is answered.
        """
        client = await self._directory.find(parameters.get("client_id"))
        if client is not None and not progress.began and has_origin(parameters, client):
            try:
                parameters = await self._origins.resolve(parameters, client)
            except ProtocolError as error:
                return await self._refuse_origin(error, parameters, client, request_id, place)
        redirect_uri = find_return_address(parameters, client, self._usable)
        assert client is not None  # noqa: S101 - find_return_address refused it otherwise
        refuse = partial(self._refuse, client, redirect_uri, parameters, request_id, place)
        try:
            request = read_authorization_request(parameters, client, redirect_uri)
            hinted = self._read_hint(request, client)
        except ProtocolError as error:
            await leave(done=session_hash is not None)
            return await refuse(error, None)
        if requires_representation(request.terms.authorization_details):
            await leave(done=False)
            return await self._refuse_person(request, client, refuse)
        now = self._clock()
        presence = await self._find_presence(session_hash, client, now)
        decision = decide(request, client, presence.standing if presence else None, hinted, progress, now)
        match decision:
            case Granted():
                assert presence is not None  # noqa: S101 - nobody is granted anything without a session
                await self._responding.prepare(client, request.response_mode)
                await leave(done=True)
                code = await self._grant(request, client, presence.session, decision, now, request_id, place)
                answer: dict[str, str | None] = {"code": code, "state": request.state}
                if self._tells_session_state:
                    answer["session_state"] = self._describe_session(client, redirect_uri, presence.session)
                return await self._responding.answer(client, redirect_uri, request.response_mode, answer)
            case Denied():
                await leave(done=session_hash is not None)
                return await refuse(decision.error, presence.session.person_id if presence is not None else None)
            case LevelUnreachable() | Barred() if progress.began:
                await leave(done=False)
                told = await refuse(decision.error, presence.session.person_id if presence is not None else None)
                return Unreachable(await self._responding.hold(told), client, name_page(decision))
            case SignInRequired() | ProofRequired() | AccountChoiceRequired() | ConsentRequired() | LevelUnreachable() | Barred():
                return Undecided(decision, request, client, parameters)
            case _:
                assert_never(decision)

    async def find_decision(
        self, parameters: Mapping[str, str], session_hash: bytes | None, progress: Progress
    ) -> tuple[Decision, AuthorizationRequest, Client]:
        """Return the decision alone, with what it is about, for the consent page; raises what ``answer`` raises, and ProtocolError."""
        client = await self._directory.find(parameters.get("client_id"))
        redirect_uri = find_return_address(parameters, client, self._usable)
        assert client is not None  # noqa: S101
        request = read_authorization_request(parameters, client, redirect_uri)
        now = self._clock()
        presence = await self._find_presence(session_hash, client, now)
        decision = decide(request, client, presence.standing if presence else None, self._read_hint(request, client), progress, now)
        return decision, request, client

    async def _find_presence(self, session_hash: bytes | None, client: Client, now: datetime) -> Presence | None:
        if session_hash is None:
            return None
        presence = await self._standings.read(session_hash, client.client_id, client.sector_id)
        if presence is None or not presence.session.is_alive(now, self._idle):
            return None
        if client.isolated or client.confirms_sign_on:
            link = await self._links.read(presence.session.lineage, client.client_id)
            return presence._replace(standing=presence.standing._replace(own=link.proved, confirmed=link.confirmed))
        return presence

    def _read_hint(self, request: AuthorizationRequest, client: Client) -> str | None:
        """Return the one subject that may be answered: of the hint, or demanded by the claims parameter; None for anybody."""
        if request.id_token_hint is None:
            return request.subject
        hinted = self._id_tokens.read_hint(request.id_token_hint)
        if hinted is None or hinted.client_id != client.client_id:
            raise ProtocolError("invalid_request", "id_token_hint is not an ID Token that was issued to this client.")
        if request.subject is not None and request.subject != hinted.subject:
            raise ProtocolError("invalid_request", "id_token_hint and the claim sub name two people.")
        return hinted.subject

    async def _grant(
        self,
        request: AuthorizationRequest,
        client: Client,
        session: Session,
        granted: Granted,
        now: datetime,
        request_id: str,
        place: Callable[[], Place] | None,
    ) -> str:
        subject = granted.standing.subject or await self._make_subject(session.person_id, client.sector_id, now)
        seconds = int(now.timestamp())
        code = AuthorizationCode(
            id=make_uuid7(lambda: now, self._random),
            client_id=client.client_id,
            redirect_uri=request.redirect_uri,
            expires_at=seconds + min(self._lifetimes.code, find_demands(client.profile).code_seconds or self._lifetimes.code),
            person_id=session.person_id,
            lineage=session.lineage,
            session_ends_at=int(session.expires_at.timestamp()),
            subject=subject,
            scope=" ".join(request.scope),
            factors=write_factors(granted.proved),
            acr=granted.acr.value,
            auth_time=int(granted.auth_time.timestamp()),
            nonce=request.nonce,
            challenge=request.challenge,
            confirmation=None if request.dpop_jkt is None else f"jkt:{request.dpop_jkt}",
            terms=None if request.terms is NO_TERMS else _write_granted(request.terms),
            sector_id=client.sector_id,
        )
        event = AuditEvent(
            Kind.AUTHORIZED,
            actor="person",
            person_id=session.person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"acr": granted.acr.value, "scope": code.scope},
            place=place() if place is not None else None,
        )
        await self._ledger.record(self._audit.prepare(event))
        if session.wants_touch(now):
            self._ledger.touch(session.id_hash, now)
        return self._values.seal(code)

    def _describe_session(self, client: Client, redirect_uri: str, session: Session) -> str:
        salt = make_outward_id(self._random, SALT_BYTES)
        return make_session_state(client.client_id, redirect_uri, make_browser_state(session.id_hash), salt)

    async def _make_subject(self, person_id: UUID, sector_id: UUID, now: datetime) -> str:
        async with self._database.transaction() as tx:
            return await subjects.find_or_add(tx, person_id, sector_id, make_outward_id(self._random), now)

    async def _refuse_origin(
        self,
        error: ProtocolError,
        parameters: Mapping[str, str],
        client: Client,
        request_id: str,
        place: Callable[[], Place] | None,
    ) -> Answer:
        """Tell the client where its own words lead, when they lead to a registered address; otherwise the person by a page."""
        try:
            redirect_uri = find_return_address(parameters, client, self._usable)
        except BadRedirectUri:
            raise UnusableRequest(department=client.name, department_en=client.name_en) from error
        return await self._refuse(client, redirect_uri, parameters, request_id, place, error, None)

    async def _refuse_person(
        self, request: AuthorizationRequest, client: Client, refuse: Callable[[ProtocolError, UUID | None], Awaitable[Answer]]
    ) -> Answer:
        """Refuse what only somebody who acts for an organization could be granted: with a page, unless none may be shown."""
        told = await refuse(ProtocolError("access_denied", "The person acts for nobody else."), None)
        if "none" in request.prompts:
            return told
        back_url = await self._responding.hold(told)
        raise NobodyRepresented(department=client.name, department_en=client.name_en, back_url=back_url)

    async def _refuse(
        self,
        client: Client,
        redirect_uri: str,
        parameters: Mapping[str, str],
        request_id: str,
        place: Callable[[], Place] | None,
        error: ProtocolError,
        person_id: UUID | None,
    ) -> Answer:
        told = {"error": error.error, "error_description": error.description, "state": parameters.get("state")}
        answer = await self._responding.answer(client, redirect_uri, find_response_mode(parameters, client), told)
        if person_id is None and error.error == "login_required":
            return answer  # a silent look by nobody: not worth a row that is kept for years
        event = AuditEvent(
            Kind.AUTHORIZATION_REFUSED,
            Result.REFUSED,
            actor="person" if person_id else "browser",
            person_id=person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"error": error.error},
            place=place() if place is not None else None,
        )
        await self._refusals.record(event)
        return answer


def _write_granted(terms: Terms) -> str | None:
    """Return what the grant keeps: of the authorization details, what was granted instead of what was asked."""
    return write_terms(replace(terms, authorization_details=grant_details(terms.authorization_details)))
