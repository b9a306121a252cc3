"""Decides how an app's web view enters without a page: a ticket for one device, one target, one minute, one use (protocol.md §4, S58)."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id
from idp.kernel.session_endings import REPLACED_BY_APP
from idp.people.rules.person import Status
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.transients import Transients
from idp.protocol.rules.client import Client, find_home
from idp.protocol.rules.client_status import CLOSED
from idp.protocol.rules.front_ticket import AnotherPersonHere, TicketRefused
from idp.protocol.rules.grant import Grant, is_effective
from idp.protocol.rules.pkce import proves
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.sealed_values import FrontTicket
from idp.protocol.stores.grants import GrantReads
from idp.sign_in.services.sessions import Sessions

LIFE = 60
USED = "front_ticket"


@dataclass(frozen=True)
class Entered:
    """Where the web view goes; ``cookie`` is that of a session which was opened, None when the browser had one of this person."""

    url: str
    cookie: str | None


class FrontTickets:
    """Makes tickets and lets their holders in."""

    def __init__(
        self,
        database: Database,
        transients: Transients,
        values: BearerValues,
        grants: GrantReads,
        directory: ClientDirectory,
        sessions: Sessions,
        people: People,
        audit: AuditLog,
        issuer: str,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._transients = transients
        self._values = values
        self._grants = grants
        self._directory = directory
        self._sessions = sessions
        self._people = people
        self._audit = audit
        self._issuer = issuer
        self._clock = clock
        self._random = random
        self.life = LIFE

    def make(self, grant: Grant, target: Client, challenge: str, now: datetime) -> str:
        """Return a ticket under ``grant``, to enter at ``target`` with what proves ``challenge``."""
        ends = int(now.timestamp()) + LIFE
        return self._values.seal(FrontTicket(make_outward_id(self._random), grant.id, target.client_id, challenge, ends))

    async def enter(self, text: str, verifier: str, session_cookie: str | None, request_id: str, place: Place) -> Entered:
        """Let the holder in, once; raise TicketRefused, AnotherPersonHere."""
        now = self._clock()
        ticket = self._values.open(FrontTicket, text)
        if ticket is None or now.timestamp() >= ticket.expires_at or not proves(verifier, ticket.challenge):
            raise TicketRefused
        target = await self._directory.find(ticket.target)
        if target is None or target.status in CLOSED:
            raise TicketRefused
        grant = await self._grants.read(ticket.grant_id, now)
        person_id = grant.person_id if grant is not None else None
        if grant is None or person_id is None or grant.lineage is None or not is_effective(grant, now):
            raise TicketRefused
        here = await self._sessions.read(session_cookie)
        if here is not None and here.person_id != person_id:
            raise AnotherPersonHere
        made_at = ticket.expires_at - LIFE
        # A store that lost its marks may have forgotten a use: what was made before its birth is refused.
        if (await self._transients.born_at()).timestamp() > made_at or not await self._transients.add_once(USED, ticket.id, LIFE * 2):
            raise TicketRefused
        url = find_entrance(target, self._issuer)
        async with self._database.transaction() as tx:
            standing = await self._people.hold(tx, person_id)
            if standing is None or standing.status is not Status.ACTIVE:
                raise TicketRefused
            await self._audit.record(tx, _describe(person_id, grant, target, request_id, place))
            if here is not None and here.lineage == grant.lineage:
                return Entered(url, None)
            opened = await self._sessions.enter(tx, person_id, grant.proved, grant.lineage, place, grant.expires_at)
            if opened is None:
                raise TicketRefused
            if here is not None:
                # The browser forgets this sign-in of the same person: it ends for everybody, so that a sign-out later ends all there is.
                await self._sessions.end_lineage(tx, here.lineage, REPLACED_BY_APP, request_id=request_id, place=place)
        return Entered(url, opened.cookie)


def find_entrance(target: Client, issuer: str) -> str:
    """Return where a client begins to sign in by itself: its registered address (OpenID Connect Core §4), else its home."""
    initiate = target.about.initiate_login_uri
    if initiate is None:
        return find_home(target) or "/"
    return f"{initiate}{'&' if '?' in initiate else '?'}{urlencode({'iss': issuer})}"


def _describe(person_id: UUID, grant: Grant, target: Client, request_id: str, place: Place) -> AuditEvent:
    return AuditEvent(
        Kind.TICKET_USED,
        actor=f"person:{person_id}",
        person_id=person_id,
        client_id=grant.client_id,
        request_id=request_id,
        details={"target": target.client_id},
        place=place,
    )
