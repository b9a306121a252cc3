"""Decides the order of audit rows for good: one sequencer links committed rows into a hash chain, a little after they were written.

hash(seq) = H(prev ‖ seq as 8 bytes, big-endian ‖ event id as 16 bytes ‖ mac of the event); the first ``prev`` is 32 zero bytes, the
first ``seq`` is 1. H is SHA-256 or SM3, as the link's ``suite`` says; both follow each other after a switch. Writers never wait for the
chain: a locked chain head costs two thirds of the commits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from idp.kernel.clock import Clock
from idp.platform.audit_log import EPOCH
from idp.platform.database import Database, Row, Transaction
from keys import Suite, hash_bytes

FIRST_PREVIOUS = bytes(32)
BATCH = 1_000

REACH = timedelta(hours=1)
"""A row is chained when it commits within this time after its instant; one that appears later is named by the verification."""

NEAR = timedelta(seconds=30)
FAR_EVERY = timedelta(minutes=1)
"""Most passes look only NEAR the newest chained row, one a minute the whole REACH: a pass over an hour of a busy day costs a second."""

_LOCK = 0x69647032

TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"
READ_HEAD = "SELECT seq, event_at, hash FROM audit_chain ORDER BY seq DESC LIMIT 1"
READ_NEWEST = "SELECT max(event_at) FROM audit_chain"
# Both sides are bounded, which makes it a merge of two short index ranges; otherwise the whole chain would be hashed every second.
FIND_PENDING = """
    SELECT e.at, e.id, e.mac FROM audit_events e
    WHERE e.at >= $1
        AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.event_at = e.at AND c.event_id = e.id AND c.event_at >= $1)
    ORDER BY e.at, e.id LIMIT $2
"""
APPEND = """
    INSERT INTO audit_chain (seq, event_at, event_id, mac, prev, hash, suite)
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::uuid[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[])
"""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last link: its number, its hash and the instant of its event."""

    seq: int
    hash: bytes
    event_at: datetime


def compute_link(suite: Suite, previous: bytes, seq: int, event_id: UUID, mac: bytes) -> bytes:
    """Return the hash of one link."""
    return hash_bytes(suite, previous + seq.to_bytes(8, "big") + event_id.bytes + mac)


async def read_head(database: Database) -> ChainHead | None:
    """Return the last link, None while nothing is chained."""
    return _read_head(await database.fetch(READ_HEAD))


async def chain_pending(tx: Transaction, now: datetime, suite: Suite, *, reach: timedelta = REACH, limit: int = BATCH) -> int | None:
    """Link up to ``limit`` committed rows that are not linked yet and return how many; None when another sequencer is at work.

    Rows are sought from the newest linked row's instant (or ``now``, should a wrong clock have written the future) minus ``reach``.
    """
    if not await tx.fetchval(TRY_LOCK, _LOCK):
        return None
    head = _read_head(await tx.fetch(READ_HEAD))
    newest = await tx.fetchval(READ_NEWEST)
    start = EPOCH if newest is None else min(newest, now) - reach
    rows = await tx.fetch(FIND_PENDING, start, limit)
    if not rows:
        return 0
    seq, previous = (head.seq, head.hash) if head else (0, FIRST_PREVIOUS)
    seqs, previouses, hashes = [], [], []
    for row in rows:
        seq += 1
        seqs.append(seq)
        previouses.append(previous)
        previous = compute_link(suite, previous, seq, row["id"], row["mac"])
        hashes.append(previous)
    ats, ids, macs = ([row[column] for row in rows] for column in ("at", "id", "mac"))
    await tx.execute(APPEND, seqs, ats, ids, macs, previouses, hashes, [suite.value] * len(rows))
    return len(rows)


class Sequencer:
    """Links whatever is pending, batch by batch; any number may run, one works."""

    def __init__(self, database: Database, clock: Clock, suite: Suite) -> None:
        self._database = database
        self._clock = clock
        self._suite = suite
        self._far_at: datetime | None = None

    async def run_once(self) -> int:
        """Link all that is pending now and return how many rows that were."""
        now = self._clock()
        far = self._far_at is None or now - self._far_at >= FAR_EVERY
        total = 0
        while True:
            async with self._database.transaction() as tx:
                linked = await chain_pending(tx, now, self._suite, reach=REACH if far else NEAR)
            if linked is None:
                return total
            total += linked
            if linked < BATCH:
                if far:
                    self._far_at = now
                return total


def _read_head(rows: list[Row]) -> ChainHead | None:
    return ChainHead(rows[0]["seq"], rows[0]["hash"], rows[0]["event_at"]) if rows else None
