"""Decides what a conformance run changes in the demo: https with an authority of its own, open registration, a code that is known."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from idp.demo.certificates import CertificateFolder

FIXED_CODE = "123456"
LOOPBACK = ("localhost", "127.0.0.1")
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

    @property
    def is_loopback(self) -> bool:
        """Whether the issuer's name leads nowhere but to this machine."""
        return self._host in LOOPBACK

    @property
    def near_address(self) -> str:
        """Where this machine itself reaches the provider."""
        return f"https://{'127.0.0.1' if ip_address(self._listen).is_unspecified else self._listen}:{self._port}"

    def prepare(self) -> None:
        """Make the certificates. Raises OSError when the suite's cannot be read."""
        certificates = CertificateFolder(self.folder)
        hosts = [self._host, *LOOPBACK] if ip_address(self._listen).is_unspecified else [self._host, *LOOPBACK, self._listen]
        self._server = certificates.make_server("server", hosts)
        self.authority = certificates.authority
        trusted = [certificates.authority.read_bytes()]
        if self._suite.certificates is not None:
            trusted.append(self._suite.certificates.read_bytes())
        (self.folder / "trusted.pem").write_bytes(b"\n".join(trusted))

    def write_settings(self) -> Mapping[str, str]:
        """Return what is added to the demo's settings, by section."""
        trial = "" if self.is_loopback else f'trial_host = "{self._host}"\n'
        networks = ", ".join(f'"{network}"' for network in self._suite.networks)
        return {
            "server": f'host = "{self._listen}"\n{trial}',
            "keys": 'algorithms = ["ES256", "RS256", "PS256", "EdDSA"]\n',
            "sms": f'fixed_code = "{FIXED_CODE}"\n',
            "sign_in": "proof_bits = 0\n",
            "protocol": "session_management = true\n",
            "client_registration": 'mode = "open"\nrequires_pkce = false\naccepts_endpoint_audience = true\nattempts_per_network_and_hour = 60000\n',
            "fetching": f'ca_file = "{self.folder}/trusted.pem"\nallowed_networks = [{networks}]\n',
        }

    def list_serve_options(self) -> list[str]:
        """Return what the serving process is told of TLS."""
        certificate, key = self._server
        return ["--certificate", str(certificate), "--key", str(key)]

    def announce(self, say: Callable[[str], None]) -> None:
        """Say what whoever runs the suite needs to know."""
        say(f"code: {FIXED_CODE}")
        say(f"authority: {self.authority}")

    def make_context(self) -> ssl.SSLContext:
        """Return a context that trusts our own authority and nobody else."""
        return ssl.create_default_context(cafile=str(self.authority))


def add_settings(text: str, further: Mapping[str, str]) -> str:
    """Return TOML with lines added to its sections; a section that is not there comes at the end."""
    for section, lines in further.items():
        header = f"[{section}]\n"
        text = text.replace(header, header + lines, 1) if header in text else f"{text}\n{header}{lines}"
    return text
