"""Decides how many refusals of one kind and cause are recorded in a minute: anybody may cause such rows, and they are kept for years."""

from dataclasses import replace

from idp.authenticators.rules.throttling import name_origin
from idp.kernel.audit_events import AuditEvent, Kind
from idp.platform.audit_log import AuditLog
from idp.platform.ledger import Ledger
from idp.platform.transients import Transients

REFUSALS = "refusals_by_cause"
MINUTE = 60.0


class Refusals:
    """Shared by all that refuse whoever asks. The answers stay as they are, and what is not refused is not counted: nobody pays for the
    flood of a neighbour but with rows.

    ``share``: refusals of one kind and cause that are recorded in a minute; the next one becomes the row that says so, and all further
    ones none.
    """

    def __init__(self, transients: Transients, ledger: Ledger, audit: AuditLog, share: int) -> None:
        self._transients = transients
        self._ledger = ledger
        self._audit = audit
        self._share = share

    async def record(self, event: AuditEvent) -> None:
        """Write the audit row of a refusal, durable on return, as far as its cause still has a share."""
        counted = await self._transients.count(REFUSALS, _name_cause(event), MINUTE)
        if counted.number > self._share + 1:
            return
        if counted.number > self._share:
            event = replace(event, kind=Kind.REFUSALS_UNRECORDED, details={"recorded": self._share, "next": event.kind.value})
        await self._ledger.record(self._audit.prepare(event))


def _name_cause(event: AuditEvent) -> str:
    """Return who has the share: a person who is signed in, so that neighbours never crowd out what concerns one; else the network.

    Each kind has its own: whoever sends garbage hides no guessing at secrets behind it.
    """
    if event.actor == "person":
        return f"{event.kind.value} person {event.person_id}"
    return f"{event.kind.value} network {name_origin(event.place.address if event.place is not None else '')}"
