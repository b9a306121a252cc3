"""Decides which key signs, which keys verify and which are published: the signing keys of the process at one moment."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from keys.base64url import decode_base64url, encode_base64url
from keys.errors import InvalidSignature, NoSigningKey
from keys.json_object import parse_object
from keys.lifecycle import PUBLISHED, KeyState
from keys.signing_key import ALGORITHMS, PrivateKey, SigningKey

MAX_TOKEN = 8 * 1024
"""Characters of a token that is looked at; a longer one is refused unread."""

MAX_HEADER = 512
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})


class SigningRing:
    """Signs with the active key of an algorithm, verifies what our published keys signed. A change of keys makes a new ring."""

    def __init__(self, keys: Sequence[SigningKey], *, max_token: int = MAX_TOKEN) -> None:
        published = sorted((key for key in keys if key.state in PUBLISHED), key=lambda key: (key.state_since, key.kid))
        self._signers: dict[str, _Signer] = {}
        for key in published:
            # Sorted by age: should two be active, the newest signs; plan_rotation retires the other.
            if key.state is KeyState.ACTIVE and key.private is not None:
                self._signers[key.algorithm] = _Signer(key.kid, key.algorithm, key.private)
        self._verifiers = {key.kid: (key.algorithm, _import_public(key)) for key in published}
        self._max_token = max_token
        self._registry = jws.JWSRegistry(algorithms=list(ALGORITHMS))
        self._registry.max_header_length = MAX_HEADER
        self._registry.max_payload_length = max_token
        self.jwks = json.dumps({"keys": [dict(key.public_jwk) for key in published]}, separators=(",", ":")).encode()
        """The JWK set (RFC 7517 §5) as JSON: public parts of the pending, active and retiring keys."""
        self.algorithms = tuple(algorithm for algorithm in ALGORITHMS if algorithm in self._signers)
        """The algorithms that have an active key, ES256 first."""

    def sign(self, algorithm: str, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims`` (JSON bytes) by the active key; NoSigningKey when there is none.

        ES256 takes some 50 µs and may run where it is called. RS256 takes about 0.5 ms: call it in a thread (the library releases the GIL),
        never on the event loop."""
        try:
            signer = self._signers[algorithm]
        except KeyError:
            raise NoSigningKey(algorithm) from None
        return signer.sign(claims, typ)

    def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """Return the claims of a token of ours; InvalidSignature for everything else, whatever the text is.

        The key is found by ``kid`` and used with its own algorithm only: a header that names another is refused (RFC 8725 §3.1).
        With ``typ`` the header must say it (RFC 8725 §3.11, ``application/`` and case aside). Times and audience are the caller's."""
        kid, token_typ, algorithm = self._read_header(token)
        expected, key = self._verifiers.get(kid, (None, None))
        if key is None:
            raise InvalidSignature("unknown or withdrawn key")
        if algorithm != expected:
            raise InvalidSignature("the algorithm is not the key's")
        if typ is not None and _normalise_typ(token_typ) != _normalise_typ(typ):
            raise InvalidSignature("another type of token")
        try:
            payload = jws.deserialize_compact(token, key, algorithms=[expected], registry=self._registry).payload
            return parse_object(payload)
        except (JoseError, ValueError):
            raise InvalidSignature("the signature or the claims do not hold") from None

    def _read_header(self, token: str) -> tuple[str, str, str]:
        """Return kid, typ and alg; refuse every text that is not three strict base64url parts with a header such as ours."""
        if len(token) > self._max_token:
            raise InvalidSignature("too long")
        parts = token.split(".", 3)
        if len(parts) != 3 or len(parts[0]) > MAX_HEADER:
            raise InvalidSignature("not a compact JWS")
        try:
            raw_header, _, _ = (decode_base64url(part) for part in parts)
            header = parse_object(raw_header)
        except ValueError:
            raise InvalidSignature("not a compact JWS") from None
        # Only what we write ourselves: "crit", "b64", "jwk", "jku" and "x5c" have no say in our tokens.
        if not header.keys() <= _HEADER_NAMES or not all(isinstance(v, str) for v in header.values()):
            raise InvalidSignature("not a header of ours")
        return header.get("kid", ""), header.get("typ", ""), header.get("alg", "")


class _Signer:
    """Assembles compact JWS by hand: the header of each ``typ`` is encoded once (RFC 7515 §7.1), which halves the cost of a token."""

    __slots__ = ("_algorithm", "_headers", "_kid", "_sign")

    def __init__(self, kid: str, algorithm: str, private: PrivateKey) -> None:
        self._kid = kid
        self._algorithm = algorithm
        self._headers: dict[str, bytes] = {}
        self._sign = _bind_signature(private)

    def sign(self, claims: bytes, typ: str) -> str:
        header = self._headers.get(typ) or self._encode_header(typ)
        message = header + encode_base64url(claims)
        return (message + b"." + encode_base64url(self._sign(message))).decode("ascii")

    def _encode_header(self, typ: str) -> bytes:
        text = json.dumps({"alg": self._algorithm, "kid": self._kid, "typ": typ}, separators=(",", ":"))
        # The types are a handful of constants in the code; the bound is for a caller who forgets that.
        header = encode_base64url(text.encode()) + b"."
        if len(self._headers) < 32:
            self._headers[typ] = header
        return header


def _bind_signature(private: PrivateKey) -> Callable[[bytes], bytes]:
    if isinstance(private, RSAPrivateKey):
        rsa, padding, digest = private, PKCS1v15(), SHA256()
        return lambda message: rsa.sign(message, padding, digest)
    ec, ecdsa = private, ECDSA(SHA256())
    return lambda message: to_raw_signature(ec.sign(message, ecdsa))


def to_raw_signature(der: bytes) -> bytes:
    """Return r ‖ s, 32 bytes each (RFC 7518 §3.4), of the DER that the library gives for P-256: 30 len 02 len r 02 len s.

    Read by hand, because the library's decoder makes integers of them (0.6 µs against 2.2). Every length is below 128, so it is one byte; r
    and s are 1 to 33 bytes, the 33rd a zero for the sign."""
    r_end = 4 + der[3]
    return der[4:r_end][-32:].rjust(32, b"\0") + der[r_end + 2 :][-32:].rjust(32, b"\0")


def _import_public(key: SigningKey) -> ECKey | RSAKey:
    jwk: Any = dict(key.public_jwk)
    return ECKey.import_key(jwk) if key.algorithm == "ES256" else RSAKey.import_key(jwk)


def _normalise_typ(typ: str) -> str:
    return typ.lower().removeprefix("application/")
