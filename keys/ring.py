"""Decides which key signs, which keys verify and which are published: the signing keys of the process at one moment."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from keys.algorithms import ALGORITHMS, SIGNING_ALGORITHMS, STANDARD_ALGORITHMS
from keys.base64url import decode_base64url, encode_base64url
from keys.errors import InvalidSignature, NoSigningKey
from keys.json_object import parse_object
from keys.lifecycle import PUBLISHED, KeyState
from keys.private_part import PrivatePart
from keys.signing_key import SigningKey

MAX_TOKEN = 8 * 1024
"""Characters of a token that is looked at; a longer one is refused unread."""

MAX_HEADER = 512
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})

Verify = Callable[[str], bytes]
"""Compact JWS → payload; JoseError or ValueError when the signature does not hold."""


class Signer:
    """Signs with one key. Assembles compact JWS by hand: the header of each ``typ`` is encoded once (RFC 7515 §7.1), which halves the cost.

    ``slow``: a signature takes so long, or waits, that it is made in a thread, never on the event loop."""

    __slots__ = ("_headers", "_sign", "algorithm", "kid", "slow")

    def __init__(self, kid: str, algorithm: str, private: PrivatePart) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.slow = private.slow
        self._headers: dict[str, bytes] = {}
        self._sign = private.sign

    def sign(self, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims`` (JSON bytes)."""
        header = self._headers.get(typ) or self._encode_header(typ)
        message = header + encode_base64url(claims)
        return (message + b"." + encode_base64url(self._sign(message))).decode("ascii")

    def _encode_header(self, typ: str) -> bytes:
        text = json.dumps({"alg": self.algorithm, "kid": self.kid, "typ": typ}, separators=(",", ":"))
        # The types are a handful of constants in the code; the bound is for a caller who forgets that.
        header = encode_base64url(text.encode()) + b"."
        if len(self._headers) < 32:
            self._headers[typ] = header
        return header


class SigningRing:
    """Signs with the active key of an algorithm, verifies what our published keys signed. A change of keys makes a new ring.

    Keys that were retired at ``past_since`` or later verify what lies in the past, and nothing else; without it none does."""

    def __init__(self, keys: Sequence[SigningKey], *, past_since: datetime | None = None, max_token: int = MAX_TOKEN) -> None:
        published = sorted((key for key in keys if key.state in PUBLISHED), key=lambda key: (key.state_since, key.kid))
        self._signers: dict[str, Signer] = {}
        for key in published:
            # Sorted by age: should two be active, the newest signs; plan_rotation retires the other.
            if key.state is KeyState.ACTIVE and key.private is not None:
                self._signers[key.algorithm] = Signer(key.kid, key.algorithm, key.private)
        self._max_token = max_token
        self._registry = jws.JWSRegistry(algorithms=list(STANDARD_ALGORITHMS))
        self._registry.max_header_length = MAX_HEADER
        self._registry.max_payload_length = max_token
        self._verifiers = {key.kid: (key.algorithm, self._bind_verification(key)) for key in published}
        past = (key for key in keys if past_since is not None and _is_past(key, past_since))
        self._past = {key.kid: (key.algorithm, self._bind_verification(key)) for key in past}
        self.jwks = _encode_set(key for key in published if not SIGNING_ALGORITHMS[key.algorithm].national)
        """The JWK set (RFC 7517 §5) as JSON: public parts of the pending, active and retiring keys of standard algorithms."""
        self.sm2_jwks = _encode_set(key for key in published if SIGNING_ALGORITHMS[key.algorithm].national)
        """The same of SM2 keys, which would make some clients refuse the common set."""
        self.algorithms = tuple(name for name in STANDARD_ALGORITHMS if name in self._signers)
        """The standard algorithms that have an active key, ES256 first."""
        self.sm2_algorithms = tuple(name for name in ALGORITHMS if name in self._signers and name not in STANDARD_ALGORITHMS)
        """The others that have one."""

    def find_signer(self, algorithm: str) -> Signer:
        """Return what signs with the active key; NoSigningKey when there is none. It stays with this key whatever happens to it."""
        try:
            return self._signers[algorithm]
        except KeyError:
            raise NoSigningKey(algorithm) from None

    def sign(self, algorithm: str, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims`` (JSON bytes) by the active key; NoSigningKey when there is none.

        ES256 takes some 50 µs and may run where it is called. What ``Signer.slow`` says must run in a thread."""
        return self.find_signer(algorithm).sign(claims, typ)

    def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """Return the claims of a token of ours; InvalidSignature for everything else, whatever the text is.

        The key is found by ``kid`` and used with its own algorithm only: a header that names another is refused (RFC 8725 §3.1).
        With ``typ`` the header must say it (RFC 8725 §3.11, ``application/`` and case aside). Times and audience are the caller's."""
        return self._verify(token, typ, past=False)

    def verify_past(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """As ``verify``, also for tokens of keys that retired lately: for ID Token hints and marks in the audit, which grant nothing."""
        return self._verify(token, typ, past=True)

    def _verify(self, token: str, typ: str | None, *, past: bool) -> dict[str, Any]:
        kid, token_typ, algorithm = self._read_header(token)
        known = self._verifiers.get(kid) or (self._past.get(kid) if past else None)
        if known is None:
            raise InvalidSignature("unknown or withdrawn key")
        expected, verify = known
        if algorithm != expected:
            raise InvalidSignature("the algorithm is not the key's")
        if typ is not None and _normalise_typ(token_typ) != _normalise_typ(typ):
            raise InvalidSignature("another type of token")
        try:
            return parse_object(verify(token))
        except (JoseError, ValueError):
            raise InvalidSignature("the signature or the claims do not hold") from None

    def _bind_verification(self, key: SigningKey) -> Verify:
        read_public = SIGNING_ALGORITHMS[key.algorithm].read_public
        if read_public is not None:
            holds = read_public(key.public_jwk)
            return lambda token: _read_payload(token, holds)
        jwk, algorithms, registry = import_key(dict(key.public_jwk)), [key.algorithm], self._registry
        return lambda token: jws.deserialize_compact(token, jwk, algorithms=algorithms, registry=registry).payload

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


def _read_payload(token: str, holds: Callable[[bytes, bytes], bool]) -> bytes:
    message, _, signature = token.rpartition(".")
    if not holds(message.encode("ascii"), decode_base64url(signature)):
        raise ValueError("the signature does not hold")
    return decode_base64url(message.partition(".")[2])


def _is_past(key: SigningKey, since: datetime) -> bool:
    return key.state is KeyState.RETIRED and key.proven and key.state_since >= since


def _encode_set(keys: Iterable[SigningKey]) -> bytes:
    return json.dumps({"keys": [dict(key.public_jwk) for key in keys]}, separators=(",", ":")).encode()


def _normalise_typ(typ: str) -> str:
    return typ.lower().removeprefix("application/")
