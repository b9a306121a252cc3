"""Decides what the bench prints: requests per CPU-second of every operation, beside its budget (docs/performance.md)."""

import argparse
import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.driver import Measurement, measure, read_memory_mib, take_median
from bench.operations import Operations
from bench.provider import Running, run_provider
from bench.rows import ROWS

SERVER = "python"
POSTGRES = "postgres"
PLACES = (1, 0, 2, 1, 2, 2, 3, 3, 0)
BUDGETS = ROWS


async def run_all(running: Running, names: Sequence[str], seconds: float, rounds: int, warm: float) -> dict[str, list[Measurement]]:
    """Measure every chosen operation ``rounds`` times, interleaved, after a warm-up of each."""
    operations = Operations(running.target)
    servers: dict[str, Sequence[int]] = {SERVER: [running.server_pid], POSTGRES: [running.store_pid]}
    chosen = [row for row in ROWS if not names or row.operation in names]
    for budget in chosen:
        await measure(getattr(operations, budget.operation), running.target.origin, servers, warm, budget.concurrency)
    runs: dict[str, list[Measurement]] = {budget.operation: [] for budget in chosen}
    for _ in range(rounds):
        for budget in chosen:
            run = await measure(getattr(operations, budget.operation), running.target.origin, servers, seconds, budget.concurrency)
            runs[budget.operation].append(run)
    return runs


def print_table(runs: dict[str, list[Measurement]]) -> bool:
    """Print one row per operation; tell whether there was no error."""
    titles = ("per CPU-s", "budget", "ratio", "per s", "p50 ms", "p99 ms", "python ms", "postgres ms", "errors")
    print(f"{'operation':<28} " + " ".join(f"{title:>11}" for title in titles))
    clean = True
    for budget in BUDGETS:
        if budget.operation not in runs:
            continue
        median = take_median(runs[budget.operation], SERVER)
        errors = sum(run.errors for run in runs[budget.operation])
        reached = median.per_cpu_second(SERVER)
        numbers = [reached, budget.least, reached / budget.least, median.per_second, median.p50_ms, median.p99_ms]
        numbers += [median.cpu_ms[SERVER], median.cpu_ms[POSTGRES], errors]
        print(f"{budget.name:<28} " + " ".join(f"{number:>11.{places}f}" for number, places in zip(numbers, PLACES, strict=True)))
        if errors:
            clean = False
            print("  first error:", next(run.first_error for run in runs[budget.operation] if run.first_error))
    return clean


async def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description="Measure one worker on the embedded defaults.")
    parser.add_argument("operations", nargs="*", help=", ".join(budget.operation for budget in BUDGETS))
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=float, default=3.0)
    parser.add_argument("--port", type=int, default=8790)
    parser.add_argument("--profile", action="store_true", help="also show where the CPU of SSO + userinfo goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        async with run_provider(Path(folder), arguments.port) as running:
            runs = await run_all(running, arguments.operations, arguments.seconds, arguments.rounds, arguments.warm)
            clean = print_table(runs)
            print(f"memory of the worker: {read_memory_mib(running.server_pid):.0f} MiB")
        if arguments.profile:
            await print_profile(Path(folder), arguments)
    return 0 if clean else 1


async def print_profile(folder: Path, arguments: argparse.Namespace) -> None:
    """Print where the server's CPU goes during SSO + userinfo, in a run of its own (sampling costs a little)."""
    tally = folder / "profile.json"
    async with run_provider(folder / "profiled", arguments.port, profile=tally) as running:
        operations = Operations(running.target)
        await measure(operations.sso_userinfo, running.target.origin, {}, arguments.warm, 16)
        os.kill(running.server_pid, signal.SIGUSR1)
        await measure(operations.sso_userinfo, running.target.origin, {}, 3 * arguments.seconds, 16)
    areas: dict[str, int] = json.loads(tally.read_text())
    print("\nwhere the server's CPU goes during SSO + userinfo:")
    for area, samples in sorted(areas.items(), key=lambda item: -item[1]):
        print(f"  {100 * samples / sum(areas.values()):>5.1f} %  {area}")


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
