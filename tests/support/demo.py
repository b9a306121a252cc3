"""A whole demo as its own process, as somebody at a terminal starts it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class RunningDemo:
    """A started demo and what it announced."""

    process: subprocess.Popen[str]
    issuer: str = ""
    departments: list[str] = field(default_factory=list)
    identifier: str = ""
    password: str = ""
    phone: str = ""
    app: str = ""
    lines: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take in one announced line."""
        self.lines.append(line)
        name, _, value = line.partition(": ")
        if name == "department":
            self.departments.append(value)
        elif name == "account":
            self.identifier, self.password, self.phone = value.split(" ")
        elif name == "app":
            self.app = value
        elif name == "ready":
            self.issuer = value


class DemoProcess:
    """Starts ``command`` (by default this interpreter's ``idp demo``) and waits for its last line."""

    def __init__(self, port: int, *further: str, command: list[str] | None = None, patience: float = 120.0, cwd: Path = ROOT) -> None:
        self._command = [*(command or [sys.executable, "-m", "idp", "demo"]), "--port", str(port), *further]
        self._patience = patience
        self._cwd = cwd
        self._running: RunningDemo | None = None

    def __enter__(self) -> RunningDemo:
        """Return the demo once it is ready."""
        process = subprocess.Popen(self._command, cwd=self._cwd, stdout=subprocess.PIPE, text=True, start_new_session=True, env=os.environ)
        running = self._running = RunningDemo(process)
        ready = threading.Event()

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                running.read(line.rstrip("\n"))
                if running.issuer:
                    ready.set()
            ready.set()

        self._listener = threading.Thread(target=listen, daemon=True)
        self._listener.start()
        ready.wait(self._patience)
        if not running.issuer:
            self.__exit__(None, None, None)
            raise AssertionError("the demo did not start:\n" + "\n".join(running.lines))
        return running

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it as Ctrl-C does."""
        if self._running is None:
            return
        process = self._running.process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._listener.join(5)
        if process.stdout is not None:
            process.stdout.close()


def find_three_ports() -> int:
    """Return a port that is free together with the next two."""
    return find_ports(3)


def find_ports(number: int) -> int:
    """Return a port that is free together with those after it, ``number`` in all."""
    for port in range(18_000 + os.getpid() % 1_000, 32_000, 7):
        if all(_is_free(port + at) for at in range(number)):
            return port
    raise AssertionError("too few free ports")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
