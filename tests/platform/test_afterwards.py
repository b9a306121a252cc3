"""Work that no answer waits for: it is bounded, it is waited for at the end, and a failure is logged and hurts nobody."""

import asyncio

from idp.platform.afterwards import Afterwards


async def test_what_was_begun_is_finished_before_the_process_ends() -> None:
    afterwards, done, gate = Afterwards(), [], asyncio.Event()

    async def work(number: int) -> None:
        await gate.wait()
        done.append(number)
        if number < 2:
            assert afterwards.start("next", work(number + 2))

    assert afterwards.start("first", work(0))
    assert afterwards.start("second", work(1))
    await asyncio.sleep(0)
    assert done == [], "nobody waited"
    gate.set()
    await afterwards.settle()
    assert sorted(done) == [0, 1, 2, 3], "what was begun meanwhile included"


async def test_too_much_is_not_begun() -> None:
    afterwards, gate = Afterwards(most=2), asyncio.Event()
    began = [afterwards.start("work", _wait(gate)) for _ in range(4)]
    assert began == [True, True, False, False]
    gate.set()
    await afterwards.settle()
    assert afterwards.start("work", _wait(gate))
    await afterwards.settle()


async def test_a_failure_hurts_nobody_else() -> None:
    afterwards, done = Afterwards(), []

    async def fail() -> None:
        raise RuntimeError("synthetic")

    async def work() -> None:
        done.append(True)

    afterwards.start("failing", fail())
    afterwards.start("working", work())
    await afterwards.settle()
    assert done == [True]


async def _wait(gate: asyncio.Event) -> None:
    await gate.wait()
