"""Decides what the launchers of child processes share: children that end with us, free ports, files for our eyes only."""

import ctypes
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from idp.kernel.clock import read_system_random

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
PORTS = range(19_000, 32_000)
TRIES = 100


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
    """Return a port of 127.0.0.1 that nobody uses. Raises OSError when none was found.

    It lies below those that the system gives to outgoing connections: one of them would often take it before a child listens there.
    """
    for _ in range(TRIES):
        port = PORTS[int.from_bytes(read_system_random(4)) % len(PORTS)]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def write_private(path: Path, text: str) -> None:
    """Write a new file of mode 0600 in the place of whatever was there; it is on the disk when this returns."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
