"""Passwords: argon2id, a bounded queue, and the same work for an identifier that nobody has."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher

from idp.platform.password_hashing import PASSWORD_LIMIT, Overloaded, PasswordHashing

PATIENT = 60.0
"""Seconds, where what is tested is not how long anybody waits: a busy machine compares slowly."""


@pytest.fixture(scope="module")
def hashing() -> Iterator[PasswordHashing]:
    made = PasswordHashing(2, 4, deadline=PATIENT)
    yield made
    made.close()


async def test_a_verifier_fits_its_password_alone(hashing: PasswordHashing) -> None:
    verifier = await hashing.hash("正确的 密码 1")
    assert verifier.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verifier != await hashing.hash("正确的 密码 1")
    fitting = await hashing.verify(verifier, "正确的 密码 1")
    assert fitting
    assert not fitting.due
    assert not await hashing.verify(verifier, "正确的 密码 2")
    assert not await hashing.verify(verifier, "")


async def test_a_verifier_of_other_parameters_is_due(hashing: PasswordHashing) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("pw")
    answer = await hashing.verify(old, "pw")
    assert answer.fits
    assert answer.due


@pytest.mark.parametrize("verifier", ["", "plain", "$argon2id$v=19$m=19456", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA", "$2b$12$abc"])
async def test_a_broken_verifier_fits_nothing(hashing: PasswordHashing, verifier: str) -> None:
    assert not await hashing.verify(verifier, "pw")


async def test_nobody_costs_as_much_as_somebody(hashing: PasswordHashing) -> None:
    verifier = await hashing.hash("pw")

    async def measure(stored: str | None) -> float:
        times = []
        for _ in range(5):
            begun = time.process_time()
            assert not await hashing.verify(stored, "wrong")
            times.append(time.process_time() - begun)
        return min(times)

    somebody, nobody = await measure(verifier), await measure(None)
    assert 0.4 < nobody / somebody < 2.5


async def test_a_password_over_the_limit_is_wrong_and_never_stored(hashing: PasswordHashing) -> None:
    long = "密" * (PASSWORD_LIMIT // 3 + 1)
    with pytest.raises(ValueError, match="longer"):
        await hashing.hash(long)
    assert not await hashing.verify(await hashing.hash("pw"), long)


async def test_what_the_queue_does_not_hold_is_refused_at_once(hashing: PasswordHashing) -> None:
    answers: list[Any] = await asyncio.gather(*(hashing.hash("pw") for _ in range(9)), return_exceptions=True)
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 3
    assert sum(isinstance(answer, str) for answer in answers) == 6
    assert hashing.waiting == 0
    assert await hashing.hash("pw")


async def test_strangers_leave_half_of_the_queue_to_known_devices_and_one_network_leaves_room_for_others() -> None:
    hashing = PasswordHashing(1, 8, deadline=PATIENT)
    try:
        verifier = await hashing.hash("pw")
        flood = [asyncio.ensure_future(hashing.verify(verifier, "x", network="flood")) for _ in range(20)]
        await asyncio.sleep(0)
        assert hashing.waiting == 4, "half of the queue, for one network"
        neighbour = asyncio.ensure_future(hashing.verify(verifier, "pw", network="neighbour"))
        await asyncio.sleep(0)
        assert hashing.waiting == 5, "what strangers may take in all: the threads and half of the queue"
        with pytest.raises(Overloaded):
            await hashing.verify(None, "pw", network="third")
        known = [asyncio.ensure_future(hashing.verify(verifier, "pw", known=True, network="flood")) for _ in range(4)]
        await asyncio.sleep(0)
        assert hashing.waiting == 9
        with pytest.raises(Overloaded):
            await hashing.verify(verifier, "pw", known=True)
        assert await neighbour
        assert all(await asyncio.gather(*known))
        answers = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(isinstance(answer, Overloaded) for answer in answers) == 16
        assert not hashing._of_network
        assert hashing._strangers == 0
    finally:
        hashing.close()


async def test_a_caller_who_leaves_frees_no_place_that_is_taken(hashing: PasswordHashing) -> None:
    running = [asyncio.ensure_future(hashing.hash("pw")) for _ in range(2)]
    while hashing.waiting < 2 or hashing._executor._work_queue.qsize():  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0.001)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert hashing.waiting == 2  # both threads still work
    for _ in range(500):
        await asyncio.sleep(0.01)
        if hashing.waiting == 0:
            return
    pytest.fail("the places were never given free")


async def test_hashing_leaves_the_loop_free(hashing: PasswordHashing) -> None:
    hashed = asyncio.gather(*(hashing.hash("pw") for _ in range(6)))
    turns = 0
    while not hashed.done():
        await asyncio.sleep(0.001)
        turns += 1
    # Hashing on the loop itself would let it turn once for each of the six at most.
    assert turns > 12
    await hashed


def test_nothing_secret_is_shown(hashing: PasswordHashing) -> None:
    assert "argon2" not in repr(hashing)


async def test_half_of_what_strangers_may_take_makes_them_work() -> None:
    hashing = PasswordHashing(1, 8, deadline=PATIENT)
    try:
        verifier = await hashing.hash("pw")
        waiting = [asyncio.ensure_future(hashing.verify(verifier, "pw", network=str(n))) for n in range(2)]
        await asyncio.sleep(0)
        assert not hashing.wants_work
        waiting.append(asyncio.ensure_future(hashing.verify(None, "pw", network="third")))
        await asyncio.sleep(0)
        assert hashing.wants_work, "the thread and a quarter of the queue, whoever it is that they named"
        await asyncio.gather(*waiting)
        assert not hashing.wants_work
    finally:
        hashing.close()


async def test_known_devices_alone_can_make_strangers_work() -> None:
    hashing = PasswordHashing(1, 8, deadline=PATIENT)
    try:
        known = [asyncio.ensure_future(hashing.verify(None, "pw", known=True)) for _ in range(5)]
        await asyncio.sleep(0)
        assert hashing.wants_work, "half of the queue waits"
        await asyncio.gather(*known)
    finally:
        hashing.close()


async def test_nobody_waits_for_longer_than_the_deadline() -> None:
    refused: list[str] = []
    hashing = PasswordHashing(1, 8, on_refused=refused.append, deadline=0.05)
    hold = threading.Event()
    hashing._executor.submit(hold.wait)
    try:
        for someone in (None, "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"):
            with pytest.raises(Overloaded):
                await hashing.verify(someone, "pw")
        assert hashing.waiting == 0
        assert refused == ["late", "late"]
    finally:
        hold.set()
        hashing.close()


async def test_what_is_being_compared_at_the_deadline_is_waited_for() -> None:
    hashing = PasswordHashing(1, 8, deadline=0.001)
    try:
        assert await hashing.hash("pw")
    finally:
        hashing.close()


async def test_a_caller_who_leaves_frees_the_place() -> None:
    hashing = PasswordHashing(1, 8, deadline=PATIENT)
    hold = threading.Event()
    hashing._executor.submit(hold.wait)
    try:
        leaving = asyncio.ensure_future(hashing.verify(None, "pw"))
        await asyncio.sleep(0)
        assert hashing.waiting == 1
        leaving.cancel()
        await asyncio.sleep(0)
        assert hashing.waiting == 0
    finally:
        hold.set()
        hashing.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a priority of its own")
async def test_the_processor_prefers_everything_else(hashing: PasswordHashing) -> None:
    found = hashing._executor.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert found - os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == 5
