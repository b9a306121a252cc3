"""Decides how passwords become verifiers: argon2id in a few threads of its own, behind a bounded queue that spares all else.

Half of the queue is kept for visits whose device the person is known by, and no network of strangers gets more than the other half. When
half of what strangers may take is taken, they have to show that they worked for it. Whoever has waited for DEADLINE is told to come again.
The queue is a leaky bucket for the whole process: it drains as fast as passwords are compared, and holds a bounded number.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from idp.kernel.clock import Random, read_system_random

MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
"""OWASP's parameters for argon2id; a verifier made with others still verifies and is reported as due for a new one."""

PASSWORD_LIMIT = 1_024
"""UTF-8 bytes that are hashed; a longer password is wrong without being hashed."""

Answer = TypeVar("Answer")


NICENESS = 5
"""Of the threads that hash; 19 is the kindest."""

DEADLINE = 2.0
"""Seconds after which a password that is not being compared yet is given up."""


class Overloaded(Exception):
    """More passwords wait than the queue holds, or for too long: answer 503 with ``Retry-After: retry_after`` (seconds)."""

    retry_after = 2


@dataclass(frozen=True)
class Verification:
    """What comparing a password told: whether it fits (its truth), and whether its verifier is due to be made anew."""

    fits: bool
    due: bool = False

    def __bool__(self) -> bool:
        return self.fits


class PasswordHashing:
    """Owns its threads (one per core is right) and admits ``threads + queue`` passwords at a time, of strangers half a queue less.

    ``on_refused(reason)`` is told of every password that was not compared: ``full``, ``network``, ``work``, ``late``.
    """

    def __init__(
        self,
        threads: int,
        queue: int,
        random: Random = read_system_random,
        on_refused: Callable[[str], None] | None = None,
        *,
        deadline: float = DEADLINE,
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16, encoding="utf-8", type=Type.ID
        )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password", initializer=_stand_back)
        self._admitted = 0
        self._counting = threading.Lock()
        self._limit = threads + queue
        self._strangers = 0
        self._half = queue // 2
        self._strangers_limit = threads + queue - self._half
        self._work_from = threads + queue // 4
        self._on_refused = on_refused
        self._deadline = deadline
        self._of_network: Counter[str] = Counter()
        self._network_limit = max(1, queue // 2)
        self._random = random
        # Compared when the identifier is unknown, so that the answer takes as long as for a known one.
        self._dummy = self._make(self._random(24).hex())

    @property
    def waiting(self) -> int:
        """How many passwords are being hashed or wait for it."""
        return self._admitted

    async def hash(self, password: str) -> str:
        """Return the verifier to store, in PHC format (``$argon2id$...``). Raises Overloaded; ValueError when too long."""
        if _too_long(password):
            raise ValueError("the password is longer than can be hashed")
        return await self._run(None, self._make, password)

    @property
    def wants_work(self) -> bool:
        """Tell whether strangers should work for being looked at: half of the queue waits, or half of what strangers may take."""
        return self._strangers >= self._work_from or self._admitted >= self._limit - self._half

    async def verify(self, verifier: str | None, password: str, *, known: bool = False, network: str = "") -> Verification:
        """Compare; ``None`` as verifier means that nobody has the identifier and takes the same time. Raises Overloaded.

        ``known``: the device is one that this person signed in with; others share half of the queue, by ``network`` of the caller.
        Whether somebody has the identifier decides nothing here: only the load does.
        """
        if _too_long(password):
            password, verifier = "", None
        if verifier is None:
            await self._run(None if known else network, self._compare, self._dummy, password)
            return Verification(fits=False)
        return await self._run(None if known else network, self._compare, verifier, password)

    async def _run(self, network: str | None, work: Callable[..., Answer], *arguments: str) -> Answer:
        """Do ``work`` for a stranger of ``network``, or for ourselves or a known device (None)."""
        with self._counting:
            if self._admitted >= self._limit:
                raise self._refuse("full", Overloaded())
            if network is not None:
                if self._strangers >= self._strangers_limit:
                    raise self._refuse("full", Overloaded())
                if self._of_network[network] >= self._network_limit:
                    raise self._refuse("network", Overloaded())
                self._strangers += 1
                self._of_network[network] += 1
            self._admitted += 1
        future = self._executor.submit(work, *arguments)
        # Counted until the thread is done, not until the caller is: a caller who left would otherwise free a place that is still taken.
        future.add_done_callback(partial(self._leave, network))
        waiting = asyncio.wrap_future(future)
        try:
            await asyncio.wait([waiting], timeout=self._deadline)
        except asyncio.CancelledError:
            future.cancel()
            raise
        if not waiting.done() and future.cancel():
            raise self._refuse("late", Overloaded())
        return await waiting

    def note_refusal(self, reason: str) -> None:
        """Count a password that is not compared."""
        if self._on_refused is not None:
            self._on_refused(reason)

    def _refuse(self, reason: str, refusal: Overloaded) -> Overloaded:
        self.note_refusal(reason)
        return refusal

    def _leave(self, network: str | None, _: Future[Answer]) -> None:
        with self._counting:
            self._admitted -= 1
            if network is not None:
                self._strangers -= 1
                self._of_network[network] -= 1
                if not self._of_network[network]:
                    del self._of_network[network]

    def _make(self, password: str) -> str:
        return self._hasher.hash(password, salt=self._random(16))

    def _compare(self, verifier: str, password: str) -> Verification:
        try:
            self._hasher.verify(verifier, password)
        except (VerificationError, InvalidHashError):
            return Verification(fits=False)
        return Verification(fits=True, due=self._hasher.check_needs_rehash(verifier))

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _stand_back() -> None:
    """Let the processor prefer everything else to this thread: what takes microseconds shall not wait behind what takes 35 milliseconds."""
    # Linux knows a priority for each thread; elsewhere the whole process would be meant.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _too_long(password: str) -> bool:
    return len(password.encode("utf-8", "surrogatepass")) > PASSWORD_LIMIT
