"""Decides how load is made: keep-alive connections, a bounded time, and the servers' CPU read from /proc."""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TICKS = os.sysconf("SC_CLK_TCK")


class UnexpectedAnswer(Exception):
    """The server answered something else than the operation expects."""


@dataclass
class Answer:
    """One HTTP answer; header names are lower-case, ``cookies`` the raw Set-Cookie values."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


class Connection:
    """One keep-alive connection to one origin, opened again when the server closed it."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._netloc = parts.netloc
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Answer:
        """Send one request and read its whole answer."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._netloc}", *(f"{name}: {value}" for name, value in headers)]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        message = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        for last in (False, True):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            try:
                writer.write(message)
                return await asyncio.wait_for(self._read(reader), 30)
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.close()
                self._streams = None
                if last:
                    raise
        raise AssertionError

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip("\r\n").split("\r\n")
        answer = Answer(int(first.split(" ", 2)[1]), {}, [], b"")
        for line in rest:
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                answer.cookies.append(value.strip())
            else:
                answer.headers[name.lower()] = value.strip()
        if answer.headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                chunks.append((await reader.readexactly(size + 2))[:-2])
            await reader.readexactly(2)
            answer.body = b"".join(chunks)
        else:
            answer.body = await reader.readexactly(int(answer.headers.get("content-length", "0")))
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


Operation = Callable[[int, Connection], Awaitable[None]]
"""One operation of the worker with this number, on its own connection."""


def read_cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU seconds that these processes and all their descendants have used."""
    total = 0
    for pid in pids:
        for member in _list_tree(pid):
            try:
                fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def read_memory_mib(pid: int) -> float:
    """Return the proportional resident memory of one process in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _list_tree(pid: int) -> list[int]:
    found = [pid]
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += _list_tree(int(child))
    except OSError:
        pass
    return found


@dataclass(frozen=True)
class Measurement:
    """What one run of an operation cost. CPU is per operation, in milliseconds, by server name."""

    done: int
    errors: int
    first_error: str
    per_second: float
    cpu_ms: dict[str, float]
    p50_ms: float
    p99_ms: float

    def per_cpu_second(self, server: str) -> float:
        """Return operations per CPU-second of one server."""
        return 1000 / self.cpu_ms[server] if self.cpu_ms[server] else 0.0


async def measure(
    operation: Operation, origin: str, servers: dict[str, Sequence[int]], seconds: float, concurrency: int, most: int = 200_000
) -> Measurement:
    """Run an operation from ``concurrency`` workers for ``seconds`` (at most ``most`` times)."""
    connections = [Connection(origin) for _ in range(concurrency)]
    times: list[float] = []
    errors = 0
    first_error = ""
    left = most
    before = {name: read_cpu_seconds(pids) for name, pids in servers.items()}
    started = time.perf_counter()
    end = started + seconds

    async def work(number: int) -> None:
        nonlocal errors, first_error, left
        while left > 0 and errors < 100:
            left -= 1
            begun = time.perf_counter()
            if begun >= end:
                return
            try:
                await operation(number, connections[number])
                times.append(time.perf_counter() - begun)
            except (UnexpectedAnswer, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                errors += 1
                first_error = first_error or repr(error)

    await asyncio.gather(*(work(number) for number in range(concurrency)))
    elapsed = time.perf_counter() - started
    used = {name: read_cpu_seconds(pids) - before[name] for name, pids in servers.items()}
    for connection in connections:
        connection.close()
    times.sort()
    done = len(times)
    return Measurement(
        done=done,
        errors=errors,
        first_error=first_error,
        per_second=done / elapsed,
        cpu_ms={name: seconds_used * 1000 / max(done, 1) for name, seconds_used in used.items()},
        p50_ms=times[done // 2] * 1000 if times else 0.0,
        p99_ms=times[min(done - 1, done * 99 // 100)] * 1000 if times else 0.0,
    )


def take_median(runs: Sequence[Measurement], server: str) -> Measurement:
    """Return the run with the median cost of one server."""
    ordered = sorted(runs, key=lambda run: run.cpu_ms[server])
    middle = statistics.median_low([run.cpu_ms[server] for run in ordered])
    return next(run for run in ordered if run.cpu_ms[server] == middle)
