"""Decides how the application is put behind uvicorn: one process per worker, each opening its own platform."""

import gc
import os
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import values
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.supervisors import Multiprocess, multiprocess

from idp.app import Services, build_app, build_services, follow_changes
from idp.composition import Platform, open_platform
from idp.http.bounded_protocol import BoundedHttp
from idp.kernel.clock import read_system_clock, read_system_random
from idp.platform.logging import configure_logging
from idp.settings import Server, Settings, read_settings

SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
BACKLOG = 2_048
SERVER_OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": BoundedHttp,
    "ws": "none",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": 10,
    "lifespan": "on",
}
"""How uvicorn is run: our own log, and client addresses only from the proxies that the settings name."""


class AddressUnusable(Exception):
    """Nobody can listen on the address of the settings; the text is one sentence."""


class Serving:
    """The ASGI callable of one process: opens the platform when the server starts, closes it when it stops.

    ``make_routes`` adds the demo's own routes, which answer programs under ``machine_prefixes``; the product serves none besides its own.
    """

    def __init__(
        self,
        settings: Settings,
        make_routes: Callable[[Services], Sequence[BaseRoute]] = lambda _: (),
        machine_prefixes: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._make_routes = make_routes
        self._machine_prefixes = machine_prefixes
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            platform = await open_platform(self._settings, read_system_clock, read_system_random)
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        services = build_services(platform)
        async with follow_changes(services):
            self._app = build_app(services, self._make_routes(services), find_shared_metrics(), self._machine_prefixes)
            await send({"type": "lifespan.startup.complete"})
            await self._wait_for_end(receive)
        await self._close(platform)
        await send({"type": "lifespan.shutdown.complete"})

    @staticmethod
    async def _wait_for_end(receive: Receive) -> None:
        message: Message = await receive()
        while message["type"] != "lifespan.shutdown":
            message = await receive()

    async def _close(self, platform: Platform) -> None:
        self._app = None
        await platform.close()


def find_shared_metrics() -> Path | None:
    """Return the folder in which the workers of one server share their measurements; its variable is the metrics library's own."""
    folder = os.environ.get(SHARED_METRICS)  # noqa: TID251 - the library reads this variable itself
    return Path(folder) if folder else None


def create_app() -> Serving:
    """Return the callable of a worker process, with the settings of its environment (uvicorn's factory)."""
    settings = read_settings()
    configure_logging(settings.log.level)
    freeze_imported()
    return Serving(settings)


def freeze_imported() -> None:
    """Take what was imported, which stays, from the collector: 80,000 objects to look at in a full collection, 40 ms without an answer."""
    gc.collect()
    gc.freeze()


def serve_http(settings: Settings) -> None:
    """Serve until the process is told to stop; worker processes read the same settings from their environment. Raises AddressUnusable."""
    server = settings.server
    check_address(server.host, server.port)
    # A library of PKCS #11 that was opened before cannot be used in a forked process: each calls C_Initialize itself.
    if server.workers > 1 and not settings.keys.pkcs11_module:
        freeze_imported()
        multiprocess.get_subprocess = fork_worker  # type: ignore[assignment, attr-defined]
    if server.workers > 1 and server.metrics_token:
        with tempfile.TemporaryDirectory(prefix="idp-metrics-") as folder:
            os.environ[SHARED_METRICS] = folder  # noqa: TID251 - the library reads this variable itself
            _run(server, settings.mtls.socket)
    else:
        _run(server, settings.mtls.socket)


def fork_worker(config: uvicorn.Config, target: Callable[..., None], sockets: list[socket.socket]) -> ForkProcess:
    """Return the process of a worker, not yet started, as uvicorn's ``get_subprocess`` does.

    It is forked instead of being a new interpreter, so that what was imported is in memory once, not in every worker.
    """
    return get_context("fork").Process(target=_work, args=(target, sockets))


def _work(target: Callable[..., None], sockets: list[socket.socket]) -> None:
    for number in multiprocess.SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # the parent puts them in a queue of its own
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call] # chosen at import, when SHARED_METRICS was not set
    target(sockets=sockets)


def check_address(host: str, port: int) -> None:
    """Raise AddressUnusable unless this process may listen there; the server itself would say so in a log line of its own."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not an address"
        raise AddressUnusable(f"Nobody can listen on server.host {host}, server.port {port}: {reason}.") from None


def _run(server: Server, certificates: str) -> None:
    address: dict[str, Any] = {"host": server.host, "port": server.port, "workers": server.workers}
    if not certificates:
        uvicorn.run("idp.serving:create_app", factory=True, **address, **SERVER_OPTIONS)
        return
    config = uvicorn.Config("idp.serving:create_app", factory=True, **address, **SERVER_OPTIONS)
    sockets = [config.bind_socket(), bind_certificate_socket(certificates)]
    if server.workers > 1:
        Multiprocess(config, sockets).run()
    else:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets)


def bind_certificate_socket(path: str) -> socket.socket:
    """Return a listening unix socket for the proxy that tells certificates; raise AddressUnusable.

    Whoever may write to it may claim any certificate: owner and group may, nobody else. Its file stays when the process ends.
    """
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_socket(path)
        masked = os.umask(0o117)
        try:
            door.bind(path)
        finally:
            os.umask(masked)
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        raise AddressUnusable(f"Nobody can listen on mtls.socket {path}: {error.strerror or 'not a path'}.") from None
    return door


def _remove_socket(path: str) -> None:
    """Remove what an earlier process left behind; a file of another kind stays, and binding says so."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass
