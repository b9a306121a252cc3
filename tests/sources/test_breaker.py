"""The breaker as a table: what each state makes of each event."""

from datetime import timedelta

import pytest

from idp.sources.breaker import Breaker, BreakerEvent, BreakerLimits, BreakerState, admit_call, end_call, is_resting
from tests.support.clocks import ManualClock

LIMITS = BreakerLimits()
ANSWERED, FAILED, ABANDONED = BreakerEvent.ANSWERED, BreakerEvent.FAILED, BreakerEvent.ABANDONED
CLOSED, OPEN, TRYING = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.TRYING


def run(clock: ManualClock, events: list[BreakerEvent], gap: float = 0.0, breaker: Breaker | None = None) -> Breaker:
    breaker = breaker or Breaker()
    for event in events:
        admitted = admit_call(breaker, LIMITS, clock())
        assert admitted is not None
        breaker = end_call(admitted, LIMITS, event, clock(), admitted.turn)
        clock.advance(gap)
    return breaker


def make_open(clock: ManualClock) -> Breaker:
    return run(clock, [FAILED] * 20)


@pytest.mark.parametrize(
    "events, state",
    [
        ([FAILED] * 19, CLOSED),
        ([FAILED] * 20, OPEN),
        ([ANSWERED] * 10 + [FAILED] * 10, OPEN),
        ([ANSWERED] * 11 + [FAILED] * 10, CLOSED),
        ([ANSWERED] * 11 + [FAILED] * 11, OPEN),
        ([FAILED] * 10 + [ANSWERED] * 10, CLOSED),  # it opens at a failure only
        ([FAILED] * 10 + [ANSWERED] * 10 + [FAILED], OPEN),
        ([FAILED] * 19 + [ABANDONED] * 50, CLOSED),
    ],
    ids=lambda value: str(value) if isinstance(value, BreakerState) else f"{len(value)} calls",
)
def test_it_opens_at_half_of_twenty_calls(clock: ManualClock, events: list[BreakerEvent], state: BreakerState) -> None:
    assert run(clock, events).state is state


@pytest.mark.parametrize("gap, state", [(1.5, OPEN), (1.6, CLOSED), (10.0, CLOSED)])
def test_only_the_last_thirty_seconds_count(clock: ManualClock, gap: float, state: BreakerState) -> None:
    assert run(clock, [FAILED] * 20, gap).state is state


def test_the_memory_is_bounded(clock: ManualClock) -> None:
    breaker = run(clock, [ANSWERED] * 2_000, 0.05)
    assert len(breaker.tallies) <= 31


@pytest.mark.parametrize("after, admitted", [(0.0, False), (14.9, False), (15.0, True), (3_600.0, True), (-60.0, True)])
def test_it_rests_fifteen_seconds(clock: ManualClock, after: float, admitted: bool) -> None:
    breaker = make_open(clock)
    clock.advance(after)
    assert is_resting(breaker, LIMITS, clock()) is not admitted
    found = admit_call(breaker, LIMITS, clock())
    assert (found is not None) is admitted
    if found is not None:
        assert found.state is TRYING


def test_one_call_tries_for_all(clock: ManualClock) -> None:
    breaker = make_open(clock)
    clock.advance(15)
    trying = admit_call(breaker, LIMITS, clock())
    assert trying is not None
    assert admit_call(trying, LIMITS, clock()) is None
    assert is_resting(trying, LIMITS, clock())


@pytest.mark.parametrize("event, state, rests", [(ANSWERED, CLOSED, False), (FAILED, OPEN, True), (ABANDONED, OPEN, False)])
def test_the_trial_decides(clock: ManualClock, event: BreakerEvent, state: BreakerState, rests: bool) -> None:
    breaker = make_open(clock)
    clock.advance(15)
    after = run(clock, [event], breaker=breaker)
    assert after.state is state
    assert is_resting(after, LIMITS, clock()) is rests
    assert not after.tallies, "it begins to count anew"


def test_a_trial_that_never_ends_does_not_block_for_ever(clock: ManualClock) -> None:
    breaker = make_open(clock)
    clock.advance(15)
    lost = admit_call(breaker, LIMITS, clock())
    assert lost is not None
    clock.advance(15)
    second = admit_call(lost, LIMITS, clock())
    assert second is not None
    # The first trial's late end is of an earlier turn and says nothing now.
    assert end_call(second, LIMITS, ANSWERED, clock(), lost.turn) == second
    assert end_call(second, LIMITS, FAILED, clock(), second.turn).state is OPEN


def test_calls_from_before_the_opening_say_nothing(clock: ManualClock) -> None:
    early = admit_call(Breaker(), LIMITS, clock())
    assert early is not None
    breaker = make_open(clock)
    assert end_call(breaker, LIMITS, ANSWERED, clock(), early.turn) == breaker
    clock.advance(15)
    trying = admit_call(breaker, LIMITS, clock())
    assert trying is not None
    assert end_call(trying, LIMITS, ANSWERED, clock(), early.turn) == trying
    closed = end_call(trying, LIMITS, ANSWERED, clock(), trying.turn)
    assert end_call(closed, LIMITS, FAILED, clock(), early.turn) == closed


def test_the_limits_are_parameters(clock: ManualClock) -> None:
    limits = BreakerLimits(calls=2, share=1.0, window=timedelta(seconds=5), rest=timedelta(seconds=1))
    breaker = Breaker()
    for _ in range(2):
        breaker = end_call(breaker, limits, FAILED, clock(), breaker.turn)
    assert breaker.state is OPEN
    clock.advance(1)
    assert admit_call(breaker, limits, clock()) is not None
