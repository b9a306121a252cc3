"""A message leaves after its transaction, at least once, in time or never, and leaves nothing readable behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from idp.kernel.clock import Random, read_system_clock
from idp.kernel.ids import MessageId
from idp.platform.database import Database
from idp.platform.outbox import LAST_BACKOFF, LEASE, DeliveryRefused, Outbox, Outcome, deliver_due, find_backoff
from idp.platform.outbox_delivery import IDLE, OutboxDelivery
from keys import Sealer
from tests.support.clocks import ManualClock
from tests.support.waiting import wait_for_listener, wait_until

PHONE = "13800001234"
PAYLOAD = {"phone": PHONE, "template": "sign_in_code", "parameters": {"code": "123456"}}
LIFE = timedelta(minutes=5)


class Gateway:
    """A handler that remembers what it was given and fails as told."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.taken: list[tuple[dict[str, Any], MessageId]] = []

    async def __call__(self, payload: dict[str, Any], message_id: MessageId) -> str:
        self.taken.append((payload, message_id))
        if self.faults:
            raise self.faults.pop(0)
        return f"ref-{len(self.taken)}"


@pytest.fixture
def outbox(clock: ManualClock, random: Random) -> Outbox:
    return Outbox(Sealer({"o-1": b"o" * 32}, "o-1"), clock, random)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def emptied(database: Database) -> AsyncIterator[None]:
    await database.write("DELETE FROM outbox")
    yield


async def add(database: Database, outbox: Outbox, clock: Any, kind: str = "sms") -> MessageId:
    async with database.transaction() as tx:
        return await outbox.add(tx, kind, PAYLOAD, clock() + LIFE)


async def add_and_fail(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    async with database.transaction() as tx:
        await outbox.add(tx, "sms", PAYLOAD, clock() + LIFE)
        raise RuntimeError("the business changed its mind")


async def read(database: Database) -> list[dict[str, Any]]:
    return [dict(row) for row in await database.fetch("SELECT * FROM outbox ORDER BY at, id")]


async def test_a_message_is_delivered_once_and_erased(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    message_id = await add(database, outbox, clock)
    (row,) = await read(database)
    assert row["state"] == "waiting"
    assert PHONE.encode() not in row["sealed"]
    assert b"123456" not in row["sealed"]
    gateway = Gateway()
    (attempt,) = await deliver_due(outbox, database, {"sms": gateway})
    assert (attempt.outcome, attempt.message_id, attempt.number) == (Outcome.DELIVERED, message_id, 1)
    assert gateway.taken == [(PAYLOAD, message_id)]
    (row,) = await read(database)
    assert (row["state"], row["sealed"], row["reference"]) == ("delivered", None, "ref-1")
    assert await deliver_due(outbox, database, {"sms": gateway}) == []


async def test_nothing_leaves_a_transaction_that_rolled_back(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    with pytest.raises(RuntimeError, match="changed its mind"):
        await add_and_fail(database, outbox, clock)
    assert await deliver_due(outbox, database, {"sms": Gateway()}) == []


async def test_a_failing_gateway_is_tried_again_later_with_the_same_id(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    message_id = await add(database, outbox, clock)
    gateway = Gateway(ConnectionError("to 13800001234"), TimeoutError())
    handlers = {"sms": gateway}
    assert [a.outcome for a in await deliver_due(outbox, database, handlers)] == [Outcome.RETRIED]
    (row,) = await read(database)
    assert row["error"] == "ConnectionError", "the text of an error may hold personal data"
    assert await deliver_due(outbox, database, handlers) == []
    clock.advance(1)
    assert [a.outcome for a in await deliver_due(outbox, database, handlers)] == [Outcome.RETRIED]
    clock.advance(4)
    assert await deliver_due(outbox, database, handlers) == []
    clock.advance(1)
    assert [(a.outcome, a.number) for a in await deliver_due(outbox, database, handlers)] == [(Outcome.DELIVERED, 3)]
    assert {taken_id for _, taken_id in gateway.taken} == {message_id}


async def test_a_refused_message_is_erased_and_never_tried_again(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    await add(database, outbox, clock)
    (attempt,) = await deliver_due(outbox, database, {"sms": Gateway(DeliveryRefused("bad_number"))})
    assert attempt.outcome is Outcome.FAILED
    (row,) = await read(database)
    assert (row["state"], row["sealed"], row["error"]) == ("failed", None, "bad_number")
    clock.advance(3_600)
    assert await deliver_due(outbox, database, {"sms": Gateway()}) == []


async def test_an_expired_message_is_erased_unsent(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    await add(database, outbox, clock)
    clock.advance(LIFE.total_seconds())
    gateway = Gateway()
    (attempt,) = await deliver_due(outbox, database, {"sms": gateway})
    assert attempt.outcome is Outcome.EXPIRED
    assert gateway.taken == []
    (row,) = await read(database)
    assert (row["state"], row["sealed"]) == ("expired", None)


async def test_a_message_that_keeps_failing_expires_at_its_instant(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    await add(database, outbox, clock)
    outcomes = []
    for _ in range(int(LIFE.total_seconds()) + 1):
        outcomes += [a.outcome for a in await deliver_due(outbox, database, {"sms": Gateway(OSError())})]
        clock.advance(1)
    assert outcomes == [Outcome.RETRIED] * 5 + [Outcome.EXPIRED]  # after 0, 1, 6, 31, 156 s; at 300 s it is over


async def test_kinds_without_a_handler_wait_and_still_expire(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    await add(database, outbox, clock, kind="letter")
    assert await deliver_due(outbox, database, {"sms": Gateway()}) == []
    clock.advance(LIFE.total_seconds())
    assert [a.outcome for a in await deliver_due(outbox, database, {"sms": Gateway()})] == [Outcome.EXPIRED]


async def test_two_workers_never_claim_the_same_message(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    for _ in range(40):
        await add(database, outbox, clock)
    batches = await asyncio.gather(*(outbox.claim(database, ["sms"], 15) for _ in range(4)))
    ids = [message.message_id for claimed, _ in batches for message in claimed]
    assert len(ids) == len(set(ids)) == 40


async def test_a_dead_workers_message_is_claimed_again_after_its_lease(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    await add(database, outbox, clock)
    (dead,), _ = await outbox.claim(database, ["sms"])
    assert (await outbox.claim(database, ["sms"]))[0] == []
    clock.advance(LEASE.total_seconds())
    (living,), _ = await outbox.claim(database, ["sms"])
    assert living.attempts == 2
    # The first worker was only slow: its late failure does not touch the second one's claim.
    await outbox.deliver(database, dead, Gateway(DeliveryRefused("late")))
    (row,) = await read(database)
    assert row["state"] == "waiting"
    await outbox.deliver(database, living, Gateway())
    (row,) = await read(database)
    assert row["state"] == "delivered"


async def test_an_envelope_moved_to_another_row_is_not_sent(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    first = await add(database, outbox, clock)
    second = await add(database, outbox, clock)
    await database.write("UPDATE outbox SET sealed = (SELECT sealed FROM outbox WHERE id = $1) WHERE id = $2", first, second)
    gateway = Gateway()
    outcomes = {a.message_id: a.outcome for a in await deliver_due(outbox, database, {"sms": gateway})}
    assert outcomes == {first: Outcome.DELIVERED, second: Outcome.FAILED}
    assert len(gateway.taken) == 1


async def test_a_handler_is_called_outside_any_transaction(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    await add(database, outbox, clock)
    seen: list[int] = []

    async def look(_: dict[str, Any], __: MessageId) -> str:
        rows = await database.fetch(
            "SELECT count(*) AS open FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        seen.append(rows[0]["open"])
        return ""

    await deliver_due(outbox, database, {"sms": look})
    assert seen == [0]


@pytest.mark.parametrize("kind", ["", "two words", "x" * 41, "sms\0"])
async def test_odd_kinds_are_refused(database: Database, outbox: Outbox, clock: ManualClock, kind: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        await add(database, outbox, clock, kind)


async def test_over_long_payloads_are_refused(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="payload"):
        async with database.transaction() as tx:
            await outbox.add(tx, "sms", {"text": "x" * 20_000}, clock() + LIFE)


def test_backoff_grows_to_its_bound() -> None:
    assert [find_backoff(n).total_seconds() for n in (1, 2, 3, 4, 5, 100)] == [1, 5, 25, 125, 600, LAST_BACKOFF.total_seconds()]


async def test_the_worker_delivers_when_it_is_told_and_not_when_it_looks_next(database: Database, random: Random) -> None:
    outbox = Outbox(Sealer({"o-1": b"o" * 32}, "o-1"), read_system_clock, random)
    arrived: dict[MessageId, float] = {}

    async def note(_: dict[str, Any], message_id: MessageId) -> str:
        arrived[message_id] = time.perf_counter()
        return ""

    async def measure() -> float:
        """Return the second largest of a hundred delays."""
        arrived.clear()
        written: dict[MessageId, float] = {}
        for _ in range(100):
            message_id = await add(database, outbox, read_system_clock)
            written[message_id] = time.perf_counter()
            await asyncio.sleep(0.005)
        await wait_until(lambda: len(arrived) == 100)
        return sorted(arrived[message_id] - at for message_id, at in written.items())[98]

    stop = asyncio.Event()
    running = asyncio.create_task(OutboxDelivery(outbox, database, {"sms": note}, read_system_clock).run(stop))
    await wait_for_listener(database, "outbox")
    # The best of a few: a busy machine may spoil one, a look every few seconds would spoil all.
    delays: list[float] = []
    while len(delays) < 5 and not (delays and delays[-1] < IDLE / 5):
        delays.append(await measure())
    stop.set()
    await running
    assert min(delays) < IDLE / 5, f"p99 in seconds: {delays}"


async def test_a_slow_call_does_not_hold_up_others_and_ends_before_the_stop(database: Database, random: Random) -> None:
    outbox = Outbox(Sealer({"o-1": b"o" * 32}, "o-1"), read_system_clock, random)
    begun, release = asyncio.Event(), asyncio.Event()
    calls: list[str] = []

    async def slow(_: dict[str, Any], __: MessageId) -> str:
        begun.set()
        await release.wait()
        calls.append("slow")
        return "slow"

    async def quick(_: dict[str, Any], __: MessageId) -> str:
        calls.append("quick")
        return "quick"

    await add(database, outbox, read_system_clock, "slow")
    stop = asyncio.Event()
    running = asyncio.create_task(OutboxDelivery(outbox, database, {"slow": slow, "quick": quick}, read_system_clock).run(stop))
    await asyncio.wait_for(begun.wait(), 10)
    await add(database, outbox, read_system_clock, "quick")
    await wait_until(lambda: "quick" in calls)
    assert "slow" not in calls
    stop.set()
    ended, _ = await asyncio.wait([running], timeout=0.05)
    assert not ended, "it waits for the call in flight"
    release.set()
    await running
    assert {row["reference"] for row in await read(database)} == {"slow", "quick"}
