"""Decides whether the audit is as it was written: every mac, every link, every checkpoint; each bad row is named."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from idp.platform.audit_chain import FIRST_PREVIOUS, REACH, ChainHead, compute_link, read_head
from idp.platform.audit_checkpoints import Checkpoint, CheckpointFile, CheckpointLine, Verifier
from idp.platform.audit_log import COLUMNS, EPOCH, verify_row
from idp.platform.database import Database, Row
from keys import Mac, Suite

BATCH = 2_000
MOST_FAULTS = 1_000
"""Faults that are kept and named; further ones are counted."""

# Keyset pages, each a statement of its own: memory and lock time stay bounded however long the chain is.
EVENT = ", ".join("e." + column for column in COLUMNS)
READ_CHAIN = (
    "SELECT c.seq, c.event_at, c.event_id, c.mac AS chained_mac, c.prev, c.hash, c.suite, "  # noqa: S608 - constants alone
    + EVENT
    + """
    FROM audit_chain c LEFT JOIN audit_events e ON e.at = c.event_at AND e.id = c.event_id
    WHERE c.seq > $1 AND c.seq <= $2 ORDER BY c.seq LIMIT $3
    """
)
READ_EVENTS = """
    SELECT e.at, e.id, c.seq FROM audit_events e
    LEFT JOIN audit_chain c ON c.event_at = e.at AND c.event_id = e.id AND c.event_at >= $1 AND c.seq <= $3
    WHERE e.at >= $1 AND (e.at, e.id) > ($1, $2) ORDER BY e.at, e.id LIMIT $4
"""
READ_ROWS = (
    "SELECT "  # noqa: S608 - constants alone
    + EVENT
    + """
    FROM unnest($1::timestamptz[], $2::uuid[]) AS wanted (at, id) JOIN audit_events e ON e.at = wanted.at AND e.id = wanted.id
    """
)


@dataclass(frozen=True, slots=True)
class AuditFault:
    """One thing that is not as it was written. ``at`` and ``event_id`` name the row where there is one, ``seq`` its place in the chain."""

    reason: str
    at: datetime | None = None
    event_id: UUID | None = None
    seq: int | None = None

    def describe(self) -> str:
        """Return one line for the operator."""
        parts = []
        if self.event_id is not None and self.at is not None:
            parts.append(f"row {self.event_id} of {self.at.isoformat()}")
        if self.seq is not None:
            parts.append(f"seq {self.seq}")
        return f"{', '.join(parts)}: {self.reason}" if parts else self.reason


@dataclass(slots=True)
class AuditReport:
    """What was checked. ``tail``: rows not chained yet, their macs checked; ``tail_since``: the oldest of them.

    ``checkpointed_to``: the last seq that a checkpoint covers; later links are held by the chain alone. ``torn_lines``: lines of the
    checkpoint file that count for nothing, such as those a crash left unfinished.
    """

    rows: int = 0
    chained: int = 0
    tail: int = 0
    tail_since: datetime | None = None
    checkpoints: int = 0
    checkpointed_to: int = 0
    torn_lines: int = 0
    faults: list[AuditFault] = field(default_factory=list)
    faults_not_kept: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def add(self, fault: AuditFault) -> None:
        """Keep a fault, or only count it once there are MOST_FAULTS."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)
        else:
            self.faults_not_kept += 1


async def verify(database: Database, mac: Mac, checkpoint_file: Path, verifier: Verifier, *, batch: int = BATCH) -> AuditReport:
    """Check the whole audit and return the report. Rows written meanwhile count to the tail."""
    report = AuditReport()
    head = await read_head(database)
    checkpoints = _Checkpoints(report, CheckpointFile(checkpoint_file).read(verifier))
    newest = await _check_chain(database, mac, head, checkpoints, report, batch)
    checkpoints.finish(head)
    await _check_events(database, mac, head.seq if head else 0, newest, report, batch)
    return report


async def _check_chain(
    database: Database, mac: Mac, head: ChainHead | None, checkpoints: "_Checkpoints", report: AuditReport, batch: int
) -> datetime | None:
    """Walk the links up to ``head``; return the newest instant of a linked event."""
    seq, previous, newest = 0, FIRST_PREVIOUS, None
    async for link in _read_links(database, head.seq if head else 0, batch):
        at, event_id, expected = link["event_at"], link["event_id"], seq + 1
        seq = link["seq"]
        if seq != expected:
            lost = str(expected) if seq == expected + 1 else f"{expected} to {seq - 1}"
            report.add(AuditFault(f"the links before it are missing: seq {lost}", at, event_id, seq))
        elif link["prev"] != previous:
            report.add(AuditFault("the link does not follow the one before it", at, event_id, seq))
        if compute_link(Suite(link["suite"]), link["prev"], seq, event_id, link["chained_mac"]) != link["hash"]:
            report.add(AuditFault("the link was altered: its hash does not fit", at, event_id, seq))
        if link["id"] is None:
            report.add(AuditFault("the row was deleted: the chain knows it, the audit does not", at, event_id, seq))
        elif link["mac"] != link["chained_mac"]:
            report.add(AuditFault("the row was replaced: its mac is not the one that was chained", at, event_id, seq))
        elif fault := verify_row(link, mac):
            report.add(AuditFault(fault.value, at, event_id, seq))
        previous = link["hash"]
        newest = at if newest is None else max(newest, at)
        report.chained += 1
        checkpoints.compare(seq, previous, report.chained, at, event_id)
    return newest


async def _check_events(database: Database, mac: Mac, chained_to: int, newest: datetime | None, report: AuditReport, batch: int) -> None:
    """Count every row, and check those that the walk along the chain did not meet."""
    at, event_id = EPOCH, UUID(int=0)
    while page := await database.fetch(READ_EVENTS, at, event_id, chained_to, batch):
        report.rows += len(page)
        at, event_id = page[-1]["at"], page[-1]["id"]
        loose = [row for row in page if row["seq"] is None]
        if not loose:
            continue
        for row in await database.fetch(READ_ROWS, [row["at"] for row in loose], [row["id"] for row in loose]):
            _check_loose(row, mac, newest, report)


def _check_loose(row: Row, mac: Mac, newest: datetime | None, report: AuditReport) -> None:
    if fault := verify_row(row, mac):
        report.add(AuditFault(fault.value, row["at"], row["id"]))
    if newest is not None and row["at"] < newest - REACH:
        report.add(AuditFault("the row was never chained: it appeared after its time had passed", row["at"], row["id"]))
        return
    report.tail += 1
    report.tail_since = row["at"] if report.tail_since is None else min(report.tail_since, row["at"])


async def _read_links(database: Database, last: int, batch: int) -> AsyncIterator[Row]:
    seq = 0
    while page := await database.fetch(READ_CHAIN, seq, last, batch):
        for row in page:
            yield row
        seq = page[-1]["seq"]


class _Checkpoints:
    """Walks the checkpoint file beside the chain and compares where they meet."""

    def __init__(self, report: AuditReport, lines: Iterator[CheckpointLine]) -> None:
        self._report = report
        self._lines = lines
        self._broken = False
        self._last: Checkpoint | None = None
        self._next = self._advance()

    def compare(self, seq: int, link: bytes, count: int, at: datetime, event_id: UUID) -> None:
        """Compare the link ``seq`` with the checkpoints that name it or should have named one before it."""
        while self._next is not None and self._next.seq <= seq:
            named = self._next
            if named.seq < seq:  # its link is missing, which the chain already told
                self._tell_rewritten(named, None, None)
            elif named.hash != link.hex() or named.count != count:
                self._tell_rewritten(named, at, event_id)
            elif not self._broken:
                self._report.checkpointed_to = seq
            self._next = self._advance()

    def finish(self, head: ChainHead | None) -> None:
        """Tell of a chain that ends before its last checkpoint, and of a chain without any."""
        end = head.seq if head else 0
        furthest = None
        while self._next is not None:
            furthest, self._next = self._next, self._advance()
        if furthest is not None:
            self._report.add(
                AuditFault(
                    f"the chain was cut off: it ends at seq {end}, the checkpoint of {furthest.at.isoformat()} knows seq {furthest.seq}"
                )
            )
        if head is not None and self._report.checkpoints == 0:
            self._report.add(AuditFault("no checkpoint was found: the chain is held by nothing outside the database"))

    def _tell_rewritten(self, named: Checkpoint, at: datetime | None, event_id: UUID | None) -> None:
        if self._broken:  # every later checkpoint disagrees too
            return
        self._broken = True
        first = self._report.checkpointed_to + 1
        self._report.add(
            AuditFault(
                f"the chain was rewritten between seq {first} and {named.seq}: the checkpoint of {named.at.isoformat()} knows another link",
                at,
                event_id,
                named.seq,
            )
        )

    def _advance(self) -> Checkpoint | None:
        for line in self._lines:
            if line.checkpoint is None:
                self._report.torn_lines += 1
                continue
            if not line.linked:
                self._report.add(AuditFault(f"the checkpoint file was altered: a line before line {line.number} is missing or changed"))
            if self._last is not None and line.checkpoint.seq <= self._last.seq:
                self._report.add(AuditFault(f"the checkpoint file was altered: line {line.number} goes back"))
                continue
            self._last = line.checkpoint
            self._report.checkpoints += 1
            return line.checkpoint
        return None
