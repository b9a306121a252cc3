"""Decides what happens when a person may not sign in at one application any more, or may again: at once, told by message, audited (S10)."""

from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_uuid7
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.logout_notices import LogoutNotices
from idp.protocol.stores import application_bans, grants
from idp.protocol.stores.application_bans import ApplicationBan
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.sessions import Sessions

BARRED = "application_barred"
UNBARRED = "application_unbarred"
GRANTS_END = "barred from the application"
MAX_VALUE = 40
"""Characters of one value of a message (the vendors' bound)."""


class NobodyThere(Exception):
    """No account has this identifier."""


class NoSuchClient(Exception):
    """There is no such client."""


class AlreadySo(Exception):
    """The ban holds already, or there is none to end."""


class ApplicationBans:
    """Bans limited to one application. Whoever calls answers for the two officers that the rule asks for."""

    def __init__(
        self,
        database: Database,
        directory: ClientDirectory,
        people: People,
        sessions: Sessions,
        logout_notices: LogoutNotices,
        notices: AccountNotices,
        audit: AuditLog,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._directory = directory
        self._people = people
        self._sessions = sessions
        self._logout_notices = logout_notices
        self._notices = notices
        self._audit = audit
        self._clock = clock
        self._random = random

    async def ban(self, identifier: str, client_id: str, reference: str, reason: str, *, actor: str) -> int:
        """Bar the person from the client; return how many grants ended with it.

        The department is told that the person's sign-ins ended there; everywhere else they go on. ``reason`` is told to the person;
        the audit keeps the ``reference`` alone. Raises NobodyThere, NoSuchClient, AlreadySo.
        """
        now = self._clock()
        person_id, department = await self._find(identifier, client_id)
        ban = ApplicationBan(person_id, make_uuid7(self._clock, self._random), client_id, reference, reason, actor, now)
        async with self._database.transaction() as tx:
            await self._people.hold(tx, person_id, alone=True)
            if not await application_bans.add(tx, ban):
                raise AlreadySo
            ended = await grants.end_at_client(tx, person_id, client_id, now, GRANTS_END)
            details: dict[str, Detail] = {"event": "banned", "reference": reference, "grants": ended}
            await self._record(tx, person_id, client_id, details, actor)
            await self._logout_notices.add(tx, person_id, await self._sessions.list_lineages(person_id), client_id=client_id)
            await self._tell(tx, person_id, BARRED, {"department": department, "reason": reason[:MAX_VALUE]})
        return ended

    async def unban(self, identifier: str, client_id: str, reference: str, *, actor: str) -> None:
        """Let the person sign in there again. Raises NobodyThere, NoSuchClient, AlreadySo."""
        person_id, department = await self._find(identifier, client_id)
        async with self._database.transaction() as tx:
            await self._people.hold(tx, person_id, alone=True)
            if not await application_bans.end(tx, person_id, client_id, actor, self._clock()):
                raise AlreadySo
            # A code that was redeemed while the ban was being written left a grant that it did not see, and that slept until now.
            await grants.end_at_client(tx, person_id, client_id, self._clock(), GRANTS_END)
            await self._record(tx, person_id, client_id, {"event": "unbanned", "reference": reference}, actor)
            await self._tell(tx, person_id, UNBARRED, {"department": department})

    async def _find(self, identifier: str, client_id: str) -> tuple[UUID, str]:
        known = await self._people.find_by_identifier(identifier)
        if known is None:
            raise NobodyThere
        client = await self._directory.find(client_id)
        if client is None:
            raise NoSuchClient
        return known.standing.person_id, client.name.replace("/", " ")[:MAX_VALUE]

    async def _tell(self, tx: Transaction, person_id: UUID, template: str, values: dict[str, str]) -> None:
        known = await self._people.find_by_id(person_id)
        if known is not None:
            await self._notices.add(tx, known.phone, await self._people.find_masked_name(person_id), template, values)

    async def _record(self, tx: Transaction, person_id: UUID, client_id: str, details: dict[str, Detail], actor: str) -> None:
        event = AuditEvent(Kind.APPLICATION_BAN_CHANGED, actor=actor, person_id=person_id, client_id=client_id, details=details)
        await self._audit.record(tx, event)
