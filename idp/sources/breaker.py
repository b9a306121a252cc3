"""Decides when an authority is left alone: half of twenty calls failed in thirty seconds, then a rest, then one call that tries again.

Pure: instants go in, the next state comes out (formats.md §5.2)."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    TRYING = "trying"


class BreakerEvent(StrEnum):
    """What the end of a call says about the authority; an abandoned call says nothing."""

    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class BreakerLimits:
    """When it opens and how long it rests; ``share`` of failures between 0 and 1."""

    calls: int = 20
    share: float = 0.5
    window: timedelta = timedelta(seconds=30)
    rest: timedelta = timedelta(seconds=15)


@dataclass(frozen=True)
class Tally:
    """The calls that ended within one second."""

    second: int
    calls: int
    failures: int


@dataclass(frozen=True)
class Breaker:
    """The breaker of one authority. ``since`` is when it opened; ``turn`` tells the trial call from calls that began before it."""

    state: BreakerState = BreakerState.CLOSED
    tallies: tuple[Tally, ...] = field(default=())
    since: datetime | None = None
    turn: int = 0


def admit_call(breaker: Breaker, limits: BreakerLimits, now: datetime) -> Breaker | None:
    """Return the breaker while one more call is under way, or None when the call must not be made.

    | state | the rest is over | call | next |
    |---|---|---|---|
    | closed | – | made | closed |
    | open | no | not made | open |
    | open | yes | made: it tries for all | trying |
    | trying | no | not made | trying |
    | trying | yes: the trial never ended | made | trying |
    """
    if breaker.state is BreakerState.CLOSED:
        return breaker
    if _rests(breaker, limits, now):
        return None
    return replace(breaker, state=BreakerState.TRYING, since=now, turn=breaker.turn + 1)


def end_call(breaker: Breaker, limits: BreakerLimits, event: BreakerEvent, now: datetime, turn: int) -> Breaker:
    """Return the breaker after a call that was admitted in ``turn``.

    | state | call of this turn | answered | failed | abandoned |
    |---|---|---|---|---|
    | closed | yes | closed, counted | open when the limits are reached | closed |
    | open | – | open | open | open |
    | trying | yes | closed, nothing counted yet | open, rests again | open, the rest already over |
    | any | no | unchanged | unchanged | unchanged |
    """
    if turn != breaker.turn or breaker.state is BreakerState.OPEN:
        return breaker
    if breaker.state is BreakerState.TRYING:
        if event is BreakerEvent.ANSWERED:
            return Breaker(turn=breaker.turn + 1)
        since = now if event is BreakerEvent.FAILED else now - limits.rest
        return Breaker(BreakerState.OPEN, since=since, turn=breaker.turn)
    if event is BreakerEvent.ABANDONED:
        return breaker
    tallies = _count(breaker.tallies, limits, now, failed=event is BreakerEvent.FAILED)
    calls, failures = sum(t.calls for t in tallies), sum(t.failures for t in tallies)
    if event is BreakerEvent.FAILED and calls >= limits.calls and failures >= limits.share * calls:
        return Breaker(BreakerState.OPEN, since=now, turn=breaker.turn + 1)
    return replace(breaker, tallies=tallies)


def is_resting(breaker: Breaker, limits: BreakerLimits, now: datetime) -> bool:
    """Tell whether a call would not be made now."""
    return breaker.state is not BreakerState.CLOSED and _rests(breaker, limits, now)


def _rests(breaker: Breaker, limits: BreakerLimits, now: datetime) -> bool:
    # A clock that was set back must not make the rest endless.
    return breaker.since is not None and timedelta() <= now - breaker.since < limits.rest


def _count(tallies: tuple[Tally, ...], limits: BreakerLimits, now: datetime, *, failed: bool) -> tuple[Tally, ...]:
    second = int(now.timestamp())
    oldest = second - int(limits.window.total_seconds())
    kept = [t for t in tallies if oldest < t.second <= second]
    if kept and kept[-1].second == second:
        last = kept.pop()
        return (*kept, Tally(second, last.calls + 1, last.failures + failed))
    return (*kept, Tally(second, 1, int(failed)))
