"""Decides what an operator may correct about a person: a death that the register reports, and a report that was wrong (S21)."""

from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind
from idp.people.rules.person import PERSON_TRANSITIONS, Status, StatusEvent
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database


class NobodyFound(Exception):
    """No account has this identifier."""


class NotPossible(Exception):
    """The account's status does not allow it; the text is the status."""


class Corrections:
    """Changes of status by an operator, each with its reason in the audit."""

    def __init__(self, database: Database, people: People, audit: AuditLog) -> None:
        self._database = database
        self._people = people
        self._audit = audit

    async def apply(self, identifier: str, event: StatusEvent, reason: str, *, actor: str) -> Status:
        """Let ``event`` happen to the account of an identifier; return its new status.

        A reported death ends every session and grant; a corrected one gives the account back frozen, until the person proves to be alive.
        Raises NobodyFound, NotPossible. ``reason`` is a reference, not a story: it is kept in the audit log as it is.
        """
        known = await self._people.find_by_identifier(identifier)
        if known is None:
            raise NobodyFound
        person_id, before = known.standing.person_id, known.standing.status
        if (before, event) not in PERSON_TRANSITIONS.rows:
            raise NotPossible(before.value)
        return await self._change(person_id, before, event, reason, actor)

    async def _change(self, person_id: UUID, before: Status, event: StatusEvent, reason: str, actor: str) -> Status:
        async with self._database.transaction() as tx:
            after = await self._people.change_status(tx, person_id, before, event)
            details: dict[str, str | int | bool | None] = {
                "event": event.value,
                "before": before.value,
                "after": after.value,
                "reason": reason,
            }
            await self._audit.record(tx, AuditEvent(Kind.PERSON_STATUS_CHANGED, actor=actor, person_id=person_id, details=details))
        return after
