"""Decides whether the claims of a DPoP proof are for this request, now, and for once (RFC 9449 §4.3)."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.origins import USUAL_PORTS

PROOF_TYPE = "dpop+jwt"
DPOP_ALGORITHMS = ("ES256", "PS256", "Ed25519", "EdDSA", "ES384")
MAX_PROOF = 4_096
"""Characters of a proof."""

PAST = 60
"""Seconds that a proof is good after its ``iat`` …"""

AHEAD = 10
"""… and that its clock may be ahead of ours."""

REMEMBERED = PAST + AHEAD + 10
"""Seconds after which a proof cannot come again."""

MAX_JTI = 256
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Proof:
    """The claims of a proof that fits its request; ``nonce`` None without one."""

    jti: str
    made_at: int | float
    nonce: str | None


def read_proof(
    claims: Mapping[str, object], method: str, addresses: Collection[str], now: float, access_token: str | None = None
) -> Proof | str:
    """Return the proof, or why it is not for this request.

    ``addresses`` are the names of the endpoint that was asked. ``access_token`` is the one that the request shows at a protected resource;
    its hash must then be in the proof.
    """
    jti, made_at, nonce = claims.get("jti"), claims.get("iat"), claims.get("nonce")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not jti.isprintable():
        return "jti is missing"
    if claims.get("htm") != method:
        return "htm is not the method"
    if not _is_one_of(claims.get("htu"), addresses):
        return "htu is not this address"
    if isinstance(made_at, bool) or not isinstance(made_at, int | float):
        return "iat is missing"
    if not now - PAST <= made_at <= now + AHEAD:
        return "iat is not now"
    if nonce is not None and not isinstance(nonce, str):
        return "nonce is no text"
    if access_token is not None and claims.get("ath") != hash_access_token(access_token):
        return "ath is not the access token's"
    return Proof(jti, made_at, nonce)


def hash_access_token(access_token: str) -> str:
    """Return ``ath`` of an access token (RFC 9449 §4.2)."""
    return encode_base64url(hashlib.sha256(access_token.encode("utf-8", "replace")).digest())


def _is_one_of(told: object, addresses: Collection[str]) -> bool:
    # Nearly every client writes the address as we publish it, so that nothing is taken apart.
    if isinstance(told, str) and told in addresses:
        return True
    normal = normalise_address(told)
    return normal is not None and any(normal == normalise_address(address) for address in addresses)


def normalise_address(address: object) -> str | None:
    """Return an address without query and fragment, normalised by syntax and scheme (RFC 3986 §6.2.2, §6.2.3), None for what is none."""
    if not isinstance(address, str) or len(address) > 2_000 or not address.isascii() or not address.isprintable() or " " in address:
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc:
        return None
    usual = USUAL_PORTS.get(parts.scheme)
    shown = f"[{host}]" if ":" in host else _decode_unreserved(host).lower()
    place = shown if port in (None, usual) else f"{shown}:{port}"
    return f"{parts.scheme}://{place}{_leave_out_dots(_decode_unreserved(parts.path))}"


def _decode_unreserved(text: str) -> str:
    """Return the text with letters, digits and ``-._~`` unescaped and the other escapes in capitals (RFC 3986 §6.2.2.1, §6.2.2.2)."""
    return _ESCAPED.sub(_decode_escape, text)


def _decode_escape(found: re.Match[str]) -> str:
    letter = chr(int(found[1], 16))
    return letter if letter.isascii() and (letter.isalnum() or letter in "-._~") else found[0].upper()


def _leave_out_dots(path: str) -> str:
    """Return an absolute or empty path without the segments ``.`` and ``..`` (RFC 3986 §5.2.4), ``/`` for an empty one."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    ends_open = segments[-1:] in (["."], [".."])
    return "/" + "/".join([*kept, ""] if ends_open else kept)
