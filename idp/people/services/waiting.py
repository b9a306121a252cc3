"""Decides what happens to registrations nobody is working on: their person hears when a silent authority is back, and they end (S37)."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from idp.authenticators.rules.sms_limits import find_day
from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.checks import CheckKind
from idp.kernel.clock import Clock
from idp.people.rules.masking import mask_name
from idp.people.services.drafts import Drafts
from idp.people.stores import check_counts, drafts
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.outbox import Outbox
from idp.sources.source import Source

BATCH: Final = 200
BATCHES: Final = 20
KEPT_DAYS: Final = timedelta(days=2)
NOTICE_LIFE: Final = timedelta(hours=6)
FIRST: Final = UUID(int=0)


class Waiting:
    """Periodic work on registrations; each of it may run any number of times."""

    def __init__(self, database: Database, held: Drafts, sources: Source, outbox: Outbox, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._drafts = held
        self._sources = sources
        self._outbox = outbox
        self._audit = audit
        self._clock = clock

    async def tell_resumed(self) -> int:
        """Send a message to everybody who waits for an authority that answers again; return how many."""
        told = 0
        answering: dict[CheckKind, bool] = {}
        for name in await drafts.list_awaited(self._database):
            if await self._answers(CheckKind(name), answering):
                told += await self._tell_all(name, answering)
        return told

    async def drop_expired(self) -> int:
        """Forget registrations whose 72 hours are over, with an audit row each, and the counts of past days; return how many."""
        now = self._clock()
        dropped = 0
        for _ in range(BATCHES):
            async with self._database.transaction() as tx:
                await check_counts.drop_days(tx, find_day(now) - KEPT_DAYS)
                ended = await drafts.drop_expired(tx, now, BATCH)
                for draft_id, step in ended:
                    if step == "done":
                        continue
                    details: dict[str, str | int | bool | None] = {"case": str(draft_id), "step": step}
                    await self._audit.record(tx, AuditEvent(Kind.REGISTRATION_EXPIRED, Result.REFUSED, details=details))
            dropped += len(ended)
            if len(ended) < BATCH:
                break
        return dropped

    async def _answers(self, kind: CheckKind, known: dict[CheckKind, bool]) -> bool:
        """Tell whether an authority answers again; each is asked once a run."""
        if kind not in known:
            known[kind] = await self._sources.probe(kind)
        return known[kind]

    async def _tell_all(self, name: str, answering: dict[CheckKind, bool]) -> int:
        told, after = 0, FIRST
        for _ in range(BATCHES):
            now = self._clock()
            rows = await drafts.list_awaiting(self._database, name, after, now, BATCH)
            for row in rows:
                after = row.id
                held = self._drafts.open(row)
                if held is None or held.checking:
                    continue
                # Of several silent authorities the last one back is worth a message.
                if all([await self._answers(kind, answering) for kind in held.draft.pending]):
                    told += await self._tell(name, row.id, held.draft.phone.value, held.draft.name, now)
            if len(rows) < BATCH:
                break
        return told

    async def _tell(self, name: str, draft_id: UUID, phone: str, person: str, now: datetime) -> bool:
        async with self._database.transaction() as tx:
            if not await drafts.stop_awaiting(tx, draft_id, name):
                return False
            message = {"phone": phone, "template": "registration_resumed", "parameters": {"name": mask_name(person)}}
            await self._outbox.add(tx, "sms", message, now + NOTICE_LIFE)
        return True
