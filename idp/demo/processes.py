"""Decides how the demo's child processes are started: ``python -m idp.demo.processes serve | simulator | authorities``."""

import argparse
from pathlib import Path

import uvicorn

from idp.demo.authorities import Registers
from idp.demo.site import MACHINE_PREFIX, DemoSite
from idp.kernel.clock import read_system_clock, read_system_random
from idp.platform.logging import configure_logging
from idp.serving import SERVER_OPTIONS, Serving
from idp.settings import read_settings
from idp.sources.signatures import PartnerKey
from idp.sources.simulated import SimulatedAuthorities, SimulatorRefused, run_authorities
from sms import create_simulator, run_simulator


def serve() -> None:
    """Serve the product with the demo's own pages beside it, by the settings of the environment."""
    settings = read_settings()
    configure_logging(settings.log.level)
    serving = Serving(settings, lambda services: DemoSite(services).routes(), (MACHINE_PREFIX,))
    uvicorn.run(serving, host=settings.server.host, port=settings.server.port, **SERVER_OPTIONS)


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
    chosen.add_parser("serve")
    simulator = chosen.add_parser("simulator")
    simulator.add_argument("--port", type=int, required=True)
    authorities = chosen.add_parser("authorities")
    authorities.add_argument("--port", type=int, required=True)
    authorities.add_argument("--host", default="127.0.0.1")
    given = parser.parse_args()
    if given.process == "serve":
        serve()
    elif given.process == "authorities":
        try:
            simulate_authorities(given.host, given.port)
        except SimulatorRefused as refused:
            parser.exit(1, f"{refused}\n")
    else:
        simulate_sms(given.port)


if __name__ == "__main__":
    main()
