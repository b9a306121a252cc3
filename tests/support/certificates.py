"""Certificates of clients, and the way through the proxy that tells them."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey

AROUND = datetime(2026, 3, 2, tzinfo=UTC)
"""The day of the tests' clock."""


RFC_9440 = (
    "MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNa"
    "Fw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEA"
    "EFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYD"
    "VR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBV"
    "oU4hBVZ1yhk="
)
"""The client certificate of RFC 9440 Appendix A, its DER in base64."""


@dataclass(frozen=True)
class Certified:
    """A certificate as DER and the public JWK of its key."""

    der: bytes
    jwk: dict[str, Any]

    @property
    def header(self) -> str:
        """The value of Client-Cert (RFC 9440 §2.2)."""
        return f":{base64.b64encode(self.der).decode()}:"


def make_certificate(name: str = "hall", *, days: tuple[int, int] = (-1, 1), names: Sequence[x509.GeneralName] = ()) -> Certified:
    """Return a self-signed certificate, CN=``name``,O=示例省,C=CN, from and until so many days around the tests' day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "示例省"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AROUND + timedelta(days=days[0]))
        .not_valid_after(AROUND + timedelta(days=days[1]))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    der = builder.sign(key, SHA256()).public_bytes(Encoding.DER)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Certified(der, {**ECKey.import_key(pem).as_dict(private=False), "x5c": [base64.b64encode(der).decode()]})


class ThroughProxy(httpx2.AsyncBaseTransport):
    """The way through the proxy for certificates: requests arrive on its unix socket."""

    def __init__(self, app: Any, socket: str) -> None:
        async def arrive(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "server": (socket, None)}, receive, send)

        self._inner = httpx2.ASGITransport(arrive)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        return await self._inner.handle_async_request(request)


def read_jwks(pem: bytes) -> str:
    """Return the JWK set of a client whose certificate this is, with the certificate in it (RFC 8705 §2.2.2)."""
    certificate = x509.load_pem_x509_certificate(pem)
    public = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = certificate.public_bytes(Encoding.DER)
    jwk = {**ECKey.import_key(public).as_dict(private=False), "x5c": [base64.b64encode(der).decode()]}
    return json.dumps({"keys": [jwk]})
