"""Decides how ours and the peer are compared: operation by operation in turns, medians per CPU-second, each ratio beside the wanted one."""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.driver import Measurement, measure, read_memory_mib
from bench.operations import Operations
from bench.peer_provider import PeerMissing, run_peer
from bench.provider import Running, run_provider
from bench.rows import ROWS, Row

SERVER, STORE = "server", "store"
SSO = "sso_userinfo"
CPU_AT_MOST, STORE_AT_MOST_MS, P99_AT_MOST, MEMORY_AT_MOST = 0.55, 0.4, 0.5, 0.35
"""Ours divided by the peer's: all CPU of one SSO + userinfo, its p99, the memory of one worker. The store's part alone is milliseconds."""


BEGIN, END = "<!-- peer: begin -->", "<!-- peer: end -->"
"""Between these the documents have the comparison."""


@dataclass(frozen=True)
class Words:
    """The words of the tables in one language."""

    operation: str
    ours: str
    peer: str
    ratio: str
    wanted: str
    at_most: str
    per_second: str
    cpu: str
    p99: str
    memory: str
    store: str
    reached: str
    missed: str

    def judge(self, holds: bool) -> str:
        """Return whether a target is reached, in words."""
        return self.reached if holds else self.missed


ENGLISH = Words(
    *("Per CPU-second of the server process", "ours", "peer", "ratio", "wanted", "at most", "per s"),
    *("CPU of everything, ms", "p99, ms (16 in flight)", "memory of one worker, MiB", "CPU of the store alone, ms"),
    *("reached", "missed"),
)
CHINESE = Words(
    *("服务进程每 CPU 秒", "本项目", "对照", "比值", "目标", "不超过", "每秒"),
    *("全部进程的 CPU，毫秒", "p99，毫秒（16 个并发）", "一个进程的内存，MiB", "其中存储的 CPU，毫秒"),
    *("达到", "未达到"),
)
DOCUMENTS = {"docs/performance.md": ENGLISH, "docs/performance.zh-CN.md": CHINESE}


@dataclass(frozen=True)
class Side:
    """One provider with its operations and the runs of each."""

    name: str
    running: Running
    operations: Operations
    runs: dict[str, list[Measurement]] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)

    async def measure(self, row: Row, seconds: float) -> Measurement:
        """Run one operation for a while."""
        servers: dict[str, Sequence[int]] = {SERVER: [self.running.server_pid], STORE: [self.running.store_pid]}
        return await measure(getattr(self.operations, row.operation), self.running.target.origin, servers, seconds, row.concurrency)


@dataclass(frozen=True)
class Figures:
    """The medians of one operation on one side."""

    per_cpu_second: float
    per_second: float
    server_ms: float
    store_ms: float
    p50_ms: float
    p99_ms: float
    errors: int


def summarize(runs: Sequence[Measurement]) -> Figures:
    """Return the medians of some runs."""

    def take(values: Sequence[float]) -> float:
        return statistics.median(values)

    return Figures(
        per_cpu_second=take([run.per_cpu_second(SERVER) for run in runs]),
        per_second=take([run.per_second for run in runs]),
        server_ms=take([run.cpu_ms[SERVER] for run in runs]),
        store_ms=take([run.cpu_ms[STORE] for run in runs]),
        p50_ms=take([run.p50_ms for run in runs]),
        p99_ms=take([run.p99_ms for run in runs]),
        errors=sum(run.errors for run in runs),
    )


async def measure_both(ours: Side, peer: Side, rows: Sequence[Row], seconds: float, rounds: int, warm: float, peer_warm: float) -> None:
    """Measure each row ``rounds`` times on each side, in turns; who begins changes with the round. The peer is warmed up longer."""
    for row in rows:
        ours.runs[row.operation], peer.runs[row.operation] = [], []
        sides = [ours] if row.ratio is None else [ours, peer]
        for side in sides:
            await side.measure(row, peer_warm if side is peer else warm)
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.runs[row.operation].append(await side.measure(row, seconds))
        if row.operation == SSO:
            for side in sides:
                side.memory.append(read_memory_mib(side.running.server_pid))
        print(f"  {row.name}: measured", file=sys.stderr, flush=True)


def write_table(ours: Side, peer: Side, rows: Sequence[Row], words: Words) -> str:
    """Return the comparison as Markdown."""
    lines = [f"| {words.operation} | {words.ours} | {words.peer} | {words.ratio} | {words.wanted} | |", "|---|---|---|---|---|---|"]
    for row in rows:
        mine = summarize(ours.runs[row.operation])
        if row.ratio is None:
            reached = mine.per_cpu_second / row.least
            judged = words.judge(reached >= 1)
            lines.append(f"| {row.name} | {mine.per_cpu_second:.1f} | – | – | {row.least:g} {words.per_second} | {judged} |")
        else:
            theirs = summarize(peer.runs[row.operation])
            ratio = mine.per_cpu_second / theirs.per_cpu_second
            numbers = f"{mine.per_cpu_second:.0f} | {theirs.per_cpu_second:.0f} | {ratio:.2f} | {row.ratio:g}"
            lines.append(f"| {row.name} | {numbers} | {words.judge(ratio >= row.ratio)} |")
    if any(row.operation == SSO for row in rows):
        lines += ["", *_write_whole(ours, peer, words)]
    return "\n".join(lines)


def _write_whole(ours: Side, peer: Side, words: Words) -> list[str]:
    mine, theirs = summarize(ours.runs[SSO]), summarize(peer.runs[SSO])
    cpu, peer_cpu = mine.server_ms + mine.store_ms, theirs.server_ms + theirs.store_ms
    (memory,), (peer_memory,) = ours.memory, peer.memory
    rows: list[tuple[str, float, float, float]] = [
        (words.cpu, cpu, peer_cpu, CPU_AT_MOST),
        (words.p99, mine.p99_ms, theirs.p99_ms, P99_AT_MOST),
        (words.memory, memory, peer_memory, MEMORY_AT_MOST),
    ]
    lines = [f"| SSO + userinfo, ES256 | {words.ours} | {words.peer} | {words.ratio} | {words.at_most} | |", "|---|---|---|---|---|---|"]
    for name, of_ours, of_peer, most in rows:
        ratio = of_ours / of_peer
        lines.append(f"| {name} | {of_ours:.2f} | {of_peer:.2f} | {ratio:.2f} | {most} | {words.judge(ratio <= most)} |")
    held = words.judge(mine.store_ms <= STORE_AT_MOST_MS)
    lines.append(f"| {words.store} | {mine.store_ms:.2f} | {theirs.store_ms:.2f} | | {STORE_AT_MOST_MS} ms | {held} |")
    return lines


def write_into(document: Path, table: str) -> None:
    """Put a table where a document has its marks."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no marks for the table")
    document.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")


def list_results(ours: Side, peer: Side) -> dict[str, Any]:
    """Return every run and every median, for a file."""
    return {
        side.name: {
            operation: {"median": asdict(summarize(runs)), "runs": [asdict(run) for run in runs]}
            for operation, runs in side.runs.items()
            if runs
        }
        for side in (ours, peer)
    }


async def main() -> int:
    """Parse the arguments, measure, print; 1 when an operation failed, 3 when there is no peer here."""
    parser = argparse.ArgumentParser(description="Measure one worker beside npm oidc-provider with Redis.")
    parser.add_argument("operations", nargs="*", help=", ".join(row.operation for row in ROWS))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--peer-warm", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=8790)
    parser.add_argument("--json", type=Path, help="a file for every single run")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance*.md")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if not arguments.operations or row.operation in arguments.operations]
    try:
        with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
            async with run_provider(Path(folder), arguments.port) as mine, run_peer(arguments.port + 1) as theirs:
                ours = Side("ours", mine, Operations(mine.target))
                peer = Side("peer", theirs, Operations(theirs.target))
                await measure_both(ours, peer, rows, arguments.seconds, arguments.rounds, arguments.warm, arguments.peer_warm)
                print(write_table(ours, peer, rows, ENGLISH))
                if arguments.write:
                    for name, words in DOCUMENTS.items():
                        write_into(Path(name), write_table(ours, peer, rows, words))
    except PeerMissing as missing:
        print(missing, file=sys.stderr)
        return 3
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(list_results(ours, peer), indent=1) + "\n", encoding="utf-8")
    failed = False
    for side in (ours, peer):
        for operation, runs in side.runs.items():
            first = next((run.first_error for run in runs if run.errors), "")
            if first:
                failed = True
                print(f"{side.name}, {operation}: {sum(run.errors for run in runs)} errors, the first: {first}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
