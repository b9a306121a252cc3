"""Decides how passwords at saturation are shown: more sign-ins than can be compared, and what everything else notices of it."""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from argon2 import PasswordHasher

from bench.driver import Connection, Operation, UnexpectedAnswer, read_cpu_seconds
from bench.operations import Operations, Target
from bench.provider import Running, run_provider
from idp.platform.password_hashing import LANES, MEMORY_KIB, PASSES

OTHERS = ("discovery", "client_credentials", "introspection", "userinfo", "authorize", "sso_userinfo")
"""What is asked at a steady pace before and during."""

PACE = 25.0
"""Requests a second of each."""

SIGN_INS = 24
"""People who sign in at once, again and again: more than half of what strangers may take of the queue, so that browsers work."""

BITS = 8
"""Work for a password. Little, because the browsers share the machine with the server here; what they do does not change for it."""

SLOWER_AT_MOST, BOUND_AT_LEAST = 2.0, 0.9


class Crowd(Operations):
    """People who sign in with a password as often as they are let."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.seen: Counter[str] = Counter()

    async def sign_in(self, number: int, connection: Connection) -> None:
        """Sign in once, working for it when asked, coming again when told to."""
        try:
            await self.password_sign_in(number, connection)
            self.seen["signed in"] += 1
        except UnexpectedAnswer as answer:
            if "sign-in ended with 503" not in str(answer):
                raise
            self.seen["told to come again"] += 1
            await asyncio.sleep(0.2)

    def work(self, page: bytes) -> dict[str, str] | None:
        """Count who has to work."""
        worked = super().work(page)
        self.seen["worked"] += worked is not None
        return worked


async def keep_pace(operation: Operation, origin: str, seconds: float) -> list[float]:
    """Ask at PACE whatever the answers take, and return the milliseconds of each."""
    free = [Connection(origin) for _ in range(8)]
    times: list[float] = []
    asked: set[asyncio.Task[None]] = set()

    async def ask(number: int) -> None:
        connection = free.pop() if free else Connection(origin)
        begun = time.perf_counter()
        await operation(number % 8, connection)
        times.append((time.perf_counter() - begun) * 1000)
        free.append(connection)

    started = time.perf_counter()
    for number in range(int(seconds * PACE)):
        await asyncio.sleep(max(0.0, started + number / PACE - time.perf_counter()))
        asked.add(asyncio.create_task(ask(number)))
    await asyncio.gather(*asked)
    for connection in free:
        connection.close()
    return times


async def ask_others(running: Running, operations: Operations, seconds: float) -> dict[str, list[float]]:
    """Ask everything else at its pace, all at once."""
    origin = running.target.origin
    found = await asyncio.gather(*(keep_pace(getattr(operations, name), origin, seconds) for name in OTHERS))
    return dict(zip(OTHERS, found, strict=True))


async def crowd_in(crowd: Crowd, running: Running, ending: asyncio.Event) -> None:
    """Sign in from SIGN_INS browsers until the end."""

    async def be_one(number: int) -> None:
        connection = Connection(running.target.origin)
        while not ending.is_set():
            await crowd.sign_in(number, connection)
        connection.close()

    await asyncio.gather(*(be_one(number) for number in range(SIGN_INS)))


def measure_bound(seconds: float = 2.0) -> float:
    """Return how many passwords one core compares in a second when it does nothing else."""
    hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
    verifier = hasher.hash("synthetic")
    costs = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.process_time()
        hasher.verify(verifier, "synthetic")
        costs.append(time.process_time() - begun)
    return 1 / statistics.median(costs)


def take_p99(times: Sequence[float]) -> float:
    """Return the 99th percentile."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


async def main() -> int:
    """Measure before and during; 1 when something failed."""
    parser = argparse.ArgumentParser(description="Password sign-ins at saturation, and everything else meanwhile.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=8790)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        async with run_provider(Path(folder), arguments.port, further={"IDP_SIGN_IN__PROOF_BITS": str(BITS)}) as running:
            await show(running, arguments.seconds)
    return 0


async def show(running: Running, seconds: float) -> None:
    """Run both phases and print what they tell."""
    operations, crowd = Operations(running.target), Crowd(running.target)
    await ask_others(running, operations, 2.0)
    bound = measure_bound()
    alone = read_cpu_seconds([running.server_pid])
    before = await ask_others(running, operations, seconds)
    alone = (read_cpu_seconds([running.server_pid]) - alone) / seconds
    ending = asyncio.Event()
    crowding = asyncio.create_task(crowd_in(crowd, running, ending))
    await asyncio.sleep(2)
    crowd.seen.clear()
    used, started = read_cpu_seconds([running.server_pid]), time.perf_counter()
    during = await ask_others(running, operations, seconds)
    elapsed = time.perf_counter() - started
    used = read_cpu_seconds([running.server_pid]) - used - alone * elapsed
    seen = Counter(crowd.seen)
    ending.set()
    await crowding
    print(f"{SIGN_INS} people sign in at once, again and again, beside {PACE * len(OTHERS):.0f} other requests a second:")
    print("  " + ", ".join(f"{what} {number}" for what, number in sorted(seen.items())) + f", in {elapsed:.1f} s")
    rate = seen["signed in"] / used
    share = rate / bound
    judged = f"{'reached' if share >= BOUND_AT_LEAST else 'missed'}, wanted {BOUND_AT_LEAST}"
    print(f"  sign-ins per CPU-second of the server: {rate:.1f}; argon2id alone allows {bound:.1f}: {share:.2f} ({judged})")
    print(f"\n{'p99 of others, ms':<22}{'before':>9}{'during':>9}{'ratio':>7}")
    for phase in (before, during):
        phase["all"] = list(chain.from_iterable(phase.values()))
    for name in (*OTHERS, "all"):
        calm, busy = take_p99(before[name]), take_p99(during[name])
        print(f"{name:<22}{calm:>9.2f}{busy:>9.2f}{busy / calm:>7.2f}")
    ratio = take_p99(during["all"]) / take_p99(before["all"])
    print(f"all others: {ratio:.2f} times as slow ({'reached' if ratio <= SLOWER_AT_MOST else 'missed'}, wanted at most {SLOWER_AT_MOST})")


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
