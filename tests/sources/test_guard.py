"""Whether an authority is asked at all: bulkhead, breaker and deadline around any source, and nothing but cancelling gets out."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.sources.breaker import BreakerLimits, BreakerState
from idp.sources.directory import Sources
from idp.sources.guard import BreakerChange, GuardedSource, Observation
from idp.sources.source import Check, Outcome
from tests.support.clocks import ManualClock
from tests.support.waiting import wait_until

QUESTION = Check("question-1", CheckKind.PHONE, {"phone": "+8613800138000"}, "registration")
MATCH = Outcome(CheckResult.MATCH, "tested")
SILENT = Outcome(CheckResult.UNAVAILABLE, "tested", reason="timeout")


class TestedSource:
    """A source that does what the test says."""

    __test__ = False
    name = "tested"
    kinds = frozenset({CheckKind.PHONE, CheckKind.IDENTITY})

    def __init__(self) -> None:
        self.answer: Callable[[], Awaitable[Outcome]] = self.match
        self.asked = 0
        self.probed = 0
        self.running = 0

    async def match(self) -> Outcome:
        return MATCH

    async def fail(self) -> Outcome:
        return SILENT

    async def hang(self) -> Outcome:
        await asyncio.sleep(3_600)
        return MATCH

    async def check(self, check: Check, timeout: float) -> Outcome:
        self.asked += 1
        self.running += 1
        try:
            return await self.answer()
        finally:
            self.running -= 1

    async def probe(self, kind: CheckKind) -> bool:
        self.probed += 1
        if kind is CheckKind.IDENTITY:
            raise RuntimeError("a probe that fails")
        return True


@pytest.fixture
def tested() -> TestedSource:
    return TestedSource()


@pytest.fixture
def seen() -> list[Observation | BreakerChange]:
    return []


@pytest.fixture
def guarded(tested: TestedSource, clock: ManualClock, seen: list[Observation | BreakerChange]) -> GuardedSource:
    return GuardedSource(tested, clock, seen.append)


async def ask(guarded: GuardedSource, times: int = 1, timeout: float = 3) -> list[str]:
    return [outcome.reason or outcome.result.value for outcome in [await guarded.check(QUESTION, timeout) for _ in range(times)]]


async def test_it_opens_rests_tries_once_and_closes(guarded: GuardedSource, tested: TestedSource, clock: ManualClock) -> None:
    tested.answer = tested.fail
    assert await ask(guarded, 22) == ["timeout"] * 20 + ["breaker"] * 2
    assert tested.asked == 20
    assert not await guarded.probe(CheckKind.PHONE)
    assert tested.probed == 0, "who rests is not even probed"
    clock.advance(15)
    assert await guarded.probe(CheckKind.PHONE)
    assert guarded.state.value == "open", "a probe asks about nobody and closes nothing"
    assert await ask(guarded, 2) == ["timeout", "breaker"]
    clock.advance(15)
    tested.answer = tested.hang
    trial = asyncio.create_task(guarded.check(QUESTION, 60))
    await wait_until(lambda: tested.running == 1)
    assert await ask(guarded, 2) == ["breaker"] * 2, "one call tries for all"
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    tested.answer = tested.match
    assert await ask(guarded, 3) == ["match"] * 3, "an abandoned trial is followed by another"
    assert guarded.state.value == "closed"


async def test_fifty_at_once_and_no_more(guarded: GuardedSource, tested: TestedSource) -> None:
    tested.answer = tested.hang
    tasks = [asyncio.create_task(guarded.check(QUESTION, 60)) for _ in range(50)]
    await wait_until(lambda: tested.running == 50)
    assert await ask(guarded, 30) == ["bulkhead"] * 30
    assert not await guarded.probe(CheckKind.PHONE)
    assert guarded.state is BreakerState.CLOSED, "what was never asked says nothing about the authority"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tested.answer = tested.match
    assert await ask(guarded) == ["match"]


async def test_no_source_can_overrun_the_deadline(guarded: GuardedSource, tested: TestedSource) -> None:
    tested.answer = tested.hang
    assert await asyncio.wait_for(ask(guarded, 1, 0.02), 10) == ["timeout"]
    assert await asyncio.wait_for(ask(guarded, 1, -1), 10) == ["timeout"]
    assert tested.running == 0


async def test_questions_without_time_do_not_open_it(guarded: GuardedSource, tested: TestedSource) -> None:
    tested.answer = tested.fail
    assert await ask(guarded, 40, 0.5) == ["timeout"] * 40
    assert guarded.state is BreakerState.CLOSED


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TimeoutError, OSError, ExceptionGroup])
async def test_nothing_a_source_raises_gets_out(guarded: GuardedSource, tested: TestedSource, error: type[Exception]) -> None:
    async def fail() -> Outcome:
        raise error("+8613800138000", [ValueError()]) if error is ExceptionGroup else error("+8613800138000")

    tested.answer = fail
    outcome = await guarded.check(QUESTION, 3)
    assert outcome.result is CheckResult.UNAVAILABLE
    assert "13800138000" not in repr(outcome)
    assert not await guarded.probe(CheckKind.IDENTITY)


async def test_every_call_is_observed_and_nobody_named(
    guarded: GuardedSource, tested: TestedSource, seen: list[Observation | BreakerChange]
) -> None:
    await ask(guarded)
    tested.answer = tested.fail
    await ask(guarded, 20)
    observed = [each for each in seen if isinstance(each, Observation)]
    assert [(each.result, each.reason) for each in observed[:2]] == [(CheckResult.MATCH, ""), (CheckResult.UNAVAILABLE, "timeout")]
    assert {(each.source, each.kind) for each in observed} == {("tested", CheckKind.PHONE)}
    assert all(each.seconds >= 0 for each in observed)
    assert [each for each in seen if isinstance(each, BreakerChange)] == [BreakerChange("tested", BreakerState.OPEN)]
    assert "13800138000" not in repr(seen)


async def test_the_directory_asks_who_answers_and_nobody_else(tested: TestedSource, clock: ManualClock) -> None:
    sources = Sources([tested], clock=clock, limits=BreakerLimits(calls=2))
    seen: list[Observation | BreakerChange] = []
    sources.add_observer(seen.append)
    assert sources.kinds == {CheckKind.PHONE, CheckKind.IDENTITY}
    assert (await sources.check(QUESTION, 3)).result is CheckResult.MATCH
    assert await sources.probe(CheckKind.PHONE)
    nobody = await sources.check(Check("question-2", CheckKind.BANK_CARD, {}, "registration"), 3)
    assert (nobody.result, nobody.reason) == (CheckResult.UNAVAILABLE, "nobody")
    assert not await sources.probe(CheckKind.BANK_CARD)
    assert (sources.find_name(CheckKind.PHONE), sources.find_name(CheckKind.BANK_CARD)) == ("tested", "")
    assert (sources.find_state(CheckKind.PHONE), sources.find_state(CheckKind.BANK_CARD)) == (BreakerState.CLOSED, None)
    assert sources.find_page(CheckKind.REAL_PERSON) is None
    assert len(seen) == 2
    await sources.close()
    with pytest.raises(ValueError, match="is served by tested and by tested"):
        Sources([tested, tested], clock=clock)
