"""Group commit and shared reads on a real database."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Random
from idp.kernel.ids import make_uuid7
from idp.platform.audit_log import AuditLog, PreparedEvent
from idp.platform.database import Database, DatabaseUnavailable, Row
from idp.platform.ledger import GrantRow, Ledger, LedgerFull, Rotation
from idp.platform.reads import BatchedRead
from keys import DataKeys
from tests.support.clocks import ManualClock


class House:
    """A ledger with everything a test counts."""

    def __init__(self, database: Database, data_keys: DataKeys, clock: ManualClock, random: Random) -> None:
        self.database, self.clock, self.random = database, clock, random
        self.audit = AuditLog(data_keys.mac("audit"), data_keys.sealer("places"), clock, random)
        self.flushes: list[tuple[int, bool]] = []
        self.ledger = Ledger(database, lambda rows, seconds, *, failed: self.flushes.append((rows, failed)))

    def event(self, client_id: str) -> PreparedEvent:
        """Return an audit row of a client."""
        return self.audit.prepare(AuditEvent(Kind.TOKEN_ISSUED, client_id=client_id))

    def grant(self, client_id: str, **changes: object) -> GrantRow:
        """Return a new grant row of a client's own."""
        values: dict[str, object] = {
            "id": make_uuid7(self.clock, self.random),
            "client_id": client_id,
            "person_id": None,
            "lineage": None,
            "scope": "",
            "subject": None,
            "audience": None,
            "factors": "[]",
            "acr": None,
            "created_at": self.clock.now,
            "expires_at": self.clock.now + timedelta(minutes=5),
        }
        return GrantRow(**{**values, **changes})  # type: ignore[arg-type]

    async def count(self, table: str, client_id: str) -> int:
        """Count the rows of a client."""
        statements = {
            "grants": "SELECT count(*) AS n FROM grants WHERE client_id = $1",
            "audit_events": "SELECT count(*) AS n FROM audit_events WHERE client_id = $1",
        }
        (row,) = await self.database.fetch(statements[table], client_id)
        found: int = row["n"]
        return found


@pytest.fixture
def house(database: Database, data_keys: DataKeys, clock: ManualClock, random: Random) -> House:
    """A ledger of this test."""
    return House(database, data_keys, clock, random)


async def test_what_arrives_while_a_flush_is_in_flight_goes_together(house: House) -> None:
    await asyncio.gather(*(house.ledger.record(house.event("together")) for _ in range(200)))
    assert await house.count("audit_events", "together") == 200
    assert sum(rows for rows, _ in house.flushes) == 200
    assert len(house.flushes) <= 4


async def test_a_grant_and_its_audit_row_are_written_together_or_not_at_all(house: House) -> None:
    grant = house.grant("pair")
    assert await house.ledger.redeem(grant, house.event("pair")) is True
    assert await house.ledger.redeem(grant, house.event("pair")) is False
    assert (await house.count("grants", "pair"), await house.count("audit_events", "pair")) == (1, 1)


async def test_two_equal_ids_that_arrive_together_give_one_grant(house: House) -> None:
    grant = house.grant("twins")
    answers = await asyncio.gather(*(house.ledger.redeem(grant, house.event("twins")) for _ in range(50)))
    assert sorted(answers) == [False] * 49 + [True]
    assert (await house.count("grants", "twins"), await house.count("audit_events", "twins")) == (1, 1)


async def test_a_mixture_is_written_completely(house: House) -> None:
    grants = [house.grant("mixture") for _ in range(20)]
    await asyncio.gather(*(house.ledger.redeem(g, house.event("mixture")) for g in grants))
    work = [house.ledger.rotate(Rotation(g.id, 0, house.clock.now), house.event("mixture")) for g in grants]
    work += [house.ledger.redeem(house.grant("mixture"), house.event("mixture")) for _ in range(20)]
    others = [house.ledger.record(house.event("mixture")) for _ in range(20)]
    answers, _ = await asyncio.gather(asyncio.gather(*work), asyncio.gather(*others))
    assert all(answers)
    assert (await house.count("grants", "mixture"), await house.count("audit_events", "mixture")) == (40, 80)


async def test_of_simultaneous_rotations_one_counts(house: House) -> None:
    grant = house.grant("rotation")
    await house.ledger.redeem(grant, house.event("rotation"))
    rotation = Rotation(grant.id, 0, house.clock.now)
    answers = await asyncio.gather(*(house.ledger.rotate(rotation, house.event("rotation")) for _ in range(20)))
    assert sum(answers) == 1
    assert await house.count("audit_events", "rotation") == 2
    late = Rotation(grant.id, 1, house.clock.now + timedelta(minutes=5))
    assert await house.ledger.rotate(late, house.event("rotation")) is False, "an expired grant does not turn"


async def test_nothing_is_granted_to_an_unknown_person_or_a_session_that_is_not_there(house: House) -> None:
    for changes in ({"person_id": UUID(int=1)}, {"lineage": b"nobody"}):
        assert await house.ledger.redeem(house.grant("nobody", **changes), house.event("nobody")) is False
    assert (await house.count("grants", "nobody"), await house.count("audit_events", "nobody")) == (0, 0)


async def test_a_failed_flush_is_a_failed_answer_for_everyone_in_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(statement: str, *arguments: object) -> list[Row]:
        await asyncio.sleep(0)
        raise DatabaseUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(house.database, "write", fail)
        answers = await asyncio.gather(*(house.ledger.record(house.event("failed")) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    assert all(failed for _, failed in house.flushes)
    await house.ledger.record(house.event("failed"))
    assert await house.count("audit_events", "failed") == 1


async def test_while_the_database_is_slow_a_bounded_number_waits_and_the_rest_is_told_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[None] = []
    ledger = Ledger(house.database, on_full=lambda: refused.append(None), most_waiting=10)
    write, slow = house.database.write, asyncio.Event()

    async def wait_and_write(statement: str, *arguments: object) -> list[Row]:
        await slow.wait()
        return await write(statement, *arguments)

    monkeypatch.setattr(house.database, "write", wait_and_write)
    first = asyncio.ensure_future(ledger.record(house.event("full")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(ledger.record(house.event("full"))) for _ in range(10)]
    await asyncio.sleep(0)
    assert ledger.waiting == 10
    for _ in range(3):
        with pytest.raises(LedgerFull):
            await ledger.record(house.event("full"))
    with pytest.raises(LedgerFull):
        await ledger.redeem(house.grant("full"), house.event("full"))
    slow.set()
    await asyncio.gather(first, *waiting)
    await ledger.record(house.event("full"))
    assert (await house.count("grants", "full"), await house.count("audit_events", "full")) == (0, 12)
    assert len(refused) == 4


async def test_a_caller_who_leaves_does_not_stop_the_others(house: House) -> None:
    leaving = asyncio.ensure_future(house.ledger.record(house.event("left")))
    staying = asyncio.ensure_future(house.ledger.record(house.event("left")))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    await house.ledger.drain()
    assert await house.count("audit_events", "left") == 2


def make_pair(row: Row) -> tuple[str, int]:
    """Return a row of the doubling statement."""
    return row["key"], row["twice"]


class Counting:
    """A database that counts how often it was asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: list[int] = []

    async def fetch(self, statement: str, *arguments: Sequence[object]) -> list[Row]:
        """Ask, and remember for how many keys."""
        self.asked.append(len(arguments[0]))
        return await self._database.fetch(statement, *arguments)


DOUBLE = """
    SELECT k.ord, k.key, k.number * $3 AS twice FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS k (key, number, ord)
    WHERE k.number > 0
"""


async def test_reads_that_arrive_together_share_one_statement_and_get_their_own_row(database: Database) -> None:
    counting = Counting(database)
    read: BatchedRead[tuple[str, int]] = BatchedRead(counting, DOUBLE, 2, make_pair, shared=1)  # type: ignore[arg-type]
    answers = await asyncio.gather(*(read.read(f"k{n}", n, 2) for n in range(300)))
    assert answers == [None, *((f"k{n}", 2 * n) for n in range(1, 300))]
    assert len(counting.asked) <= 3
    assert sum(counting.asked) == 300


async def test_a_failed_read_fails_those_who_shared_it_and_nobody_after(database: Database) -> None:
    read: BatchedRead[tuple[str, int]] = BatchedRead(database, DOUBLE, 2, make_pair, shared=1)
    answers = await asyncio.gather(*(read.read("k", 2**40, 2) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(answer, Exception) for answer in answers)
    assert await read.read("k", 4, 2) == ("k", 8)
