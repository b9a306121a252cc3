"""A Redis of the test run's own, started from Debian's program on a free port; nothing of it is kept."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from idp.platform.child_processes import find_free_port


class RedisServer:
    """One redis-server process on 127.0.0.1."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="idp-redis-"))
        self.port = 0

    @staticmethod
    def find_program() -> str | None:
        """Return the path of redis-server, or None where it is not installed."""
        return shutil.which("redis-server", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")

    @property
    def url(self) -> str:
        """The address that redis-py takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> "RedisServer":
        for _ in range(5):
            self.port = find_free_port()
            command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._answers(self._process):
                return self
        raise RuntimeError("redis-server did not start")

    def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith(b"+PONG"):
                        return True
            except OSError:
                time.sleep(0.02)
        return False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)
