"""Decides whether an authority is asked at all: not while its breaker rests, not beyond fifty at once, never past the deadline."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock
from idp.sources.breaker import Breaker, BreakerEvent, BreakerLimits, BreakerState, admit_call, end_call, is_resting
from idp.sources.source import Check, Outcome, Source

IN_FLIGHT = 50
SHORTEST_TRIAL = 1.0
"""A question that ran out of less time than this says nothing about the authority."""


@dataclass(frozen=True)
class Observation:
    """One question as the figures and the log may know it: never about whom. ``reason`` is set for UNAVAILABLE; ``seconds`` is its time."""

    source: str
    kind: CheckKind
    result: CheckResult
    reason: str
    seconds: float


@dataclass(frozen=True)
class BreakerChange:
    """The breaker of an authority opened, tries, or closed."""

    source: str
    state: BreakerState


Observer = Callable[[Observation | BreakerChange], None]


class NamedSource(Source, Protocol):
    """A source with a name."""

    @property
    def name(self) -> str:
        """Its name in settings, figures, evidence and log."""
        ...


class GuardedSource:
    """One source behind its breaker and its bulkhead; every call is observed."""

    def __init__(
        self, source: NamedSource, clock: Clock, observe: Observer, limits: BreakerLimits | None = None, in_flight: int = IN_FLIGHT
    ) -> None:
        self._source = source
        self._clock = clock
        self._observe = observe
        self._limits = limits or BreakerLimits()
        self._most = in_flight
        self._in_flight = 0
        self._breaker = Breaker()

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def kinds(self) -> frozenset[CheckKind]:
        """What it can be asked."""
        return self._source.kinds

    @property
    def state(self) -> BreakerState:
        """The state of the breaker."""
        return self._breaker.state

    async def check(self, check: Check, timeout: float) -> Outcome:
        """Ask, unless the authority rests or has enough to do. Only cancelling raises."""
        begin = time.monotonic()
        if self._in_flight >= self._most:
            outcome = Outcome(CheckResult.UNAVAILABLE, self.name, reason="bulkhead")
        elif (admitted := admit_call(self._breaker, self._limits, self._clock())) is None:
            outcome = Outcome(CheckResult.UNAVAILABLE, self.name, reason="breaker")
        else:
            self._change(admitted)
            outcome = await self._ask(check, timeout, admitted.turn)
        self._observe(Observation(self.name, check.kind, outcome.result, outcome.reason, time.monotonic() - begin))
        return outcome

    async def probe(self, kind: CheckKind) -> bool:
        """Tell whether the authority answers; while it rests it is not asked. What a probe finds does not move the breaker."""
        if self._in_flight >= self._most or is_resting(self._breaker, self._limits, self._clock()):
            return False
        self._in_flight += 1
        try:
            return await self._source.probe(kind)
        except Exception:
            return False
        finally:
            self._in_flight -= 1

    async def _ask(self, check: Check, timeout: float, turn: int) -> Outcome:
        event = BreakerEvent.ABANDONED
        self._in_flight += 1
        try:
            async with asyncio.timeout(timeout):
                outcome = await self._source.check(check, timeout)
            event = BreakerEvent.FAILED if outcome.result is CheckResult.UNAVAILABLE else BreakerEvent.ANSWERED
        except TimeoutError:
            outcome = Outcome(CheckResult.UNAVAILABLE, self.name, reason="timeout")
            event = BreakerEvent.FAILED
        except Exception as error:
            # The text of an error may quote the question; its type does not.
            outcome = Outcome(CheckResult.UNAVAILABLE, self.name, reason=type(error).__name__)
            event = BreakerEvent.FAILED
        finally:
            if event is BreakerEvent.FAILED and timeout < SHORTEST_TRIAL:
                event = BreakerEvent.ABANDONED
            self._in_flight -= 1
            self._change(end_call(self._breaker, self._limits, event, self._clock(), turn))
        return outcome

    def _change(self, breaker: Breaker) -> None:
        before, self._breaker = self._breaker.state, breaker
        if before is not breaker.state:
            self._observe(BreakerChange(self.name, breaker.state))
