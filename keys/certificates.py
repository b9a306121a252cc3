"""Decides what a TLS client certificate says of its holder: names, thumbprint, time; its chain is the TLS endpoint's matter."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from keys.base64url import encode_base64url
from keys.errors import UnusableCertificate

MAX_CERTIFICATE = 16 * 1024
"""Bytes of DER; a longer one is refused unread."""


@dataclass(frozen=True)
class Certificate:
    """A certificate that was read, not verified. ``thumbprint`` is base64url of the SHA-256 of the DER (``x5t#S256``, RFC 8705 §3.1)."""

    thumbprint: str
    starts: datetime
    ends: datetime
    _parsed: x509.Certificate = field(repr=False, compare=False)

    def is_current(self, now: datetime) -> bool:
        """Tell whether ``now`` is within its time."""
        return self.starts <= now <= self.ends

    def has_subject(self, name: str) -> bool:
        """Tell whether the subject is the distinguished name ``name`` (RFC 4514), attribute by attribute, however each is encoded."""
        try:
            return self._parsed.subject == x509.Name.from_rfc4514_string(name)
        except ValueError:
            return False

    def has_alternative(self, kind: str, name: str) -> bool:
        """Tell whether ``name`` is a subject alternative name of ``kind``: dns, uri, ip or email; dns in any case (RFC 8705 §2.1.2)."""
        return (name.lower() if kind == "dns" else name) in self._alternatives[kind]

    @cached_property
    def _alternatives(self) -> dict[str, frozenset[str]]:
        try:
            names = self._parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension):
            names = x509.SubjectAlternativeName([])
        return {
            "dns": frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            "uri": frozenset(names.get_values_for_type(x509.UniformResourceIdentifier)),
            "ip": frozenset(str(address) for address in names.get_values_for_type(x509.IPAddress)),
            "email": frozenset(names.get_values_for_type(x509.RFC822Name)),
        }


def read_certificate(der: bytes) -> Certificate:
    """Return the certificate of DER bytes; UnusableCertificate for anything else."""
    if len(der) > MAX_CERTIFICATE:
        raise UnusableCertificate("too long")
    try:
        parsed = x509.load_der_x509_certificate(der)
        starts, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableCertificate("not a certificate") from None
    return Certificate(encode_base64url(sha256(der).digest()).decode("ascii"), starts, ends, parsed)
