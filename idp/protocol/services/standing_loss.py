"""Decides what ends when an account is banned, frozen, closed or reported dead: every session and every grant, at once and for good."""

from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Transaction
from idp.protocol.stores import grants
from idp.sign_in.services.sessions import Sessions


class StandingLoss:
    """Called by the people's directory, which knows neither sessions nor grants."""

    def __init__(self, sessions: Sessions, audit: AuditLog, clock: Clock) -> None:
        self._sessions = sessions
        self._audit = audit
        self._clock = clock

    async def end_everything(self, tx: Transaction, person_id: UUID, reason: str) -> None:
        """End the person's sessions and grants (offline ones included) in the caller's transaction; ``reason`` is the new status."""
        await self._sessions.end_all(tx, person_id, reason)
        for client_id, number in sorted((await grants.end_of_person(tx, person_id, self._clock(), reason)).items()):
            details: dict[str, str | int | bool | None] = {"reason": reason, "grants": number}
            await self._audit.record(tx, AuditEvent(Kind.GRANT_ENDED, person_id=person_id, client_id=client_id, details=details))
