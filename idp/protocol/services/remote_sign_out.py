"""Decides what departments lose when a person ends a sign-in from another device: every grant of it, offline ones included."""

from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Transaction
from idp.protocol.stores import remote_sign_out as store


class RemoteSignOut:
    """Called by the account's pages, which know sessions and no grants.

    A sign-out in the browser itself lets offline grants go on, as OpenID Connect Core §11 means them; who ends a sign-in from
    elsewhere does it because the device is lost or not theirs.
    """

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    async def end_grants(self, tx: Transaction, person_id: UUID, lineage: bytes, reason: str, *, others: bool) -> None:
        """End the grants of this lineage, or with ``others`` those of every other one, in the caller's transaction."""
        end = store.end_of_others if others else store.end_of_lineage
        for client_id, number in sorted((await end(tx, person_id, lineage, self._clock(), reason)).items()):
            details: dict[str, Detail] = {"reason": reason, "grants": number}
            event = AuditEvent(Kind.GRANT_ENDED, actor=f"person:{person_id}", person_id=person_id, client_id=client_id, details=details)
            await self._audit.record(tx, event)
