"""Everything of the sign-in joined on one real database, with a department that only notes what it would get. People are synthetic."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx2
from starlette.applications import Starlette

from idp.authenticators.rules.passkey import find_relying_party
from idp.authenticators.rules.sms_code import CodeLimits
from idp.authenticators.rules.sms_limits import SmsLimits
from idp.authenticators.rules.throttling import Limits as ThrottleLimits
from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passkeys import Passkeys
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.proofs_of_work import ProofsOfWork
from idp.authenticators.services.throttle import Throttle
from idp.http.cookies import CookieNames
from idp.http.messages import load_messages
from idp.http.middleware import Shell
from idp.http.rendering import Pages, Service
from idp.http.request_context import ContextRules
from idp.http.static import StaticFiles
from idp.kernel.audit_events import Place
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import read_system_random
from idp.kernel.levels import Acr, find_aal, find_acr, meets
from idp.people.rules.documents import find_check_character
from idp.people.rules.identifiers import parse_id_number, parse_phone
from idp.people.rules.person import Standing, Status
from idp.people.services.check_limits import CheckLimits
from idp.people.services.directory import NewPerson, People
from idp.people.services.proofing import Proofing
from idp.platform.afterwards import Afterwards
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.ledger import Ledger
from idp.platform.outbox import Outbox, deliver_due
from idp.platform.password_hashing import PasswordHashing
from idp.platform.transients.postgres import PostgresTransients
from idp.sign_in.pages.dispatch import DispatchPage
from idp.sign_in.pages.portal import PortalPage
from idp.sign_in.pages.recovery import RecoveryPage
from idp.sign_in.pages.sign_in import SignInPage
from idp.sign_in.rules.interaction import Interaction, Leave, SignInNeeded, Step, WayBack
from idp.sign_in.rules.session import Session
from idp.sign_in.services.dispatch import Dispatcher, Leaving
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.sessions import Limits as SessionLimits
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.ways_in import build_ways_in
from idp.sources.source import Check, Outcome
from keys import DATA_KEY_PURPOSES, DataKey, DataKeys
from tests.support.clocks import ManualClock

ISSUER = "http://127.0.0.1:8000"
DEPARTMENT = "示例市公积金中心"
DEPARTMENT_EN = "Housing Fund Centre (sample)"
HOME = "https://department.example/"
NAMES: WayBack = {"department": DEPARTMENT, "department_en": DEPARTMENT_EN, "home_url": HOME}
PASSWORD = "correct horse battery"
HASHING = PasswordHashing(2, 32, deadline=60)
KEYS = DataKeys([DataKey(f"{purpose}-1", purpose, read_system_random(32)) for purpose in DATA_KEY_PURPOSES])


@dataclass(frozen=True)
class Made:
    """A synthetic person of a test."""

    person_id: UUID
    document: str
    phone: str
    name: str


class Authorities:
    """Authorities that answer what a test says; without a word they are silent. ``asked`` are the questions."""

    def __init__(self) -> None:
        self.answers: dict[CheckKind, CheckResult] = {}
        self.asked: list[Check] = []

    @property
    def kinds(self) -> frozenset[CheckKind]:
        """Return every kind: all can be asked."""
        return frozenset(CheckKind)

    async def check(self, check: Check, timeout: float) -> Outcome:
        """Answer as the test says."""
        self.asked.append(check)
        return Outcome(self.answers.get(check.kind, CheckResult.UNAVAILABLE), "sample authority", f"sample-{len(self.asked)}")

    async def probe(self, kind: CheckKind) -> bool:
        """Tell whether the test gave an answer for this kind."""
        return kind in self.answers


@dataclass
class Department:
    """The continuation of a department: content with ``wanted``, leaves with what the session proves."""

    clock: ManualClock
    seen: list[tuple[Interaction, Session | None]] = field(default_factory=list)

    async def decide(
        self, interaction: Interaction, session: Session | None, standing: Standing | None, request_id: str, place: Place, leave: Leaving
    ) -> Step:
        """Leave when the session is enough, or as low as it goes when more cannot be reached."""
        self.seen.append((interaction, session))
        if session is None or standing is None:
            return SignInNeeded()
        proved = [p for p in session.proved if interaction.fresh_after is None or p.at >= interaction.fresh_after]
        reached = find_acr(standing.ial, find_aal(proved, standing.phone_matched_at, self.clock(), standing.recovered_at))
        if not meets(reached, interaction.wanted) and interaction.unreachable_by != session.person_id:
            return SignInNeeded()
        return Leave(f"https://department.example/callback?acr={reached.value if reached else 'none'}")


class House:
    """The sign-in on one database, one clock and one set of keys."""

    def __init__(self, database: Database, clock: ManualClock, *, session_limits: SessionLimits | None = None) -> None:
        random = read_system_random
        self.database, self.clock, self.random = database, clock, random
        self.sms: list[dict] = []
        self.ended_grants: list[tuple[UUID, str, bool]] = []
        self._emptied = False
        self.address = "10.{}.{}.7".format(*random(2))
        index = KEYS.index("index")
        self.index = index
        self.transients = PostgresTransients(database, KEYS.sealer("transients"), KEYS.mac("transients"), clock, random)
        self.audit = AuditLog(KEYS.mac("audit"), KEYS.sealer("places"), clock, random)
        self.outbox = Outbox(KEYS.sealer("outbox"), clock, random)
        self.ledger = Ledger(database)
        self.passwords = Passwords(database, HASHING, proofs=ProofsOfWork(self.transients, KEYS.mac("codes"), clock, random, 8))
        self.told: list[tuple[UUID, list[bytes]]] = []

        async def tell_departments(tx: Transaction, person_id: UUID, lineages: Sequence[bytes], request_id: str = "") -> None:
            self.told.append((person_id, list(lineages)))

        limits = session_limits or SessionLimits()
        self.sessions = Sessions(database, self.ledger, self.audit, KEYS.sealer("places"), clock, random, limits, tell_departments)

        async def lose_standing(tx: Transaction, person_id: UUID, reason: str) -> None:
            await self.sessions.end_all(tx, person_id, reason)

        self.people = People(database, KEYS.sealer("people"), index, self.passwords, self.audit, clock, random, lose_standing)
        self.throttle = Throttle(database, self.transients, index, clock, ThrottleLimits())
        self.codes = Codes(
            database, self.transients, self.outbox, self.audit, KEYS.mac("codes"), index, clock, random, CodeLimits(), SmsLimits()
        )
        self.interactions = Interactions(self.transients, clock, random)
        self.authorities = Authorities()
        self.afterwards = Afterwards()
        self.proofing = Proofing(
            database, self.transients, self.authorities, index, KEYS.mac("evidence"), self.audit, clock, random, CheckLimits()
        )
        party = find_relying_party(ISSUER)
        self.passkeys = Passkeys(database, self.transients, KEYS.mac("codes"), KEYS.sealer("people"), clock, random, party, "一证通")
        ways_in = build_ways_in(
            database=database,
            interactions=self.interactions,
            sessions=self.sessions,
            people=self.people,
            passwords=self.passwords,
            passkeys=self.passkeys,
            links=SessionLinks(self.transients, SessionLimits().total),
            throttle=self.throttle,
            codes=self.codes,
            proofing=self.proofing,
            transients=self.transients,
            outbox=self.outbox,
            end_grants=self._end_grants,
            afterwards=self.afterwards,
            audit=self.audit,
            clock=clock,
            random=random,
        )
        self.sign_in = ways_in.sign_in
        self.portal = Portal(self.interactions, self.sessions, self.people, clock)
        self.department = Department(clock)
        self.dispatcher = Dispatcher(self.interactions, self.sessions, self.people, {"authorize": self.department, "portal": self.portal})
        static = StaticFiles()
        pages = Pages(load_messages(), Service("一证通", "Yizheng", "12345"), static)
        self.pages = pages
        self.names = CookieNames(ISSUER)
        routes = [
            *SignInPage(pages, self.interactions, self.sign_in).routes(),
            *RecoveryPage(pages, self.interactions, self.portal, ways_in, clock).routes(),
            *DispatchPage(pages, self.dispatcher).routes(),
            *PortalPage(pages, self.interactions, self.portal).routes(),
        ]
        self.app = Shell(Starlette(routes=routes), issuer=ISSUER, pages=pages, rules=ContextRules(self.names), random=random, log=_Silent())

    async def _end_grants(self, tx: Transaction, person_id: UUID, lineage: bytes, reason: str, *, others: bool) -> None:
        self.ended_grants.append((person_id, reason, others))

    async def add_person(
        self, *, ial: int = 3, matched_days_ago: float | None = 10, status: Status = Status.ACTIVE, phone: bool = True
    ) -> Made:
        """Add a synthetic person with the house's password."""
        if not self._emptied:  # messages of an earlier test of this module
            self._emptied = True
            await self.deliver()
            self.sms.clear()
        local = int.from_bytes(self.random(6), "big") % 10**8
        document = parse_id_number(self.make_document(), self.clock().date())
        number = parse_phone(f"138{local:08}") if phone else None
        assert document is not None
        verifier = await HASHING.hash(PASSWORD)
        matched_at = None
        if matched_days_ago is not None:
            matched_at = self.clock.now.fromtimestamp(self.clock.now.timestamp() - matched_days_ago * 86_400, self.clock.now.tzinfo)
        person = NewPerson("王小明", document, number, ial, verifier, matched_at, status)
        person_id = await self.people.add_person(person)
        return Made(person_id, document.value, number.value if number else "", person.name)

    def make_document(self) -> str:
        """Return a well-formed document number that nobody has."""
        year, month, day, region, order = (int.from_bytes(self.random(6), "big") % size for size in (50, 12, 28, 10**4, 1000))
        seventeen = f"35{region:04}{1950 + year}{1 + month:02}{1 + day:02}{order:03}"
        return seventeen + find_check_character(seventeen)

    async def deliver(self) -> None:
        """Deliver every message that waits."""
        await self.afterwards.settle()

        async def keep(payload: dict, message_id: object) -> str:
            self.sms.append(payload)
            return "kept"

        while await deliver_due(self.outbox, self.database, {"sms": keep}):
            pass

    async def read_code(self, person: Made | None = None) -> str:
        """Deliver what waits and return the code of the last message, of the last one to this person's phone when one is named."""
        await self.deliver()
        sent = [message for message in self.sms if person is None or message["phone"] == person.phone]
        return sent[-1]["parameters"]["code"]

    async def count_sms(self) -> int:
        """Deliver what waits and return how many messages there were."""
        before = len(self.sms)
        await self.deliver()
        return len(self.sms) - before

    async def audit_kinds(self, person_id: UUID | None = None) -> list[str]:
        """Return the kinds of audit rows of a person, by name (the clock stands still)."""
        rows = await self.database.fetch("SELECT kind FROM audit_events WHERE person_id = $1 ORDER BY kind", person_id)
        return [row["kind"] for row in rows]

    def browser(self, address: str | None = None) -> "Browser":
        """Return a new browser at this network address, else at the house's own (limits of other tests do not reach it)."""
        return Browser(self, address or self.address)


class _Silent:
    def info(self, event: str, /, **fields: object) -> None:
        """Say nothing."""

    def error(self, event: str, /, **fields: object) -> None:
        """A fault in a test is a defect."""
        raise AssertionError(f"{event}: {fields}")


class Browser:
    """A browser without scripts: cookies, forms, redirects on request."""

    def __init__(self, house: House, address: str) -> None:
        self.house = house
        transport = httpx2.ASGITransport(app=house.app, client=(address, 40_000))
        self.client = httpx2.AsyncClient(transport=transport, base_url=ISSUER)
        self.page: httpx2.Response | None = None

    async def begin(self, wanted: Acr = Acr.LOW, **more: Any) -> str:
        """Begin a flow of the department in this browser and return its id."""
        cookie = self.client.cookies.get(self.house.names.browser)
        if cookie is None:
            cookie = self.house.interactions.make_browser_cookie()
            self.client.cookies.set(self.house.names.browser, cookie)
        interaction = await self.house.interactions.begin("authorize", cookie, client_id="department-1", wanted=wanted, **{**NAMES, **more})
        return interaction.id

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Open a page."""
        self.page = await self.client.get(path, headers=headers)
        return self.page

    async def open(self, interaction_id: str) -> httpx2.Response:
        """Open the flow where it stands, following redirects within the house."""
        page = await self.get(f"/continue?i={interaction_id}")
        return await self.follow(page)

    async def follow(self, page: httpx2.Response) -> httpx2.Response:
        """Follow redirects."""
        for _ in range(6):
            if page.status_code != 303:
                return page
            page = await self.get(page.headers["location"])
        raise AssertionError("the redirects go in a circle")

    def fields(self) -> dict[str, str]:
        """Return the hidden fields of the page (all its forms carry the same)."""
        assert self.page is not None
        pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', self.page.text)
        return {name: unescape(value) for name, value in pairs}

    async def post(self, fields: dict[str, str] | None = None, /, **typed: str) -> httpx2.Response:
        """Send the form of the page with what was typed; redirects are not followed."""
        page = await self.client.post("/sign-in", data={**(self.fields() if fields is None else fields), **typed})
        if page.status_code != 303:
            self.page = page
        return page

    async def submit(self, **typed: str) -> httpx2.Response:
        """Send the form and follow redirects."""
        return await self.follow(await self.post(**typed))

    async def sign_in(self, person: Made, wanted: Acr = Acr.LOW) -> httpx2.Response:
        """Sign in to the department, with a code when it is asked; return the last page."""
        await self.open(await self.begin(wanted))
        page = await self.submit(identifier=person.document, password=PASSWORD)
        if 'name="code"' in page.text:
            page = await self.submit(code=await self.house.read_code())
        return page

    def session(self) -> str | None:
        """Return the session cookie."""
        return self.client.cookies.get(self.house.names.session)


def find_code(page: httpx2.Response) -> str:
    """Return the refusal code of an error page."""
    found = re.search(r'data-code="([a-z_]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def find_way(page: httpx2.Response) -> tuple[str, str]:
    """Return where the button of an error page leads, and what it says."""
    found = re.search(r'id="back" href="([^"]+)">([^<]+)</a>', page.text)
    assert found is not None, page.text
    return unescape(found[1]), unescape(found[2])


def find_left(page: httpx2.Response) -> dict[str, str]:
    """Return what the department gets on the returning page."""
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)
    assert found is not None, page.text
    return {name: values[0] for name, values in parse_qs(urlsplit(unescape(found[1])).query).items()}
