"""Decides how the demo's child processes are started: ``python -m idp.demo.processes serve | simulator | authorities``."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.routing import BaseRoute

from idp.app import Services
from idp.demo.authorities import Registers
from idp.demo.conformance import TLS_CIPHERS
from idp.demo.decisions import Decisions
from idp.demo.site import MACHINE_PREFIX, DemoSite
from idp.kernel.clock import read_system_clock, read_system_random
from idp.platform.logging import configure_logging
from idp.serving import SERVER_OPTIONS, Serving, bind_certificate_socket
from idp.settings import read_settings
from idp.sources.signatures import PartnerKey
from idp.sources.simulated import SimulatedAuthorities, SimulatorRefused, run_authorities
from sms import create_simulator, run_simulator


def serve(certificate: Path | None = None, key: Path | None = None) -> None:
    """Serve the product with the demo's own pages beside it, by the settings of the environment; with a certificate by https."""
    settings = read_settings()
    configure_logging(settings.log.level)
    serving = Serving(settings, _make_routes, (MACHINE_PREFIX,))
    tls: dict[str, Any] = {"ssl_certfile": certificate, "ssl_keyfile": key, "ssl_ciphers": TLS_CIPHERS} if certificate else {}
    config = uvicorn.Config(serving, host=settings.server.host, port=settings.server.port, **SERVER_OPTIONS, **tls)
    door = [bind_certificate_socket(settings.mtls.socket)] if settings.mtls.socket else []
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([config.bind_socket(), *door])


def _make_routes(services: Services) -> list[BaseRoute]:
    """Return the demo's own pages, and what a conformance run needs; where others than this machine come, nothing else."""
    settings = services.platform.settings
    routes = Decisions(services).routes() if settings.sms.fixed_code else []
    return routes if settings.server.trial_host else [*DemoSite(services).routes(), *routes]


def simulate_sms(port: int) -> None:
    """Serve the simulated SMS gateway with the access key of the settings."""
    sms = read_settings().sms
    secret = Path(sms.access_key_secret_file).read_text(encoding="utf-8").strip()
    simulator = create_simulator(keys={sms.access_key_id: secret}, sign_name=sms.sign_name, clock=read_system_clock)
    run_simulator(simulator, "127.0.0.1", port)


def simulate_authorities(host: str, port: int) -> None:
    """Serve the simulated authorities with the app keys of the settings. Raises SimulatorRefused in production and beyond loopback."""
    settings = read_settings()
    if settings.environment not in ("demo", "sandbox"):
        raise SimulatorRefused("The simulated authorities run in the demo and in a sandbox only: they vouch for people who do not exist.")
    keys = {}
    for authority in settings.sources.authorities.values():
        secret = Path(authority.secret_file).read_bytes().strip()
        keys[authority.app_key] = PartnerKey(authority.app_key, secret)
    registers = Registers()
    simulated = SimulatedAuthorities(keys, registers.find, read_system_clock, read_system_random, registers.find_by_phone)
    run_authorities(simulated.application, host, port)


def main() -> None:
    """Start the chosen process."""
    parser = argparse.ArgumentParser(prog="python -m idp.demo.processes")
    chosen = parser.add_subparsers(dest="process", required=True)
    serving = chosen.add_parser("serve")
    serving.add_argument("--certificate", type=Path)
    serving.add_argument("--key", type=Path)
    simulator = chosen.add_parser("simulator")
    simulator.add_argument("--port", type=int, required=True)
    authorities = chosen.add_parser("authorities")
    authorities.add_argument("--port", type=int, required=True)
    authorities.add_argument("--host", default="127.0.0.1")
    given = parser.parse_args()
    if given.process == "serve":
        serve(given.certificate, given.key)
    elif given.process == "authorities":
        try:
            simulate_authorities(given.host, given.port)
        except SimulatorRefused as refused:
            parser.exit(1, f"{refused}\n")
    else:
        simulate_sms(given.port)


if __name__ == "__main__":
    main()
