"""The simulated authorities in the test's process: settings that lead to them, faults to choose, people to add, questions to read."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import uvicorn

from idp.demo.authorities import Registers
from idp.kernel.checks import CheckKind
from idp.kernel.clock import read_system_random
from idp.sources.contract import CheckRequest
from idp.sources.signatures import PartnerKey
from idp.sources.simulated import SimulatedAuthorities
from idp.sources.simulated_register import AUTHORITIES, Face, FaultKind, RegisteredPerson

APP_KEY = "tests"
SECRET = b"the secret of the tests' authorities"
ADDRESS = "http://127.0.0.1:8010"


@dataclass
class Authorities:
    """Every authority of a test, in process. ``calls`` is what they were asked."""

    simulated: SimulatedAuthorities
    registers: Registers
    address: str = ADDRESS

    @property
    def calls(self) -> list[CheckRequest]:
        """Every question that was asked, oldest first, repetitions included."""
        return list(self.simulated.calls)

    @property
    def transport(self) -> httpx2.ASGITransport:
        """The way to them without a network."""
        return httpx2.ASGITransport(self.simulated.application)

    def count_calls(self, kind: CheckKind | str) -> int:
        """Return how often a kind was asked."""
        return sum(call.kind == kind for call in self.simulated.calls)

    def set_fault(self, kind: CheckKind | str, fault: FaultKind | str = "", *, times: int | None = None, seconds: float = 2.0) -> None:
        """Choose how the next ``times`` questions of a kind (``*``: every kind) fail; an empty fault ends it, no ``times`` lasts."""
        self.simulated.set_fault(kind, fault, times=times, seconds=seconds)

    def clear_faults(self) -> None:
        """Let every authority answer well again."""
        self.simulated.set_fault("*")

    def add_person(self, person: RegisteredPerson) -> RegisteredPerson:
        """Let the registers know one more person, or another entry for a known one."""
        self.registers.add(person)
        return person

    def make_ticket(self, face: Face | str = Face.OWN) -> str:
        """Return a ticket of the real-person check, as if somebody had stood before the camera."""
        return self.simulated.face.make_ticket(Face(face))

    def write_settings(self, folder: Path) -> dict[str, str]:
        """Return the environment that names these authorities to an installation; their secret goes into ``folder``."""
        return write_settings(folder, self.address)


def simulate_authorities(clock: Callable[[], datetime], address: str = ADDRESS) -> Authorities:
    """Return authorities that know the demo's population, by a test's clock."""
    registers = Registers()
    keys = {APP_KEY: PartnerKey(APP_KEY, SECRET)}
    return Authorities(SimulatedAuthorities(keys, registers.find, clock, read_system_random, registers.find_by_phone), registers, address)


def write_settings(folder: Path, address: str = ADDRESS) -> dict[str, str]:
    """Return the environment that names every simulated authority at ``address``; their secret goes into ``folder``."""
    secret = folder / "authorities-secret"
    secret.write_bytes(SECRET)
    authorities = {
        name: {
            "kinds": sorted(kinds),
            "endpoint": f"{address}/{name}",
            "app_key": APP_KEY,
            "secret_file": str(secret),
            **({"page": f"{address}/face"} if CheckKind.REAL_PERSON in kinds else {}),
        }
        for name, kinds in AUTHORITIES.items()
    }
    return {"IDP_SOURCES__AUTHORITIES": msgspec.json.encode(authorities).decode()}


@contextmanager
def serve_application(application: Callable[..., Any]) -> Iterator[str]:
    """Serve an ASGI application over real HTTP in a thread of this process, on a free port; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < end, "the simulated authorities did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listener.close()


@contextmanager
def serve_authorities(clock: Callable[[], datetime]) -> Iterator[Authorities]:
    """Serve simulated authorities over real HTTP on loopback; their ``address`` is where they listen."""
    authorities = simulate_authorities(clock)
    with serve_application(authorities.simulated.application) as address:
        authorities.address = address
        yield authorities
