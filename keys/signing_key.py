"""Decides what a signing key is: one algorithm, one thumbprint, one state, and a private part only while it may still be needed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from keys.base64url import encode_base64url
from keys.errors import MissingKey, Unsealable, UntrustedKeyRecord
from keys.key_encryption import KeyEncryptionKey
from keys.lifecycle import PUBLISHED, KeyChange, KeyCreation, KeyEvent, KeyState, follow_key_state

ALGORITHMS = ("ES256", "RS256")
"""What we sign with (RFC 7518 §3.3, §3.4); the first is the default."""

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey
RSA_BITS = 2048


class SigningKeyRecord(NamedTuple):
    """A row of the table ``signing_keys``, in the order of its columns; ``public_jwk`` is JSON text."""

    kid: str
    algorithm: str
    state: str
    wrapped: bytes | None
    public_jwk: str
    created_at: datetime
    state_since: datetime
    reason: str | None


@dataclass(frozen=True)
class SigningKey:
    """One signing key. ``private`` is None exactly when retired or revoked; ``kid`` is the thumbprint of ``public_jwk`` (RFC 7638)."""

    kid: str
    algorithm: str
    state: KeyState
    private: PrivateKey | None = field(repr=False, compare=False)
    public_jwk: Mapping[str, str] = field(repr=False)
    created_at: datetime
    state_since: datetime
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.private is not None) is not (self.state in PUBLISHED):
            raise ValueError(f"a {self.state.value} key has {'a' if self.state in PUBLISHED else 'no'} private part")
        if self.created_at.tzinfo is None or self.state_since.tzinfo is None:
            raise ValueError("instants are aware")

    def after(self, event: KeyEvent, now: datetime, reason: str | None = None) -> "SigningKey":
        """Return the key after ``event``, its private part dropped when over; IllegalKeyTransition when the table has no such row."""
        state = follow_key_state(self.state, event)
        private = self.private if state in PUBLISHED else None
        return SigningKey(self.kid, self.algorithm, state, private, self.public_jwk, self.created_at, now, reason)

    def to_record(self, kek: KeyEncryptionKey) -> SigningKeyRecord:
        """Return the row; the private part as PKCS #8 wrapped under ``kek`` for this ``kid``, or None."""
        wrapped = None
        if self.private is not None:
            wrapped = kek.wrap(self.kid, self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        jwk = json.dumps(dict(self.public_jwk), separators=(",", ":"), sort_keys=True)
        return SigningKeyRecord(self.kid, self.algorithm, self.state.value, wrapped, jwk, self.created_at, self.state_since, self.reason)

    @classmethod
    def from_record(cls, record: SigningKeyRecord, kek: KeyEncryptionKey) -> "SigningKey":
        """Return the key of a row (``SigningKeyRecord(**row)``); UntrustedKeyRecord when the row does not hold together.

        A published key must bring a private part that ``kek`` wrapped and that its public part belongs to. So nobody who only writes to the
        database can have a key of his own published, or a public part exchanged."""
        try:
            state = KeyState(record.state)
            private = None
            if state in PUBLISHED:
                private = _load_private(kek.unwrap(record.kid, record.wrapped or b""))
                jwk = make_public_jwk(private)
                agrees = json.loads(record.public_jwk) == jwk and jwk["alg"] == record.algorithm
            else:
                jwk = json.loads(record.public_jwk)
                agrees = record.wrapped is None and record.algorithm in ALGORITHMS and make_thumbprint(jwk) == record.kid
        except (ValueError, TypeError, KeyError, RecursionError, Unsealable):
            raise UntrustedKeyRecord(record.kid) from None
        if not agrees or jwk.get("kid") != record.kid:
            raise UntrustedKeyRecord(record.kid)
        return cls(record.kid, record.algorithm, state, private, jwk, record.created_at, record.state_since, record.reason)


def generate_signing_key(algorithm: str, now: datetime, state: KeyState = KeyState.PENDING) -> SigningKey:
    """Return a new key made by the library's own generator; ValueError for an algorithm not in ALGORITHMS. RS256 takes about 0.1 s."""
    private: PrivateKey
    if algorithm == "ES256":
        private = generate_private_key(SECP256R1())
    elif algorithm == "RS256":
        private = generate_rsa_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        raise ValueError(f"no signing algorithm {algorithm!r}; there are {', '.join(ALGORITHMS)}")
    jwk = make_public_jwk(private)
    return SigningKey(jwk["kid"], algorithm, state, private, jwk, now, now)


def carry_out_changes(keys: Sequence[SigningKey], changes: Iterable[KeyChange | KeyCreation], now: datetime) -> list[SigningKey]:
    """Return each key that a plan changes or makes, as it is afterwards, in the plan's order; MissingKey for an unknown ``kid``."""
    by_kid = {key.kid: key for key in keys}
    done = []
    for change in changes:
        if isinstance(change, KeyCreation):
            done.append(generate_signing_key(change.algorithm, now, change.state))
        elif change.kid in by_kid:
            done.append(by_kid[change.kid].after(change.event, now))
        else:
            raise MissingKey(change.kid)
    return done


def make_public_jwk(private: PrivateKey) -> dict[str, str]:
    """Return the public JWK (RFC 7517) with ``use``, ``alg`` and ``kid``; never a private member."""
    if isinstance(private, RSAPrivateKey):
        rsa = private.public_key().public_numbers()
        jwk = {"kty": "RSA", "n": _spell(rsa.n, (rsa.n.bit_length() + 7) // 8), "e": _spell(rsa.e, (rsa.e.bit_length() + 7) // 8)}
    else:
        point = private.public_key().public_numbers()
        jwk = {"kty": "EC", "crv": "P-256", "x": _spell(point.x, 32), "y": _spell(point.y, 32)}
    return {**jwk, "use": "sig", "alg": "RS256" if jwk["kty"] == "RSA" else "ES256", "kid": make_thumbprint(jwk)}


def make_thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of an EC or RSA key (RFC 7638 §3); KeyError when a required member is absent."""
    members = ("e", "kty", "n") if jwk["kty"] == "RSA" else ("crv", "kty", "x", "y")
    canonical = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"))
    return encode_base64url(sha256(canonical.encode()).digest()).decode("ascii")


def _spell(number: int, size: int) -> str:
    return encode_base64url(number.to_bytes(size, "big")).decode("ascii")


def _load_private(material: bytes) -> PrivateKey:
    # The library would test the primes again for 55 ms, while a process reloads its ring. Only we can have wrapped these bytes.
    private = load_der_private_key(material, password=None, unsafe_skip_rsa_key_validation=True)
    if isinstance(private, RSAPrivateKey) and private.key_size >= RSA_BITS:
        return private
    if isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
        return private
    raise ValueError("not a key we sign with")
