"""Certificates of clients: names and thumbprint as RFC 8705 says, and nothing from what is none."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from keys import UnusableCertificate, read_certificate
from tests.support.certificates import RFC_9440

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def make(*names: x509.GeneralName, twice: bool = False) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sample, Province"), x509.NameAttribute(NameOID.COMMON_NAME, "大厅")]
    )
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_the_certificate_of_rfc_9440() -> None:
    """RFC 9440 Appendix A: the client's own certificate, of 2020."""
    der = base64.b64decode(RFC_9440)
    certificate = read_certificate(der)
    assert certificate.has_subject("CN=BC")
    assert certificate.has_alternative("email", "bdc@example.com")
    assert certificate.thumbprint == base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert certificate.is_current(datetime(2020, 6, 1, tzinfo=UTC))
    assert not certificate.is_current(NOW)


def test_the_certificate_of_rfc_8705() -> None:
    """RFC 8705 Appendix A: the certificate of figure 6 has the thumbprint of figure 5."""
    certificate = read_certificate(
        base64.b64decode(
            "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG"
            "SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID"
            "SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY="
        )
    )
    assert certificate.thumbprint == "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
    assert certificate.has_subject("CN=mtls")
    assert not certificate.has_alternative("dns", "mtls")


def test_names() -> None:
    certificate = read_certificate(
        make(
            x509.DNSName("Hall.Example"),
            x509.UniformResourceIdentifier("https://hall.example/a"),
            x509.RFC822Name("hall@example"),
            x509.IPAddress(ip_address("2001:db8::1")),
        )
    )
    assert certificate.has_subject("CN=大厅,O=Sample\\, Province")
    for wrong in ("CN=大厅", "O=Sample\\, Province,CN=大厅", "CN=大厅,O=Sample, Province", "CN=大厅2,O=Sample\\, Province", "", "XX"):
        assert not certificate.has_subject(wrong)
    assert certificate.has_alternative("dns", "hall.example")
    assert certificate.has_alternative("uri", "https://hall.example/a")
    assert certificate.has_alternative("ip", "2001:db8::1")
    assert certificate.has_alternative("email", "hall@example")
    assert not certificate.has_alternative("uri", "https://hall.example/A")
    assert not certificate.has_alternative("dns", "hall@example")
    assert not read_certificate(make()).has_alternative("dns", "hall.example")
    assert certificate.is_current(NOW)
    assert not certificate.is_current(NOW + timedelta(days=2))
    assert not certificate.is_current(NOW - timedelta(days=2))


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"x" * 17_000, make()[:-1], make() + b"\0", b"-----BEGIN CERTIFICATE-----"])
def test_bytes_that_are_no_certificate(der: bytes) -> None:
    with pytest.raises(UnusableCertificate):
        read_certificate(der)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_certificate(raw: bytes) -> None:
    with pytest.raises(UnusableCertificate):
        read_certificate(raw)
