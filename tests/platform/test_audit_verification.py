"""The chain is complete and in order, and whatever the owner of the database changes is named. S48."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.clock import Random
from idp.platform import audit_chain
from idp.platform.audit_chain import Sequencer, chain_pending, compute_link, read_head
from idp.platform.audit_checkpoints import ChainContradictsCheckpoint, CheckpointFile, RingSigner
from idp.platform.audit_log import INSERT_EVENT, AuditLog, PreparedEvent, encode_row
from idp.platform.audit_verification import AuditReport, verify
from idp.platform.database import Database
from keys import KeyState, Mac, Sealer, SigningRing, Suite, generate_signing_key, hash_bytes
from tests.support.clocks import ManualClock

MAC = Mac({"audit-1": b"a" * 32}, "audit-1")
PLACES = Sealer({"places-1": b"p" * 32}, "places-1")


class Audit:
    """The audit of one test: writes, chains, marks, verifies; ``owner`` is the tampering owner of the database."""

    def __init__(self, database: Database, owner: asyncpg.Connection, path: Path, clock: ManualClock, random: Random) -> None:
        self.database = database
        self.owner = owner
        self.path = path
        self.clock = clock
        self.log = AuditLog(MAC, PLACES, clock, random)
        self.suite = Suite.INTERNATIONAL
        self.signer = RingSigner(SigningRing([generate_signing_key("ES256", clock(), KeyState.ACTIVE)]))

    async def write(self, number: int) -> list[PreparedEvent]:
        events = []
        for place in range(number):
            self.clock.advance(0.001)
            event = AuditEvent(Kind.AUTHORIZED, client_id=f"c{place}", details={"n": place}, place=Place("203.0.113.9", "phone"))
            async with self.database.transaction() as tx:
                events.append(await self.log.record(tx, event))
        return events

    async def chain(self) -> int:
        return await Sequencer(self.database, self.clock, self.suite).run_once()

    async def mark(self) -> None:
        head = await read_head(self.database)
        assert head is not None
        self.clock.advance(60)
        await asyncio.to_thread(CheckpointFile(self.path).append, head, self.signer, self.clock)

    async def build(self) -> list[PreparedEvent]:
        """Thirty rows, a checkpoint after every ten."""
        events: list[PreparedEvent] = []
        for _ in range(3):
            events += await self.write(10)
            await self.chain()
            await self.mark()
        return events

    async def verify(self, batch: int = 7) -> AuditReport:
        return await verify(self.database, MAC, self.path, self.signer, batch=batch)

    async def rewrite_chain(self) -> None:
        """What a careful owner does: number and hash the whole chain again, consistently."""
        rows = await self.owner.fetch(
            "SELECT c.event_at, c.event_id, e.mac FROM audit_chain c JOIN audit_events e ON e.id = c.event_id ORDER BY c.seq"
        )
        await self.owner.execute("DELETE FROM audit_chain")
        previous = bytes(32)
        for seq, row in enumerate(rows, start=1):
            link = compute_link(Suite.INTERNATIONAL, previous, seq, row["event_id"], row["mac"])
            await self.owner.execute(
                "INSERT INTO audit_chain VALUES ($1, $2, $3, $4, $5, $6)", seq, row["event_at"], row["event_id"], row["mac"], previous, link
            )
            previous = link


@pytest_asyncio.fixture(loop_scope="module")
async def audit(database: Database, owner_dsn: str, tmp_path: Path, clock: ManualClock, random: Random) -> AsyncIterator[Audit]:
    owner = await asyncpg.connect(owner_dsn)
    await owner.execute("TRUNCATE audit_events, audit_chain")
    yield Audit(database, owner, tmp_path / "audit" / "checkpoints.jsonl", clock, random)
    await owner.close()


def named(report: AuditReport) -> list[UUID | None]:
    return [fault.event_id for fault in report.faults]


async def test_an_audit_of_both_suites_verifies_and_each_bad_row_is_named(audit: Audit, clock: ManualClock, random: Random) -> None:
    """The setting was switched to the national suite and back: three stretches of one chain, rows and links of both suites."""
    keys = {"audit-1": b"a" * 32, "audit-2": b"b" * 32}
    mac = Mac(keys, "audit-2", {"audit-2": Suite.NATIONAL})
    places = Sealer({"places-1": b"p" * 32, "places-2": b"q" * 16}, "places-2", {"places-2": Suite.NATIONAL})
    logs = {Suite.INTERNATIONAL: audit.log, Suite.NATIONAL: AuditLog(mac, places, clock, random)}
    for suite in (Suite.INTERNATIONAL, Suite.NATIONAL, Suite.INTERNATIONAL):
        audit.suite, audit.log = suite, logs[suite]
        await audit.write(5)
        await audit.chain()
        await audit.mark()
    links = await audit.owner.fetch("SELECT suite, count(*) AS n FROM audit_chain GROUP BY suite ORDER BY suite")
    assert [(link["suite"], link["n"]) for link in links] == [("international", 10), ("national", 5)]
    rows = await audit.owner.fetch("SELECT key_id, sealed_place, place_hash FROM audit_events ORDER BY at, id")
    assert [row["key_id"] for row in rows] == ["audit-1"] * 5 + ["audit-2"] * 5 + ["audit-1"] * 5
    assert rows[5]["place_hash"] == hash_bytes(Suite.NATIONAL, rows[5]["sealed_place"])
    report = await verify(audit.database, mac, audit.path, audit.signer, batch=4)
    assert report.ok
    assert report.checkpointed_to == 15
    for change in (
        "UPDATE audit_chain SET suite = 'international' WHERE seq = 7",
        "UPDATE audit_chain SET suite = 'national' WHERE seq = 3",
        "UPDATE audit_events SET details = '{}' WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 7)",
        "UPDATE audit_events SET sealed_place = sealed_place || 'x' WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 7)",
    ):
        kept = await audit.owner.fetch("SELECT seq, suite FROM audit_chain WHERE seq IN (3, 7)")
        before = await audit.owner.fetchrow(
            "SELECT id, details, sealed_place FROM audit_events WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 7)"
        )
        assert before is not None
        await audit.owner.execute(change)
        report = await verify(audit.database, mac, audit.path, audit.signer)
        assert [fault.seq for fault in report.faults] == [3 if "seq = 3" in change else 7], change
        for row in kept:
            await audit.owner.execute("UPDATE audit_chain SET suite = $2 WHERE seq = $1", row["seq"], row["suite"])
        await audit.owner.execute(
            "UPDATE audit_events SET details = $2, sealed_place = $3 WHERE id = $1", before["id"], before["details"], before["sealed_place"]
        )
    assert (await verify(audit.database, mac, audit.path, audit.signer)).ok


async def test_an_untouched_audit_verifies_and_states_its_tail(audit: Audit) -> None:
    await audit.build()
    tail = await audit.write(4)
    report = await audit.verify()
    assert report.ok, report.faults
    assert (report.rows, report.chained, report.tail, report.tail_since) == (34, 30, 4, tail[0].at)
    assert (report.checkpoints, report.checkpointed_to, report.torn_lines) == (3, 30, 0)


async def test_an_empty_audit_verifies(audit: Audit) -> None:
    report = await audit.verify()
    assert report.ok
    assert (report.rows, report.chained, report.tail) == (0, 0, 0)


@pytest.mark.parametrize(
    "tampering",
    [
        """UPDATE audit_events SET details = '{"n":99}' WHERE id = $1""",
        "UPDATE audit_events SET result = 'refused' WHERE id = $1",
        "UPDATE audit_events SET actor = 'someone else' WHERE id = $1",
        "UPDATE audit_events SET at = at + interval '1 microsecond' WHERE id = $1",
        "UPDATE audit_events SET place_hash = (SELECT place_hash FROM audit_events WHERE id <> $1 LIMIT 1) WHERE id = $1",
        "UPDATE audit_events SET sealed_place = (SELECT sealed_place FROM audit_events WHERE id <> $1 LIMIT 1) WHERE id = $1",
        "UPDATE audit_events SET mac = sha256('x') WHERE id = $1",
        "UPDATE audit_events SET key_id = 'audit-2' WHERE id = $1",
        "DELETE FROM audit_events WHERE id = $1",
        "UPDATE audit_chain SET mac = sha256('x') WHERE event_id = $1",
        "UPDATE audit_chain SET prev = sha256('x') WHERE event_id = $1",
        "UPDATE audit_chain SET hash = sha256('x') WHERE event_id = $1",
    ],
)
async def test_s48_altered_audit_row_is_named(audit: Audit, tampering: str) -> None:
    events = await audit.build()
    victim = events[14]
    await audit.owner.execute(tampering, victim.id)
    report = await audit.verify()
    assert not report.ok
    assert victim.id in named(report)
    at_once = {fault.event_id for fault in report.faults} - {victim.id, events[15].id}
    assert not at_once, "no innocent row is named, but for the link that follows"
    assert str(victim.id) in " ".join(fault.describe() for fault in report.faults)


async def test_s48_rows_of_the_tail_are_covered_too(audit: Audit) -> None:
    await audit.build()
    (victim, *_) = await audit.write(3)
    await audit.owner.execute("UPDATE audit_events SET result = 'refused' WHERE id = $1", victim.id)
    report = await audit.verify()
    assert named(report) == [victim.id]


async def test_s48_a_deleted_row_and_a_chain_rewritten_after_it_are_found_by_checkpoint(audit: Audit) -> None:
    events = await audit.build()
    await audit.owner.execute("DELETE FROM audit_events WHERE id = $1", events[14].id)
    await audit.rewrite_chain()
    report = await audit.verify()
    reasons = [fault.reason for fault in report.faults]
    assert any("rewritten between seq 11 and 20" in reason for reason in reasons)
    assert any("ends at seq 29" in reason and "knows seq 30" in reason for reason in reasons)


async def test_s48_a_row_forged_with_the_stolen_mac_key_is_found_by_checkpoint(audit: Audit) -> None:
    events = await audit.build()
    e = events[14]
    message = encode_row(e.at, e.id, e.kind, "refused", e.actor, e.person_id, e.client_id, e.request_id, e.details, e.place_hash, e.key_id)
    await audit.owner.execute("UPDATE audit_events SET result = 'refused', mac = $2 WHERE id = $1", e.id, MAC.compute(message))
    assert named(await audit.verify()) == [e.id]
    await audit.rewrite_chain()
    (fault,) = (await audit.verify()).faults
    assert "rewritten between seq 11 and 20" in fault.reason


async def test_s48_a_swap_of_two_links_is_found(audit: Audit) -> None:
    await audit.build()
    await audit.owner.execute("UPDATE audit_chain SET seq = 1000 WHERE seq = 5")
    await audit.owner.execute("UPDATE audit_chain SET seq = 5 WHERE seq = 6")
    await audit.owner.execute("UPDATE audit_chain SET seq = 6 WHERE seq = 1000")
    assert {fault.seq for fault in (await audit.verify()).faults} >= {5, 6}


@pytest.mark.parametrize("kept", [0, 12, 29])
async def test_a_truncated_chain_is_found(audit: Audit, kept: int) -> None:
    await audit.build()
    await audit.owner.execute("DELETE FROM audit_chain WHERE seq > $1", kept)
    report = await audit.verify()
    assert any(f"ends at seq {kept}" in fault.reason for fault in report.faults)
    head = await read_head(audit.database)
    if head is not None:
        with pytest.raises(ChainContradictsCheckpoint):
            CheckpointFile(audit.path).append(head, audit.signer, audit.clock)


async def test_links_missing_in_the_middle_are_found(audit: Audit) -> None:
    await audit.build()
    await audit.owner.execute("DELETE FROM audit_chain WHERE seq IN (15, 16)")
    report = await audit.verify()
    assert any("missing: seq 15 to 16" in fault.reason for fault in report.faults)


async def test_a_row_smuggled_in_late_is_found(audit: Audit) -> None:
    await audit.build()
    early = ManualClock(audit.clock.now - timedelta(days=2))
    forged = AuditLog(MAC, PLACES, early, os.urandom).prepare(AuditEvent(Kind.SESSION_ENDED))
    await audit.database.write(INSERT_EVENT, *forged.values())
    await audit.chain()
    (fault,) = (await audit.verify()).faults
    assert fault.event_id == forged.id
    assert "never chained" in fault.reason


@pytest.mark.parametrize("line", [0, 1])
@pytest.mark.parametrize("kind", ["delete", "garble"])
async def test_an_altered_checkpoint_file_is_found(audit: Audit, line: int, kind: str) -> None:
    await audit.build()
    lines = audit.path.read_bytes().splitlines()
    lines[line : line + 1] = [] if kind == "delete" else [lines[line][:-4] + b"AAAA"]
    audit.path.write_bytes(b"\n".join(lines) + b"\n")
    report = await audit.verify()
    assert any("checkpoint file was altered" in fault.reason for fault in report.faults)


async def test_checkpoints_in_another_order_are_found(audit: Audit) -> None:
    await audit.build()
    lines = audit.path.read_bytes().splitlines()
    audit.path.write_bytes(b"\n".join([lines[1], lines[0], lines[2]]) + b"\n")
    assert any("checkpoint file was altered" in fault.reason for fault in (await audit.verify()).faults)


async def test_a_checkpoint_signed_by_another_key_counts_for_nothing(audit: Audit) -> None:
    await audit.build()
    other = RingSigner(SigningRing([generate_signing_key("ES256", audit.clock(), KeyState.ACTIVE)]))
    report = await verify(audit.database, MAC, audit.path, other)
    assert (report.checkpoints, report.torn_lines) == (0, 3)
    assert any("no checkpoint" in fault.reason for fault in report.faults)


async def test_lines_of_a_retired_key_are_vouched_for_by_the_next_ones(audit: Audit) -> None:
    events = await audit.build()
    audit.signer = RingSigner(SigningRing([generate_signing_key("ES256", audit.clock(), KeyState.ACTIVE)]))
    report = await audit.verify()
    assert report.checkpoints == 0, "nothing of the present key vouches for them yet"
    await audit.write(2)
    await audit.chain()
    await audit.mark()
    report = await audit.verify()
    assert report.ok, report.faults
    assert (report.checkpoints, report.checkpointed_to, report.torn_lines) == (4, 32, 0)
    await audit.owner.execute("DELETE FROM audit_events WHERE id = $1", events[14].id)
    await audit.rewrite_chain()
    assert any("rewritten between seq 11 and 20" in fault.reason for fault in (await audit.verify()).faults)


async def test_a_forged_line_between_lines_of_a_retired_key_is_found(audit: Audit) -> None:
    await audit.build()
    forger = RingSigner(SigningRing([generate_signing_key("ES256", audit.clock(), KeyState.ACTIVE)]))
    lines = audit.path.read_bytes().splitlines()
    true = (await audit.verify()).checkpoints
    claims = audit.signer.verify(lines[1].decode())
    claims["hash"] = "00" * 32
    lines[1] = forger.sign(json.dumps(claims).encode()).encode()
    audit.path.write_bytes(b"\n".join(lines) + b"\n")
    report = await audit.verify()
    assert any("checkpoint file was altered" in fault.reason for fault in report.faults)
    assert (report.checkpoints, report.torn_lines) == (true - 1, 1)
    audit.path.write_bytes(b"\n".join(lines[:2]) + b"\n")
    report = await audit.verify()
    assert (report.checkpoints, report.torn_lines) == (1, 1), "at the end nothing vouches for it"


async def test_another_token_of_ours_is_no_checkpoint(audit: Audit) -> None:
    await audit.build()
    ring: Any = audit.signer._ring
    with audit.path.open("a") as file:
        file.write(ring.sign("ES256", b'{"seq":1}', "JWT") + "\n")
        file.write(audit.signer.sign(b'{"seq":"1"}') + "\n")
        file.write("x" * 20_000 + "\n")
    report = await audit.verify()
    assert (report.checkpoints, report.torn_lines) == (3, 3)


async def test_a_torn_line_is_closed_and_loses_nothing(audit: Audit) -> None:
    await audit.build()
    with audit.path.open("a") as file:
        file.write("eyJ0b3Ju")
    await audit.write(3)
    await audit.chain()
    await audit.mark()
    report = await audit.verify()
    assert report.ok, report.faults
    assert (report.checkpoints, report.checkpointed_to, report.torn_lines) == (4, 33, 1)


async def test_a_checkpoint_is_written_only_when_the_chain_grew(audit: Audit) -> None:
    await audit.build()
    before = audit.path.read_bytes()
    await audit.mark()
    assert audit.path.read_bytes() == before
    assert audit.path.stat().st_mode & 0o007 == 0


async def test_a_row_that_commits_late_is_chained_after_its_turn(audit: Audit) -> None:
    late_at = audit.clock.advance(1)
    late = AuditLog(MAC, PLACES, lambda: late_at, os.urandom).prepare(AuditEvent(Kind.SESSION_ENDED))
    audit.clock.advance(600)
    await audit.write(3)
    sequencer = Sequencer(audit.database, audit.clock, Suite.INTERNATIONAL)
    assert await sequencer.run_once() == 3
    await audit.database.write(INSERT_EVENT, *late.values())
    assert await sequencer.run_once() == 0, "between far passes only the near past is looked at"
    audit.clock.advance(60)
    assert await sequencer.run_once() == 1
    await audit.mark()
    assert (await audit.verify()).ok


async def test_a_clock_that_ran_ahead_does_not_hide_later_rows(audit: Audit) -> None:
    ahead = audit.clock.now + timedelta(days=3)
    await audit.database.write(
        INSERT_EVENT, *AuditLog(MAC, PLACES, lambda: ahead, os.urandom).prepare(AuditEvent(Kind.AUTHORIZED)).values()
    )
    assert await audit.chain() == 1
    await audit.write(5)
    assert await audit.chain() == 5


async def test_uncommitted_rows_are_left_alone(audit: Audit) -> None:
    async with audit.database.transaction() as tx:
        await audit.log.record(tx, AuditEvent(Kind.AUTHORIZED))
        assert await audit.chain() == 0
    assert await audit.chain() == 1


async def test_two_sequencers_make_one_chain(audit: Audit) -> None:
    await audit.write(40)

    async def chain_in_small_steps() -> None:
        linked: int | None = None
        while linked != 0:
            async with audit.database.transaction() as tx:
                linked = await chain_pending(tx, audit.clock(), Suite.INTERNATIONAL, limit=3)

    await asyncio.gather(*(chain_in_small_steps() for _ in range(3)))
    await audit.mark()
    report = await audit.verify()
    assert report.ok, report.faults
    assert report.chained == 40


async def test_many_rows_are_chained_in_batches(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_chain, "BATCH", 8)
    monkeypatch.setattr(chain_pending, "__kwdefaults__", {"reach": audit_chain.REACH, "limit": 8})
    await audit.write(20)
    assert await audit.chain() == 20


async def test_the_service_can_neither_change_nor_delete_audit(audit: Audit) -> None:
    await audit.build()
    for statement in (
        "UPDATE audit_events SET result = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_chain SET seq = 0",
        "DELETE FROM audit_chain",
        "DELETE FROM audit_events_default",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await audit.database.write(statement)


async def test_partitions_are_made_ahead_and_take_over_stray_rows(audit: Audit, database: Database) -> None:
    async def count_stray() -> int:
        count: int = await audit.owner.fetchval("SELECT count(*) FROM audit_events_default")
        return count

    audit.clock.now = datetime(2031, 1, 31, 12, 0, tzinfo=audit.clock.now.tzinfo)
    await audit.write(3)
    assert await count_stray() == 3
    (row,) = await database.fetch("SELECT ensure_partitions($1) AS made", audit.clock())
    assert row["made"] == [f"{table}_y2031m0{month}" for table in ("audit_events", "outbox") for month in (1, 2, 3)]
    assert await count_stray() == 0
    await audit.chain()
    await audit.mark()
    report = await audit.verify()
    assert report.ok
    assert report.rows == 3
    (row,) = await database.fetch("SELECT ensure_partitions($1) AS made", audit.clock())
    assert row["made"] == []
    audit.clock.now = datetime(2031, 3, 31, 23, 59, tzinfo=audit.clock.now.tzinfo)
    await audit.write(1)
    assert await count_stray() == 0


async def test_looking_for_pending_rows_never_reads_the_whole_chain(audit: Audit) -> None:
    await audit.owner.execute(
        "INSERT INTO audit_events (at, id, kind, result, actor, request_id, details, key_id, mac) "
        "SELECT $1::timestamptz + number * interval '1 second', gen_random_uuid(), 'k', 'done', 'a', '', '{}', 'audit-1', 'm' "
        "FROM generate_series(1, 20000) AS number",
        audit.clock.now,
    )
    await audit.owner.execute("INSERT INTO audit_chain SELECT row_number() OVER (ORDER BY at, id), at, id, mac, mac, mac FROM audit_events")
    await audit.owner.execute("ANALYZE audit_events, audit_chain")
    await audit.owner.execute("SET plan_cache_mode = force_generic_plan")
    await audit.owner.execute(f"PREPARE pending (timestamptz, int) AS {audit_chain.FIND_PENDING}")
    near = audit.clock.now + timedelta(seconds=19_990)
    plan = "\n".join(
        row[0] for row in await audit.owner.fetch(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) EXECUTE pending ('{near.isoformat()}', 1000)")
    )
    assert "Seq Scan on audit_chain" not in plan
    assert "event_at >= $1" in plan, plan
