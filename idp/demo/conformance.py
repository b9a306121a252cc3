"""Decides what a conformance run changes in the demo: https with an authority of its own, open registration, a code that is known."""

import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from idp.demo.certificates import CertificateFolder
from idp.demo.conformance_clients import CLAIMS
from idp.demo.conformance_seed import seed_conformance
from idp.demo.mtls_door import find_nginx, write_door
from idp.kernel.loopback import LOOPBACK
from idp.settings import Settings

FIXED_CODE = "123456"
DOOR_PLACE = 1
"""The port for clients with certificates, after the provider's own."""

TLS_CIPHERS = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
"""Of TLS 1.2, what FAPI 2.0 (§5.2.2) allows and every suite knows; TLS 1.3 has no others."""

REGISTRATION = """mode = "open"
requires_pkce = false
accepts_endpoint_audience = true
attempts_per_network_and_hour = 60000
"""
"""Whoever registers itself may ask for consent to everything, because everybody here is synthetic."""

LONGEST_SOCKET = 100
"""Bytes of a unix socket's path; systems know little more."""

SUITE = "https://localhost.emobix.co.uk:8443"
"""Where the suite says of itself that it runs on its own developers' machines; the name leads to 127.0.0.1."""


@dataclass(frozen=True)
class SuiteAddress:
    """Where the suite is: ``origin`` as its own pages say it, ``certificates`` (PEM) that it shows, ``networks`` beyond this machine."""

    origin: str = SUITE
    certificates: Path | None = None
    networks: tuple[str, ...] = ()


class ConformanceTarget:
    """The provider of one run: called ``host``, listening on ``listen`` at ``port``. ``prepare`` makes its files in ``folder``."""

    def __init__(self, folder: Path, host: str, listen: str, port: int, suite: SuiteAddress) -> None:
        self.folder = folder
        self.issuer = f"https://{host}:{port}"
        self._host = host
        self._listen = listen
        self._port = port
        self._suite = suite
        self._socket = _find_socket(folder)
        self._written: list[Path] = []
        self.nginx = find_nginx()
        self.door = f"https://{host}:{port + DOOR_PLACE}" if self.nginx else ""

    @property
    def is_loopback(self) -> bool:
        """Whether the issuer's name leads nowhere but to this machine."""
        return self._host in LOOPBACK

    @property
    def near_address(self) -> str:
        """Where this machine itself reaches the provider."""
        number = ip_address(self._listen)
        host = "127.0.0.1" if number.is_unspecified else f"[{number}]" if number.version == 6 else str(number)
        return f"https://{host}:{self._port}"

    def prepare(self) -> None:
        """Make the certificates. Raises OSError when the suite's cannot be read."""
        self._certificates = certificates = CertificateFolder(self.folder)
        hosts = [self._host, *LOOPBACK] if ip_address(self._listen).is_unspecified else [self._host, *LOOPBACK, self._listen]
        self._server = certificates.make_server("server", hosts)
        self.authority = certificates.authority
        trusted = [certificates.authority.read_bytes()]
        if self._suite.certificates is not None:
            trusted.append(self._suite.certificates.read_bytes())
        (self.folder / "trusted.pem").write_bytes(b"\n".join(trusted))

    def write_settings(self) -> Mapping[str, str]:
        """Return what is added to the demo's settings, by section."""
        mtls = f'origin = "{self.door}"\nsocket = "{self._socket}"\ncertificate_format = "escaped_pem"\n'
        trial = "" if self.is_loopback else f'trial_host = "{self._host}"\n'
        claims = ", ".join(f'"{claim}"' for claim in CLAIMS)
        networks = ", ".join(f'"{network}"' for network in self._suite.networks)
        return {
            "server": f'host = "{self._listen}"\n{trial}',
            "keys": 'algorithms = ["ES256", "RS256", "PS256", "EdDSA"]\n',
            "sms": f'fixed_code = "{FIXED_CODE}"\n',
            "sign_in": "proof_bits = 0\n",
            "protocol": "session_management = true\nbackchannel_limits = false\n",
            **({"mtls": mtls} if self.door else {}),
            "client_registration": f"{REGISTRATION}trial_claims = [{claims}]\n",
            "fetching": f'ca_file = "{self.folder}/trusted.pem"\nallowed_networks = [{networks}]\n',
        }

    def list_serve_options(self) -> list[str]:
        """Return what the serving process is told of TLS."""
        certificate, key = self._server
        return ["--certificate", str(certificate), "--key", str(key)]

    async def seed(self, settings: Settings) -> None:
        """Register the suite's clients and write its configurations."""
        self._written = await seed_conformance(settings, self.folder, self._certificates, self._suite.origin)

    def list_door_command(self) -> list[str]:
        """Return what starts nginx before the socket; only where it is installed."""
        certificate, key = self._server
        given = write_door(
            self.folder / "nginx",
            address=self._listen,
            port=self._port + DOOR_PLACE,
            host=self._host,
            certificate=certificate,
            key=key,
            authority=self.authority,
            socket=self._socket,
            ciphers=TLS_CIPHERS,
        )
        return [str(self.nginx), *given]

    def clean_up(self) -> None:
        """Remove the socket."""
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self.folder:
            self._socket.parent.rmdir()

    def announce(self, say: Callable[[str], None]) -> None:
        """Say what whoever runs the suite needs to know."""
        say(f"code: {FIXED_CODE}")
        say(f"authority: {self.authority}")
        if self.door:
            say(f"certificates: {self.door}")
        else:
            say("nginx is not installed: no client authenticates by certificate, and the plans with mutual TLS cannot run.")
        for path in self._written:
            say(f"configuration: {path}")

    def make_context(self) -> ssl.SSLContext:
        """Return a context that trusts our own authority and nobody else."""
        return ssl.create_default_context(cafile=str(self.authority))


def _find_socket(folder: Path) -> Path:
    """Return where nginx finds the provider: in our folder, which nobody else may enter, or in another such one with a shorter name."""
    path = folder / "mtls.sock"
    return path if len(os.fsencode(path)) <= LONGEST_SOCKET else Path(tempfile.mkdtemp(prefix="yizheng-")) / path.name


def add_settings(text: str, further: Mapping[str, str]) -> str:
    """Return TOML with lines added to its sections; a section that is not there comes at the end."""
    for section, lines in further.items():
        header = f"[{section}]\n"
        text = text.replace(header, header + lines, 1) if header in text else f"{text}\n{header}{lines}"
    return text
