"""Decides how somebody starts the demo: ``idp demo``, and for a conformance suite ``idp demo --conformance``."""

import re
import ssl
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import click

from idp.commands.running import fail
from idp.kernel.loopback import LOOPBACK

HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
ORIGIN = re.compile(r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?")


@click.command()
@click.option("--port", type=click.IntRange(1024, 65_500), default=8000, show_default=True, help="The departments take the next two ports.")
@click.option("--host", help="127.0.0.1 (the default), or localhost: with passkeys. With --conformance any name; localhost is the default.")
@click.option("--reset", is_flag=True, help="Forget everything the demo has stored and begin anew.")
@click.option("--with-app", is_flag=True, help="Also run the sample app, on the third port after the provider's.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Where the demo keeps its data (default: var/demo).")
@click.option("--conformance", is_flag=True, help="For a conformance suite: https, open registration, a known code, no departments.")
@click.option("--suite", help="With --conformance: the suite's own address (default: https://localhost.emobix.co.uk:8443).")
@click.option("--suite-ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM file of the certificate it shows.")
@click.option("--suite-network", multiple=True, help="A private network in which it may be asked, such as 172.17.0.0/16; repeatable.")
@click.option("--listen", help="With --conformance: the address to listen on (default: 127.0.0.1, which only this machine reaches).")
def demo(
    port: int,
    host: str | None,
    reset: bool,
    with_app: bool,
    data: Path | None,
    conformance: bool,
    suite: str | None,
    suite_ca: Path | None,
    suite_network: tuple[str, ...],
    listen: str | None,
) -> None:
    """Run a whole province on this machine: provider, worker, two departments, synthetic people."""
    from idp.demo.conformance import SUITE, SuiteAddress
    from idp.demo.supervisor import DemoFailed, run_demo

    if conformance:
        _check_suite(host, suite, suite_ca, suite_network, listen, with_app=with_app)
    elif host not in (None, *LOOPBACK) or suite or suite_ca or suite_network or listen:
        fail("--host with another name, --suite, --suite-ca, --suite-network and --listen go with --conformance.", 2)
    try:
        run_demo(
            port=port,
            host=host or ("localhost" if conformance else "127.0.0.1"),
            reset=reset,
            with_app=with_app,
            data=data,
            announce=lambda line: click.echo(line),
            suite=SuiteAddress(suite or SUITE, suite_ca, suite_network) if conformance else None,
            listen=listen or "127.0.0.1",
        )
    except DemoFailed as error:
        fail(str(error))


def _check_suite(
    host: str | None, suite: str | None, ca: Path | None, networks: Sequence[str], listen: str | None, *, with_app: bool
) -> None:
    if host is not None and not HOST.fullmatch(host):
        fail("--host is a host name in small letters, or an IPv4 address, without a port.", 2)
    if suite is not None and not ORIGIN.fullmatch(suite):
        fail("--suite is https://HOST or https://HOST:PORT, with nothing after it.", 2)
    if ca is not None and not _holds_certificate(ca):
        fail(f"--suite-ca: {ca} holds no certificate as PEM (-----BEGIN CERTIFICATE-----).", 2)
    if with_app:
        fail("--with-app does not go with --conformance: no department runs there.", 2)
    try:
        for network in networks:
            ip_network(network)
        ip_address(listen or "127.0.0.1")
    except ValueError as error:
        fail(f"--listen is a numeric address, and --suite-network a network: {error}.", 2)


def _holds_certificate(file: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # ssl.SSLError is an OSError, UnicodeDecodeError a ValueError
        return False
    return True
