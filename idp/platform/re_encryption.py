"""Decides how rows come under the current keys: batch after batch, each a transaction, resumed by cursor, never over another's write."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from idp.kernel.clock import Clock, Random
from idp.platform.audit_log import EPOCH
from idp.platform.database import Database, Row
from idp.platform.jobs import Job, JobState
from idp.platform.sealed_columns import RE_SEALED, SealedColumn
from keys import BlindIndex, DataKeys, Sealer, Unsealable

KIND: Final = "re_encryption"
EVERY: Final = timedelta(seconds=5)
SLICE: Final = 2.0
"""Seconds of one run; then the cursor is kept and the worker's other jobs have their turn."""

LEASE: Final = timedelta(seconds=10)
"""So soon another worker goes on where a killed one stopped."""

BATCH: Final = 200
"""Rows of one transaction: read, opened, sealed and written in some hundredths of a second."""

PAUSE: Final = 0.005
"""Seconds between two batches, for what serves."""

COUNTED: Final = 100_000
"""A table that PostgreSQL takes for smaller is counted; of a larger one its estimate is told."""

ESTIMATE = "SELECT reltuples::bigint AS number FROM pg_class WHERE oid = to_regclass($1)"
START_AGAIN = "UPDATE jobs SET cursor = '', run_at = $2 WHERE kind = $1"


class Statements:
    """The SQL of one column, put together once from the constants of its row in the table."""

    def __init__(self, column: SealedColumn) -> None:
        table, names, field = column.table, list(column.key), column.column
        key, first = ", ".join(names), len(names) + 1
        stale = f"substring({field} FROM 1 FOR octet_length(${{0}}::bytea)) <> ${{0}}::bytea"
        if column.index:
            stale = f"({stale} OR index_key <> ${{1}}::text)"
        select = f"SELECT {key}, CASE WHEN {field} IS NOT NULL AND {stale} THEN {field} END AS sealed FROM {table}"  # noqa: S608 - constants
        order = f"ORDER BY {key} LIMIT"
        last = 3 if column.index else 2
        self.read_first = f"{select.format(1, 2)} {order} ${last}"
        after = ", ".join(f"${number + 1}::{kind}" for number, kind in enumerate(column.key.values()))
        self.read_next = f"{select.format(first, first + 1)} WHERE ({key}) > ({after}) {order} ${first + last - 1}"
        self.count = f"SELECT count(*) AS number FROM {table}"  # noqa: S608 - constants
        given = [*column.key.values(), "bytea", "bytea", *(["bytea"] if column.index else [])]
        arrays = ", ".join(f"${number + 1}::{kind}[]" for number, kind in enumerate(given))
        same = " AND ".join(f"t.{name} = n.{name}" for name in names)
        moved, alone, fields = "", "", [*names, "before", "after"]
        if column.index:
            fields.append("moved")
            moved = f", {column.index} = n.moved, index_key = ${len(given) + 1}"
            others = " AND ".join(f"o.{name} = n.{'moved' if name == column.index else name}" for name in names)
            # Nobody can have taken the place meanwhile, whoever adds an identifier looks for it under every key; a defect is left as it is.
            alone = f" AND (n.moved = n.{column.index} OR NOT EXISTS (SELECT FROM {table} o WHERE {others}))"
        self.write = (
            f"UPDATE {table} t SET {field} = n.after{moved} FROM unnest({arrays}) AS n ({', '.join(fields)}) "  # noqa: S608 - constants
            f"WHERE {same} AND t.{field} = n.before{alone} RETURNING 1"
        )


STATEMENTS: Final = {column.name: Statements(column) for column in RE_SEALED}


class Walk(msgspec.Struct):
    """Where the job stands, as its cursor. ``reached``: column → the keys that all of it is under; the rest is about ``column``.

    ``since``: column → its keys and when they were first seen as current. ``began``: when this pass through the table did; in it ``seen``
    rows of about ``total`` were looked at and ``changed`` of them made anew, ``changed_before`` in earlier passes. ``stuck``: column → rows
    that do not open.
    """

    reached: dict[str, str] = {}
    since: dict[str, tuple[str, datetime]] = {}
    stuck: dict[str, int] = {}
    column: str = ""
    goal: str = ""
    began: datetime = EPOCH
    after: list[str] | None = None
    seen: int = 0
    total: int = 0
    changed: int = 0
    changed_before: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Walk).decode


class ReEncryption:
    """Brings every column of RE_SEALED under the current keys. ``settle``: so long after a switch somebody may still write with the old."""

    def __init__(
        self, database: Database, data_keys: DataKeys, clock: Clock, random: Random, settle: timedelta, batch: int = BATCH
    ) -> None:
        self._database = database
        self._data_keys = data_keys
        self._clock = clock
        self._random = random
        self._settle = settle
        self._batch = batch
        self._sealers = {column.purpose: data_keys.sealer(column.purpose) for column in RE_SEALED}
        self._index = data_keys.index("index")

    def as_job(self) -> Job:
        """Return it as periodic work of the worker."""
        return Job(KIND, EVERY, self.run, LEASE)

    async def run(self, state: JobState) -> JobState:
        """Work for SLICE seconds at most and return where it stands; nothing is done where nothing is under an older key."""
        walk = _read_cursor(state.cursor)
        ends = asyncio.get_running_loop().time() + SLICE
        self._note_goals(walk)
        while (column := self._find_next(walk)) is not None:
            goal = self._name_goal(column)
            if (walk.column, walk.goal) != (column.name, goal):
                await self._begin(walk, column, goal)
            if await self._step(walk, column) and not self._finish_pass(walk):
                return JobState(_encode(walk).decode(), _describe(walk))
            if asyncio.get_running_loop().time() >= ends:
                return JobState(_encode(walk).decode(), _describe(walk), again=True)
            await asyncio.sleep(PAUSE)
        return JobState(_encode(walk).decode(), _describe_end(walk) if walk.column else state.progress)

    def _note_goals(self, walk: Walk) -> None:
        """Note since when which keys are current, of all columns at once: the later ones do not have to wait for themselves."""
        for column in RE_SEALED:
            goal = self._name_goal(column)
            if walk.since.get(column.name, ("",))[0] != goal:
                walk.since[column.name] = goal, self._clock()

    def _find_next(self, walk: Walk) -> SealedColumn | None:
        """Return the first column that is not known to be under its current keys, where there are older ones."""
        for column in RE_SEALED:
            purposes = (column.purpose, "index") if column.index else (column.purpose,)
            current = self._name_goal(column).split()
            if any(self._data_keys.list_ids(purpose)[0] not in current for purpose in purposes) and (
                walk.reached.get(column.name) != self._name_goal(column)
            ):
                return column
        return None

    def _name_goal(self, column: SealedColumn) -> str:
        sealing = self._sealers[column.purpose].current_id
        return f"{sealing} {self._index.current_id}" if column.index else sealing

    async def _begin(self, walk: Walk, column: SealedColumn, goal: str) -> None:
        (estimate,) = await self._database.fetch(ESTIMATE, column.table)
        total = estimate["number"]
        if total < COUNTED:
            total = (await self._database.fetch(STATEMENTS[column.name].count))[0]["number"]
        walk.column, walk.goal, walk.after, walk.total, walk.changed_before = column.name, goal, None, total, 0

    def _finish_pass(self, walk: Walk) -> bool:
        """Note the end of a pass; tell False when the next one has to wait until nobody writes with the old key any more."""
        changed, walk.after, walk.changed = walk.changed, None, 0
        walk.changed_before += changed
        if changed == 0 and walk.began - walk.since[walk.column][1] >= self._settle:
            walk.reached[walk.column] = walk.goal
            return True
        return changed > 0

    async def _step(self, walk: Walk, column: SealedColumn) -> bool:
        """Bring one batch under the current keys, in one transaction; tell whether it was the last of the table."""
        statements, sealer, index = STATEMENTS[column.name], self._sealers[column.purpose], self._index
        wanted: list[object] = [sealer.current_header, *([index.current_id] if column.index else []), self._batch]
        if walk.after is None:
            walk.began, walk.seen, walk.changed, walk.stuck[column.name] = self._clock(), 0, 0, 0
        async with self._database.transaction() as tx:
            if walk.after is None:
                rows = await tx.fetch(statements.read_first, *wanted)
            else:
                rows = await tx.fetch(statements.read_next, *_read_key(column, walk.after), *wanted)
            done, stuck = _renew(column, [row for row in rows if row["sealed"] is not None], sealer, index, self._random)
            if done:
                arguments: list[object] = [list(values) for values in zip(*done, strict=True)]
                if column.index:
                    arguments.append(index.current_id)
                # What somebody else wrote meanwhile is under the current key, or the next pass meets it.
                walk.changed += len(await tx.fetch(statements.write, *arguments))
        walk.stuck[column.name] += stuck
        walk.seen += len(rows)
        if rows:
            walk.after = _write_key(column, rows[-1])
        return len(rows) < self._batch


def _renew(column: SealedColumn, rows: Sequence[Row], sealer: Sealer, index: BlindIndex, random: Random) -> tuple[list[list[Any]], int]:
    """Return the arguments of ``write`` for each row, and how many rows do not open."""
    done, stuck = [], 0
    for row in rows:
        key = [row[name] for name in column.key]
        try:
            plaintext = sealer.open(row["sealed"], column.make_aad(key))
        except Unsealable:
            stuck += 1
            continue
        there = list(key)
        if column.index:
            there[list(column.key).index(column.index)] = index.index(column.find_kind(key), plaintext.decode())
        after = sealer.seal(plaintext, column.make_aad(there), random)
        moved = [there[list(column.key).index(column.index)]] if column.index else []
        done.append([*key, row["sealed"], after, *moved])
    return done, stuck


def _read_cursor(text: str) -> Walk:
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return Walk()  # none yet, or of another release: everything is looked at once more


def _write_key(column: SealedColumn, row: Row) -> list[str]:
    return [row[name].hex() if kind == "bytea" else str(row[name]) for name, kind in column.key.items()]


def _read_key(column: SealedColumn, after: Sequence[str]) -> list[object]:
    readers: dict[str, Any] = {"bytea": bytes.fromhex, "uuid": UUID, "text": str}
    return [readers[kind](text) for kind, text in zip(column.key.values(), after, strict=True)]


def _describe(walk: Walk) -> str:
    # Rows that came meanwhile are seen too.
    told = f"{walk.column}: {walk.seen:,} of {max(walk.total, walk.seen):,} rows, {walk.changed + walk.changed_before:,} made anew"
    return told + _describe_stuck(walk)


def _describe_end(walk: Walk) -> str:
    return f"done: {len(walk.reached)} columns are under their current keys" + _describe_stuck(walk)


def _describe_stuck(walk: Walk) -> str:
    return "".join(f"; {number:,} of {column} do not open" for column, number in sorted(walk.stuck.items()) if number)


def make_re_encryption(database: Database, data_keys: DataKeys, clock: Clock, random: Random, pending_seconds: int) -> ReEncryption:
    """Return the worker's own; nobody writes with an old key a minute after a switch, or after ``pending_seconds`` if that is sooner."""
    return ReEncryption(database, data_keys, clock, random, timedelta(seconds=min(60, pending_seconds)))
