"""Decides whether a JWS of somebody else holds: one strict spelling, an algorithm the caller names, a key made for it (RFC 8725)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from keys.base64url import decode_base64url, encode_base64url
from keys.errors import InvalidSignature, UnknownKey
from keys.foreign_keys import SIGNATURE_KINDS, ForeignKey, ForeignKeySet, read_key
from keys.json_object import parse_bounded_object

MAX_FOREIGN_TOKEN = 16 * 1024
"""Characters of a token that is looked at, where the caller names no other bound; a longer one is refused unread."""

MAX_FOREIGN_HEADER = 6 * 1024
SECRET_ALGORITHMS = frozenset({"HS256"})
SECRET_SIZE = 32
"""Bytes that a shared secret has at least (RFC 7518 §3.2)."""

_REFUSED = frozenset({"crit", "b64", "jku", "x5u", "zip", "enc", "p2c"})
"""Members that would let a token choose how it is read, or send us somewhere; none has a use here."""


@dataclass(frozen=True)
class ForeignToken:
    """A compact JWS that was read and not believed: nothing in ``header`` and ``claims`` counts before a verify function returned."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    text: str = field(repr=False)

    @property
    def algorithm(self) -> str:
        """What the header says it is signed with."""
        return str(self.header["alg"])

    @property
    def kid(self) -> str:
        """Which key the header names, "" for none."""
        return str(self.header.get("kid", ""))


def read_foreign_token(text: str, *, own_key: bool = False, max_size: int = MAX_FOREIGN_TOKEN) -> ForeignToken:
    """Return header and claims, unverified; InvalidSignature unless it is three strict base64url parts, two of them clean JSON objects.

    Only with ``own_key`` may the header carry the key itself (``jwk``, RFC 9449 §4.2). A JWE, a nested JWT and JWS JSON are none of this.
    """
    if len(text) > max_size:
        raise InvalidSignature("too long")
    parts = text.split(".", 3)
    if len(parts) != 3 or len(parts[0]) > MAX_FOREIGN_HEADER:
        raise InvalidSignature("not a compact JWS")
    try:
        raw_header, raw_claims, _ = (decode_base64url(part) for part in parts)
        header, claims = parse_bounded_object(raw_header), parse_bounded_object(raw_claims)
    except ValueError:
        raise InvalidSignature("not a compact JWS of clean objects") from None
    if _REFUSED & header.keys() or ("jwk" in header) is not own_key:
        raise InvalidSignature("a header member that is not accepted")
    if not all(isinstance(header.get(name, ""), str) for name in ("alg", "kid", "typ", "cty")) or not header.get("alg"):
        raise InvalidSignature("a header member of another type")
    return ForeignToken(header, claims, text)


def verify_with_keys(
    token: ForeignToken, keys: ForeignKeySet, algorithms: Collection[str], typ: Collection[str] | None = None
) -> ForeignKey:
    """Return the key of ``keys`` that made the signature; InvalidSignature, UnknownKey when none has that name and kind.

    ``algorithms`` are those that the caller accepts of this sender. With ``typ`` the header must say one of them (RFC 8725 §3.11).
    """
    _check_claim(token, SIGNATURE_KINDS.keys() & set(algorithms), typ)
    candidates = keys.find_verifiers(token.kid, token.algorithm)
    if not candidates:
        raise UnknownKey("no key of this name for this algorithm")
    for key in candidates:
        if _holds(token, key.public):
            return key
    raise InvalidSignature("the signature does not hold")


def verify_with_own_key(token: ForeignToken, algorithms: Collection[str], typ: Collection[str]) -> ForeignKey:
    """Return the key that the token carries in its header and is signed with: proof of possession, of nobody's identity (RFC 9449 §4.3)."""
    _check_claim(token, SIGNATURE_KINDS.keys() & set(algorithms), typ)
    jwk = token.header["jwk"]
    key = read_key(jwk) if isinstance(jwk, dict) else None
    if key is None or not key.verifies(token.algorithm) or not _holds(token, key.public):
        raise InvalidSignature("the signature does not hold by the key it carries")
    return key


def verify_with_secret(token: ForeignToken, secret: bytes, typ: Collection[str] | None = None) -> None:
    """Return when the token is signed by HS256 under ``secret``; InvalidSignature otherwise. ValueError for a secret under 32 bytes."""
    if len(secret) < SECRET_SIZE:
        raise ValueError("a shared secret is at least 32 bytes")
    _check_claim(token, SECRET_ALGORITHMS, typ)
    if not _holds(token, OctKey.import_key({"kty": "oct", "k": encode_base64url(secret).decode("ascii")})):
        raise InvalidSignature("the signature does not hold")


def _check_claim(token: ForeignToken, algorithms: Collection[str], typ: Collection[str] | None) -> None:
    if token.algorithm not in algorithms:
        raise InvalidSignature("an algorithm that is not accepted")
    if typ is not None and _normalise(str(token.header.get("typ", ""))) not in {_normalise(name) for name in typ}:
        raise InvalidSignature("another type of token")


def _holds(token: ForeignToken, key: RSAKey | ECKey | OKPKey | OctKey) -> bool:
    # What travelled is what was signed: header and claims were read from these same parts, and no library reads them a second time.
    message, _, signature = token.text.rpartition(".")
    # One algorithm has two names (RFC 9864 §2.2).
    algorithm = "Ed25519" if token.algorithm == "EdDSA" else token.algorithm
    return JWSRegistry.algorithms[algorithm].verify(message.encode("ascii"), decode_base64url(signature), key)


def _normalise(typ: str) -> str:
    return typ.lower().removeprefix("application/")
