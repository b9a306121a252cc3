"""Guessing on a real database: a burst is bounded at the edge of a window too, a network and an identifier have one budget each."""

import asyncio
from uuid import uuid4

import pytest

from idp.authenticators.rules.throttling import Delayed, Limits, Locked, Way
from idp.authenticators.services.throttle import ATTEMPTS, Throttle, Ticket, TurnedAway
from idp.platform.database import Database
from tests.sign_in.house import House
from tests.support.clocks import ManualClock

PLACE = "192.0.2.1"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


def with_limits(house: House, limits: Limits) -> Throttle:
    return Throttle(house.database, house.transients, house.index, house.clock, limits)


async def admit(throttle: Throttle, identifier: str, *, device: bytes | None = None, address: str = PLACE) -> Ticket | TurnedAway:
    return await throttle.admit(Way.PASSWORD, identifier, device, address)


async def fail(house: House, throttle: Throttle, ticket: Ticket | TurnedAway) -> object:
    assert isinstance(ticket, Ticket), ticket
    async with house.database.transaction() as tx:
        verdict = await throttle.fail(tx, ticket)
    await throttle.slow_down(ticket, verdict)
    return verdict


async def spend(house: House, throttle: Throttle, identifier: str, times: int) -> None:
    for _ in range(times):
        verdict = await fail(house, throttle, await admit(throttle, identifier))
        house.clock.advance(verdict.seconds if isinstance(verdict, Delayed) else 0)


async def test_who_knocks_during_a_delay_leaves_no_trace_in_the_count(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle = house.throttle
    identifier = str(uuid4())
    for _ in range(5):
        await fail(house, throttle, await admit(throttle, identifier))
    counted: list[str] = []
    count = house.transients.count

    async def note(kind: str, key: str, ttl: float, by: int = 1) -> object:
        counted.append(kind)
        return await count(kind, key, ttl, by)

    monkeypatch.setattr(house.transients, "count", note)
    answers = await asyncio.gather(*(admit(throttle, identifier) for _ in range(50)))
    assert {type(a.verdict) for a in answers if isinstance(a, TurnedAway)} == {Delayed}
    assert len(answers) == 50
    assert counted == []


async def test_a_burst_across_the_end_of_a_window_buys_no_attempts_in_the_next(house: House) -> None:
    throttle = with_limits(house, Limits(before_delay=100, before_lock=10))
    identifier = str(uuid4())
    window = throttle._limits.window.total_seconds()
    late = [await admit(throttle, identifier) for _ in range(10)]  # in flight when the window ends
    assert all(isinstance(ticket, Ticket) for ticket in late)
    house.clock.advance(window + 1)
    for ticket in late:
        assert isinstance(ticket, Ticket)
        await throttle.withdraw(ticket)
    first = await admit(throttle, identifier)
    assert isinstance(first, Ticket)
    assert first.number == 1
    for ticket in late:
        assert isinstance(ticket, Ticket)
        await throttle.succeed(ticket)
    answers = await asyncio.gather(*(admit(throttle, identifier) for _ in range(40)))
    assert sum(isinstance(answer, Ticket) for answer in answers) == 9
    assert {type(answer.verdict) for answer in answers if isinstance(answer, TurnedAway)} == {Locked}


async def test_success_forgets_the_attempts_and_withdrawing_takes_one_back(house: House) -> None:
    throttle = house.throttle
    identifier = str(uuid4())
    for _ in range(4):
        last = await admit(throttle, identifier)
    assert isinstance(last, Ticket)
    await throttle.withdraw(last)
    again = await admit(throttle, identifier)
    assert isinstance(again, Ticket)
    assert again.number == 4
    await throttle.succeed(again)
    fresh = await admit(throttle, identifier)
    assert isinstance(fresh, Ticket)
    assert fresh.number == 1
    assert ATTEMPTS == "sign_in_attempts"


async def test_one_network_guesses_for_whomever_only_so_often_and_successes_are_given_back(house: House) -> None:
    throttle = with_limits(house, Limits(per_origin=20))
    spray = "203.0.113.7"
    for number in range(20):
        ticket = await admit(throttle, f"{uuid4()}", address=spray)
        await (throttle.succeed(ticket) if number < 5 and isinstance(ticket, Ticket) else fail(house, throttle, ticket))
    for _ in range(5):
        await fail(house, throttle, await admit(throttle, f"{uuid4()}", address=spray))
    refused = await asyncio.gather(*(admit(throttle, f"{uuid4()}", address=spray) for _ in range(10)))
    assert all(isinstance(answer, TurnedAway) and isinstance(answer.verdict, Locked) for answer in refused)
    assert sum(isinstance(answer, TurnedAway) and answer.first for answer in refused) == 1
    assert isinstance(await admit(throttle, f"{uuid4()}", address="203.0.113.8"), Ticket), "its neighbour is another line"
    assert isinstance(await admit(throttle, f"{uuid4()}", address=spray, device=b"known"), Ticket), "a known device stays open"
    house.clock.advance(throttle._limits.window.total_seconds())
    assert isinstance(await admit(throttle, f"{uuid4()}", address=spray), Ticket)


async def test_one_line_of_ipv6_is_one_network(house: House) -> None:
    throttle = with_limits(house, Limits(per_origin=3))
    for number in range(3):
        assert isinstance(await admit(throttle, f"{uuid4()}", address=f"2001:db8:0:7::{number}"), Ticket)
    assert isinstance(await admit(throttle, f"{uuid4()}", address="2001:db8:0:7:ffff::1"), TurnedAway)
    assert isinstance(await admit(throttle, f"{uuid4()}", address="2001:db8:0:8::1"), Ticket)


async def test_every_identifier_has_a_budget_of_its_own(house: House) -> None:
    throttle, document, phone = with_limits(house, Limits(before_delay=100)), str(uuid4()), str(uuid4())
    for _ in range(10):
        assert isinstance(await admit(throttle, document), Ticket)
    assert isinstance(await admit(throttle, document), TurnedAway)
    assert isinstance(await admit(throttle, phone), Ticket), "a budget in common would tell that one person has both"


async def test_being_turned_away_is_worth_one_row_in_a_window(house: House) -> None:
    throttle, identifier = house.throttle, str(uuid4())
    await spend(house, throttle, identifier, 10)
    answers = [await admit(throttle, identifier) for _ in range(4)]
    assert [isinstance(a, TurnedAway) and a.first for a in answers] == [True, False, False, False]
