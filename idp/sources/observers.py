"""Decides what figures and log say of the authorities: source, kind, result, reason and seconds; nothing of a person reaches this place."""

from collections.abc import Callable
from typing import Protocol

from idp.kernel.checks import CheckResult
from idp.sources.breaker import BreakerState
from idp.sources.guard import BreakerChange, Observation, Observer

QUIET = frozenset({"breaker", "bulkhead"})
"""Reasons that come by the thousand while an authority is down: counted, not logged."""


class Log(Protocol):
    """What is used of a logger."""

    def warning(self, event: str, **fields: object) -> object:
        """Write one line."""
        ...


def make_observer(count_question: Callable[[str, str, str, str, float], None], count_opening: Callable[[str], None], log: Log) -> Observer:
    """Return an observer that counts questions (source, kind, result, reason, seconds) and openings (source) and logs what went wrong."""

    def observe(seen: Observation | BreakerChange) -> None:
        if isinstance(seen, BreakerChange):
            log.warning("authority breaker", authority=seen.source, state=seen.state.value)
            if seen.state is BreakerState.OPEN:
                count_opening(seen.source)
            return
        count_question(seen.source, seen.kind.value, seen.result.value, seen.reason, seen.seconds)
        if seen.result is CheckResult.UNAVAILABLE and seen.reason not in QUIET:
            log.warning(
                "authority unavailable", authority=seen.source, kind=seen.kind.value, reason=seen.reason, seconds=round(seen.seconds, 3)
            )

    return observe
