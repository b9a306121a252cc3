"""Decides what the launchers of child processes share: children that end with us, free ports, files for our eyes only."""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def follow_parent(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """Return what a child runs before it becomes its program: the kernel sends it ``number`` when its parent dies (Linux only).

    The signal follows the thread that starts the child (prctl(2), PR_SET_PDEATHSIG), so that belongs in the main thread. A change of user
    would clear the request; ``subprocess`` runs this after it.
    """
    if sys.platform != "linux":
        return None

    def follow() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return follow


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_private(path: Path, text: str) -> None:
    """Write a new file of mode 0600 in the place of whatever was there; it is on the disk when this returns."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
