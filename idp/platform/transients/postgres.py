"""Decides how transients live in PostgreSQL: one UNLOGGED table, every verb one statement, time by the caller's clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

from idp.kernel.clock import Clock, Random
from idp.platform.database import Database
from idp.platform.transients import Counted, Versioned, check_key, check_step, check_ttl, check_value
from keys import Mac, Sealer, Unsealable, row_aad

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BIRTH = "birth"
CLEANING_PAUSE = 0.02
"""Seconds between two statements of the cleaning: it removes up to 50,000 rows a second and leaves room for what serves."""

# The birth lies in the same table, so it is lost exactly when the rest is; its instant is its version, in microseconds.
# DO NOTHING takes no lock on the row that every writer meets.
PUT = """
WITH birth AS (
    INSERT INTO transients (kind, key, value, version, expires_at) VALUES ('birth', $6, '', $7, 'infinity') ON CONFLICT DO NOTHING
)
INSERT INTO transients (kind, key, value, version, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
"""
GET = "SELECT value, version FROM transients WHERE kind = $1 AND key = $2 AND expires_at > $3"
TAKE = "DELETE FROM transients WHERE kind = $1 AND key = $2 AND expires_at > $3 RETURNING value"
REPLACE = """
UPDATE transients SET value = $3, version = version + 1 WHERE kind = $1 AND key = $2 AND version = $4 AND expires_at > $5 RETURNING version
"""
ADD_ONCE = """
INSERT INTO transients (kind, key, value, version, expires_at) VALUES ($1, $2, '', 1, $3)
ON CONFLICT (kind, key) DO UPDATE SET expires_at = excluded.expires_at WHERE transients.expires_at <= $4
RETURNING version
"""
COUNT = """
INSERT INTO transients (kind, key, value, version, expires_at) VALUES ($1, $2, '', $3, $4)
ON CONFLICT (kind, key) DO UPDATE SET
    version = CASE WHEN transients.expires_at > $5 THEN transients.version + excluded.version ELSE excluded.version END,
    expires_at = CASE WHEN transients.expires_at > $5 THEN transients.expires_at ELSE excluded.expires_at END
RETURNING version, expires_at
"""
# The end of the window is its name: what was counted in another one is not touched, and none is begun.
UNCOUNT = "UPDATE transients SET version = greatest(version - $3, 0) WHERE kind = $1 AND key = $2 AND expires_at = $4"
RECORD_BIRTH = """
INSERT INTO transients (kind, key, value, version, expires_at) VALUES ('birth', $1, '', $2, 'infinity') ON CONFLICT DO NOTHING
"""
READ_BIRTH = "SELECT version FROM transients WHERE kind = 'birth' AND key = $1"
REMOVE_EXPIRED = """
WITH removed AS (
    DELETE FROM transients WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM transients WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING kind
)
SELECT count(*) AS number FROM removed
"""


class PostgresTransients:
    """The ``Transients`` of an installation without Redis; crash recovery empties it, and it is then newly born."""

    def __init__(self, database: Database, sealer: Sealer, names: Mac, clock: Clock, random: Random) -> None:
        self._database = database
        self._sealer = sealer
        self._names = names
        self._clock = clock
        self._random = random

    @property
    def _birth_name(self) -> bytes:
        # Asked for each time: under a new key nothing old is found, so the store is newly born then too.
        return self._names.compute(check_key(_BIRTH, ""))

    async def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        """See ``Transients.put``."""
        check_value(value)
        check_ttl(ttl)
        now = self._clock()
        name = self._names.compute(check_key(kind, key))
        # A version begins at random, so a stale one never fits a value that was put again.
        version = int.from_bytes(self._random(6), "big")
        sealed = self._sealer.seal(value, row_aad("transients", kind, name), self._random)
        expires_at = now + timedelta(seconds=ttl)
        await self._database.write(PUT, kind, name, sealed, version, expires_at, self._birth_name, _to_microseconds(now))

    async def get(self, kind: str, key: str) -> Versioned | None:
        """See ``Transients.get``."""
        name = self._names.compute(check_key(kind, key))
        rows = await self._database.fetch(GET, kind, name, self._clock())
        value = self._open(kind, name, rows[0]["value"]) if rows else None
        return None if value is None else Versioned(value, rows[0]["version"])

    async def take(self, kind: str, key: str) -> bytes | None:
        """See ``Transients.take``."""
        name = self._names.compute(check_key(kind, key))
        rows = await self._database.write(TAKE, kind, name, self._clock())
        return self._open(kind, name, rows[0]["value"]) if rows else None

    async def replace(self, kind: str, key: str, value: bytes, version: int) -> bool:
        """See ``Transients.replace``."""
        check_value(value)
        name = self._names.compute(check_key(kind, key))
        sealed = self._sealer.seal(value, row_aad("transients", kind, name), self._random)
        return bool(await self._database.write(REPLACE, kind, name, sealed, version, self._clock()))

    async def add_once(self, kind: str, key: str, ttl: float) -> bool:
        """See ``Transients.add_once``."""
        check_ttl(ttl)
        now = self._clock()
        name = self._names.compute(check_key(kind, key))
        return bool(await self._database.write(ADD_ONCE, kind, name, now + timedelta(seconds=ttl), now))

    async def count(self, kind: str, key: str, ttl: float, by: int = 1) -> Counted:
        """See ``Transients.count``."""
        check_ttl(ttl)
        check_step(by)
        now = self._clock()
        name = self._names.compute(check_key(kind, key))
        rows = await self._database.write(COUNT, kind, name, by, now + timedelta(seconds=ttl), now)
        return Counted(rows[0]["version"], rows[0]["expires_at"])

    async def uncount(self, kind: str, key: str, counted: Counted, by: int = 1) -> None:
        """See ``Transients.uncount``."""
        check_step(by)
        await self._database.write(UNCOUNT, kind, self._names.compute(check_key(kind, key)), by, counted.expires_at)

    async def born_at(self) -> datetime:
        """See ``Transients.born_at``."""
        rows = await self._database.fetch(READ_BIRTH, self._birth_name)
        if not rows:
            await self._database.write(RECORD_BIRTH, self._birth_name, _to_microseconds(self._clock()))
            rows = await self._database.fetch(READ_BIRTH, self._birth_name)
        return _EPOCH + timedelta(microseconds=rows[0]["version"])

    async def close(self) -> None:
        """See ``Transients.close``: the connections are the database's."""

    def _open(self, kind: str, name: bytes, sealed: bytes) -> bytes | None:
        try:
            return self._sealer.open(sealed, row_aad("transients", kind, name))
        except Unsealable:
            return None


async def remove_expired(
    database: Database, now: datetime, *, batch: int = 1_000, batches: int | None = None, pause: float = CLEANING_PAUSE
) -> int:
    """Delete what expired by ``now`` until nothing of it is left, ``batch`` rows in a statement; return how many went.

    Between two statements others get ``pause`` seconds. ``batches`` bounds the statements; what is left then waits for the next call.
    """
    removed = 0
    for number in count() if batches is None else range(batches):
        if number:
            await asyncio.sleep(pause)
        rows = await database.write(REMOVE_EXPIRED, now, batch)
        removed += rows[0]["number"]
        if rows[0]["number"] < batch:
            break
    return removed


def _to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
