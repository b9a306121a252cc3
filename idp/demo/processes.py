"""Decides how the demo's child processes are started: ``python -m idp.demo.processes serve | simulator``."""

import argparse
from pathlib import Path

import uvicorn

from idp.demo.site import MACHINE_PREFIX, DemoSite
from idp.kernel.clock import read_system_clock
from idp.platform.logging import configure_logging
from idp.serving import SERVER_OPTIONS, Serving
from idp.settings import read_settings
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


def main() -> None:
    """Start the chosen process."""
    parser = argparse.ArgumentParser(prog="python -m idp.demo.processes")
    chosen = parser.add_subparsers(dest="process", required=True)
    chosen.add_parser("serve")
    simulator = chosen.add_parser("simulator")
    simulator.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    if given.process == "serve":
        serve()
    else:
        simulate_sms(given.port)


if __name__ == "__main__":
    main()
