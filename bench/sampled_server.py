"""Decides where the CPU of one server process goes: samples its stack by the profiling timer and writes the tally when it ends.

SIGUSR1 begins a new tally."""

import collections
import json
import signal
import sys
from pathlib import Path
from types import FrameType

from idp.serving import serve_http
from idp.settings import read_settings

INTERVAL = 0.002
"""Seconds of CPU between two samples."""

AREAS = (
    ("uvicorn/", "HTTP server (uvicorn, httptools)"),
    ("asyncio/", "event loop, system calls (uvloop)"),
    ("asyncpg/", "database driver (asyncpg)"),
    ("/keys/", "keys: seals, signatures, macs"),
    ("cryptography/", "keys: seals, signatures, macs"),
    ("/idp/http/", "http room: shell, parsing, answers"),
    ("/idp/platform/audit", "audit rows"),
    ("/idp/platform/", "ledger, reads, database queue"),
    ("/idp/protocol/", "protocol: rules, services, endpoints"),
    ("/idp/", "other rooms"),
)
"""Part of a file's path → the area its time is counted to; the first that fits."""


class Tally:
    """Samples by area, of the innermost frame."""

    def __init__(self) -> None:
        self.areas: collections.Counter[str] = collections.Counter()

    def take(self, number: int, frame: FrameType | None) -> None:
        """Count one sample."""
        path = frame.f_code.co_filename if frame is not None else ""
        self.areas[next((area for part, area in AREAS if part in path), "standard library and the rest")] += 1


def main(target: Path) -> None:
    """Serve by the settings of the environment; write the tally to ``target`` at the end."""
    tally = Tally()
    signal.signal(signal.SIGPROF, tally.take)
    # What was sampled while the server started says nothing of its requests.
    signal.signal(signal.SIGUSR1, lambda *_: tally.areas.clear())
    # The server raises the signal that stopped it once more when it has ended; then the tally is still to be written.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        serve_http(read_settings())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        target.write_text(json.dumps(dict(tally.areas)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
