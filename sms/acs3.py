"""Decides how a request to Aliyun is signed: ACS3-HMAC-SHA256, as the vendor publishes it."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"
EMPTY_BODY_HASH = hashlib.sha256(b"").hexdigest()


def encode_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Return the canonical query: sorted, percent-encoded by RFC 3986 (``~`` kept)."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(parameters))


def sign_request(
    secret: str, method: str, path: str, query: str, headers: Mapping[str, str], signed_names: Iterable[str], body_hash: str
) -> str:
    """Return the signature in hex. ``headers`` have lower-case names, ``query`` is canonical, ``signed_names`` are sorted already."""
    names = list(signed_names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    canonical = "\n".join((method, path, query, lines, ";".join(names), body_hash))
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def write_authorization(access_key_id: str, signed_names: Iterable[str], signature: str) -> str:
    """Return the value of the Authorization header."""
    return f"{ALGORITHM} Credential={access_key_id},SignedHeaders={';'.join(signed_names)},Signature={signature}"


def read_authorization(value: str) -> tuple[str, list[str], str]:
    """Return access key id, signed header names and signature; ValueError when the header is none of this algorithm."""
    scheme, _, rest = value.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if scheme != ALGORITHM or set(fields) != {"Credential", "SignedHeaders", "Signature"}:
        raise ValueError("not an ACS3-HMAC-SHA256 authorization")
    return fields["Credential"], fields["SignedHeaders"].split(";"), fields["Signature"]
