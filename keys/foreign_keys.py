"""Decides which keys of somebody else we use: public, strong, few, each for one kind of algorithm (RFC 7517, RFC 8725 §3.2)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from keys.base64url import decode_base64url, encode_base64url
from keys.errors import UnusableKeySet
from keys.json_object import parse_bounded_object

MAX_KEY_SET = 64 * 1024
"""Bytes of a key set; a longer one is refused unread."""

MAX_KEYS = 20
RSA_SIZES = range(2048, 8193)
"""Bits of an RSA modulus that we compute with."""

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# What a key's own members must be, by kind: name → bytes, 0 where the number has no fixed size (RFC 7518 §6.2.1, §6.3.1, RFC 8037 §2).
_MEMBERS: Mapping[str, Mapping[str, int]] = {
    "RSA": {"n": 0, "e": 0},
    "P-256": {"x": 32, "y": 32},
    "P-384": {"x": 48, "y": 48},
    "Ed25519": {"x": 32},
}
_TYPES = {"RSA": "RSA", "P-256": "EC", "P-384": "EC", "Ed25519": "OKP"}

SIGNATURE_KINDS: Mapping[str, str] = {
    "ES256": "P-256",
    "ES384": "P-384",
    "PS256": "RSA",
    "RS256": "RSA",
    "Ed25519": "Ed25519",
    "EdDSA": "Ed25519",
}
"""Algorithm → the kind of key it is verified with; these are the algorithms in which others may sign to us."""

ENCRYPTION_KINDS: Mapping[str, tuple[str, ...]] = {
    "RSA-OAEP-256": ("RSA",),
    "ECDH-ES": ("P-256", "P-384"),
    "ECDH-ES+A256KW": ("P-256", "P-384"),
}
"""Algorithm → the kinds of key that we encrypt to with it."""

VERIFYING = frozenset({"verify"})
ENCRYPTING = frozenset({"encrypt", "wrapKey", "deriveKey", "deriveBits"})
"""What a key's ``key_ops`` has to name one of before we use it so (RFC 7517 §4.3)."""


@dataclass(frozen=True)
class ForeignKey:
    """One public key. ``kind`` is RSA or the curve; ``kid``, ``use`` and ``algorithm`` are "" where its owner says nothing.

    ``operations`` are those of ``key_ops``, None where its owner lists none: one that is not listed is not for us (RFC 7517 §4.3).
    ``thumbprint`` is that of RFC 7638; ``certificates`` are the SHA-256 thumbprints of certificates its owner put to it (RFC 8705 §2.2).
    """

    kind: str
    kid: str
    use: str
    algorithm: str
    thumbprint: str
    certificates: frozenset[str]
    operations: frozenset[str] | None
    public: RSAKey | ECKey | OKPKey = field(repr=False, compare=False)

    def verifies(self, algorithm: str) -> bool:
        """Tell whether a signature of ``algorithm`` may be checked with this key: by its kind, and by what its owner says it is for."""
        named = {self.algorithm, algorithm} <= {"EdDSA", "Ed25519"} or self.algorithm in ("", algorithm)
        return SIGNATURE_KINDS.get(algorithm) == self.kind and self.use in ("", "sig") and named and self._serves(VERIFYING)

    def encrypts(self, algorithm: str) -> bool:
        """Tell whether something may be encrypted to this key with ``algorithm``."""
        named = self.use in ("", "enc") and self.algorithm in ("", algorithm)
        return self.kind in ENCRYPTION_KINDS.get(algorithm, ()) and named and self._serves(ENCRYPTING)

    def _serves(self, purpose: frozenset[str]) -> bool:
        return self.operations is None or not self.operations.isdisjoint(purpose)


@dataclass(frozen=True)
class ForeignKeySet:
    """The usable keys of a JWK set in its order; ``ignored`` is how many others it had."""

    keys: tuple[ForeignKey, ...]
    ignored: int = 0

    def find_verifiers(self, kid: str, algorithm: str) -> tuple[ForeignKey, ...]:
        """Return the keys that may check a signature: those named ``kid``; without a name, the only one that fits (Core §10.1)."""
        fitting = tuple(key for key in self.keys if key.verifies(algorithm) and kid in ("", key.kid))
        return fitting if kid or len(fitting) == 1 else ()

    def find_recipient(self, algorithm: str) -> ForeignKey | None:
        """Return the key to encrypt to: the first for encryption alone, else the first that lists it, else the first that fits."""
        fitting = [key for key in self.keys if key.encrypts(algorithm)]
        return min(fitting, key=lambda key: (key.use != "enc", key.operations is None), default=None)


def read_key_set(raw: bytes) -> ForeignKeySet:
    """Return the usable keys of a JWK set (RFC 7517 §5); UnusableKeySet for what is no set, or shows a secret.

    A key of a kind, size or spelling that we do not use is ignored: its owner may have it for others.
    """
    if len(raw) > MAX_KEY_SET:
        raise UnusableKeySet("too long")
    try:
        listed = parse_bounded_object(raw).get("keys")
    except ValueError:
        raise UnusableKeySet("not JSON, or a name is given twice") from None
    if not isinstance(listed, list) or not all(isinstance(jwk, dict) for jwk in listed):
        raise UnusableKeySet("no list of keys")
    if len(listed) > MAX_KEYS:
        raise UnusableKeySet("too many keys")
    if any(PRIVATE_MEMBERS & jwk.keys() or jwk.get("kty") == "oct" for jwk in listed):
        raise UnusableKeySet("a key shows its private part")
    found = [key for key in map(read_key, listed) if key is not None]
    return ForeignKeySet(tuple(found), len(listed) - len(found))


def read_key(jwk: Mapping[str, Any]) -> ForeignKey | None:
    """Return the key of one JWK, None when it is not a public key of a kind that we use, spelled as the RFC demands."""
    kind = jwk.get("crv", "RSA") if jwk.get("kty") != "RSA" else "RSA"
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None or jwk.get("kty") != _TYPES[kind] or PRIVATE_MEMBERS & jwk.keys():
        return None
    named = {name: jwk.get(name, "") for name in ("kid", "use", "alg")}
    if not all(isinstance(value, str) and len(value) <= 256 for value in named.values()):
        return None
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and all(isinstance(name, str) for name in operations)):
        return None
    own = {"kty": _TYPES[kind], **({} if kind == "RSA" else {"crv": kind}), **{name: jwk.get(name) for name in members}}
    if not all(_is_number(own[name], size) for name, size in members.items()):
        return None
    public = _import_key(own)
    if public is None:
        return None
    return ForeignKey(
        kind,
        named["kid"],
        named["use"],
        named["alg"],
        make_foreign_thumbprint(own),
        _list_certificates(jwk),
        frozenset(operations or ()) or None,  # an empty list is what browsers write of the public half of an ECDH key
        public,
    )


def make_foreign_thumbprint(own: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a key's required members, which are all that ``own`` has (RFC 7638 §3)."""
    canonical = json.dumps(dict(own), sort_keys=True, separators=(",", ":"))
    return encode_base64url(sha256(canonical.encode()).digest()).decode("ascii")


def _is_number(text: Any, size: int) -> bool:
    # One spelling each, so that a key has one thumbprint: no padding, no zero bytes in front of an RSA number.
    if not isinstance(text, str) or not 0 < len(text) <= 1400:
        return False
    try:
        raw = decode_base64url(text)
    except ValueError:
        return False
    return len(raw) == size if size else raw[0] != 0


def _import_key(own: Mapping[str, Any]) -> RSAKey | ECKey | OKPKey | None:
    key: RSAKey | ECKey | OKPKey
    jwk: Any = dict(own)
    try:
        if own["kty"] == "EC":
            key = ECKey.import_key(jwk)
        elif own["kty"] == "OKP":
            key = OKPKey.import_key(jwk)
        else:
            n, e = (int.from_bytes(decode_base64url(own[name]), "big") for name in ("n", "e"))
            # A public exponent of thousands of bits would cost us, not its owner.
            if n.bit_length() not in RSA_SIZES or n % 2 == 0 or e % 2 == 0 or not 3 <= e < 2**32:
                return None
            key = RSAKey.import_key(jwk)
        _ = key.public_key  # a point that is not on its curve shows here
    except (JoseError, ValueError, UnsupportedAlgorithm):
        return None
    return key


def _list_certificates(jwk: Mapping[str, Any]) -> frozenset[str]:
    """Return the thumbprints of ``x5t#S256`` and of the first certificate of ``x5c`` (RFC 7517 §4.7, §4.9)."""
    found = set()
    if isinstance(jwk.get("x5t#S256"), str):
        found.add(jwk["x5t#S256"])
    chain = jwk.get("x5c")
    if isinstance(chain, Sequence) and not isinstance(chain, str) and chain and isinstance(chain[0], str):
        try:
            # x5c is ordinary base64, unlike everything else in a JWK.
            der = decode_base64url(chain[0].rstrip("=").replace("+", "-").replace("/", "_"))
        except ValueError:
            return frozenset(found)
        found.add(encode_base64url(sha256(der).digest()).decode("ascii"))
    return frozenset(found)
