"""Decides which TLS client certificate a request has: only what the proxy on our own socket for it says (RFC 9440, RFC 8705 §6.5)."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from idp.http.responses import Header

CERTIFICATE = b"client-cert"
VERIFIED = b"x-client-cert-verify"
FORGEABLE = frozenset({CERTIFICATE, b"client-cert-chain", VERIFIED})
"""Headers that say who holds a certificate; from anybody but the proxy they say nothing."""

MAX_HEADER = 24_576
"""Bytes of one certificate as a header."""

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


@dataclass(frozen=True)
class CertificateListener:
    """The unix socket on which a proxy tells certificates. ``host`` is the name that it serves, ``paths`` what may be asked there.

    ``escaped_pem``: the header holds percent-encoded PEM (nginx's ``$ssl_client_escaped_cert``) instead of RFC 9440's byte sequence.
    """

    socket: str
    host: bytes
    paths: frozenset[str]
    escaped_pem: bool = False


@dataclass(frozen=True)
class ToldCertificate:
    """A certificate as the proxy told it: ``verified`` says that its chain leads to one of the proxy's authorities."""

    der: bytes
    verified: bool


def drop_forgeable(headers: list[Header], proxy_hops: int) -> list[Header]:
    """Return the headers without those that only a proxy of ours may write; X-Forwarded-For stays where ``proxy_hops`` are trusted."""
    return [header for header in headers if not is_forgeable(header[0], proxy_hops)]


def is_forgeable(name: bytes, proxy_hops: int) -> bool:
    """Tell whether a header of this lower-case name is believed from nobody but a proxy."""
    if name in FORGEABLE or name == b"forwarded":
        return True
    return name.startswith(b"x-forwarded-") and not (proxy_hops and name == b"x-forwarded-for")


def read_told_certificate(headers: Iterable[Header], escaped_pem: bool) -> ToldCertificate | None:
    """Return the certificate that the proxy's headers tell, None without one; ValueError for a header that holds none."""
    told = [value for name, value in headers if name == CERTIFICATE]
    if not told or told == [b""]:
        return None
    if len(told) > 1 or len(told[0]) > MAX_HEADER:
        raise ValueError("one certificate of bounded size")
    der = _read_pem(told[0]) if escaped_pem else _read_byte_sequence(told[0])
    return ToldCertificate(der, [value for name, value in headers if name == VERIFIED] == [b"SUCCESS"])


def _read_byte_sequence(value: bytes) -> bytes:
    """Return the bytes of an item of RFC 8941 §3.3.5: base64 between colons."""
    text = value.strip(b" ")
    if len(text) < 2 or text[:1] != b":" or text[-1:] != b":":
        raise ValueError("not a byte sequence")
    return _decode(text[1:-1])


def _read_pem(value: bytes) -> bytes:
    text = unquote_to_bytes(value).strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError("not escaped PEM")
    return _decode(b"".join(text[len(_BEGIN) : -len(_END)].split()))


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
