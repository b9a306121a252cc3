"""Decides what a signing key is: one algorithm, one thumbprint, one state, and a private part only while it may still be needed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from keys.algorithms import SoftwareProvider, find_algorithm
from keys.base64url import encode_base64url
from keys.errors import MissingKey, MissingProvider, Unsealable, UntrustedKeyRecord
from keys.key_encryption import KeyEncryptionKey
from keys.lifecycle import PUBLISHED, KeyChange, KeyCreation, KeyEvent, KeyState, follow_key_state
from keys.private_part import SOFTWARE, KeyProvider, PrivatePart

_RETIRED = b"retired"
"""What is wrapped in place of a retired key's private part: it proves that we once published this ``kid``, and is of no other use."""

_REQUIRED_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


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
    provider: str = SOFTWARE
    label: str | None = None


class KeyProviders:
    """Where private parts are: the process itself, always, and devices where there are any. ``maker`` makes new ones."""

    __slots__ = ("_by_name", "maker")

    def __init__(self, *devices: KeyProvider, maker: str = SOFTWARE) -> None:
        """Raises MissingProvider when ``maker`` is the name of none of them."""
        self._by_name: dict[str, KeyProvider] = {provider.name: provider for provider in (SoftwareProvider(), *devices)}
        self.maker = self.find(maker)

    def find(self, name: str) -> KeyProvider:
        """Return the provider of that name; MissingProvider where the settings have none."""
        try:
            return self._by_name[name]
        except KeyError:
            raise MissingProvider(name) from None


SOFTWARE_ONLY = KeyProviders()


@dataclass(frozen=True)
class SigningKey:
    """One signing key. ``private`` is None exactly when retired or revoked; ``kid`` is the thumbprint of ``public_jwk`` (RFC 7638).

    ``proven``: the public part is known to be ours, as it always is but for keys that were retired by an early release."""

    kid: str
    algorithm: str
    state: KeyState
    private: PrivatePart | None = field(repr=False, compare=False)
    public_jwk: Mapping[str, str] = field(repr=False)
    created_at: datetime
    state_since: datetime
    reason: str | None = None
    provider: str = SOFTWARE
    label: str | None = None
    proven: bool = field(default=True, compare=False)

    def __post_init__(self) -> None:
        if (self.private is not None) is not (self.state in PUBLISHED):
            raise ValueError(f"a {self.state.value} key has {'a' if self.state in PUBLISHED else 'no'} private part")
        if self.created_at.tzinfo is None or self.state_since.tzinfo is None:
            raise ValueError("instants are aware")

    def after(self, event: KeyEvent, now: datetime, reason: str | None = None) -> "SigningKey":
        """Return the key after ``event``, its private part dropped when over; IllegalKeyTransition when the table has no such row."""
        state = follow_key_state(self.state, event)
        return replace(self, state=state, private=self.private if state in PUBLISHED else None, state_since=now, reason=reason)

    def to_record(self, kek: KeyEncryptionKey) -> SigningKeyRecord:
        """Return the row. Wrapped under ``kek`` for this ``kid``: the private part or its place, of a retired key only that it was ours."""
        stored = _RETIRED if self.state is KeyState.RETIRED and self.proven else None
        if self.private is not None:
            stored = _name_algorithm(self.algorithm) + self.private.store()
        jwk = json.dumps(dict(self.public_jwk), separators=(",", ":"), sort_keys=True)
        return SigningKeyRecord(
            self.kid,
            self.algorithm,
            self.state.value,
            None if stored is None else kek.wrap(self.kid, stored),
            jwk,
            self.created_at,
            self.state_since,
            self.reason,
            self.provider,
            self.label,
        )

    @classmethod
    def from_record(cls, record: SigningKeyRecord, kek: KeyEncryptionKey, providers: KeyProviders = SOFTWARE_ONLY) -> "SigningKey":
        """Return the key of a row (``SigningKeyRecord(**row)``); UntrustedKeyRecord when the row does not hold together.

        A published key must bring a private part that ``kek`` wrapped, or the place in a device that it wrapped, and its public part is the
        one that belongs to it there. So nobody who only writes to the database can have a key of his own published, or a public part
        exchanged. A retired key must bring what ``kek`` wrapped when it retired, or it vouches for no hint.
        Raises MissingProvider for a published key in a device that the settings do not name."""
        try:
            state = KeyState(record.state)
            private, proven = None, True
            if state in PUBLISHED:
                stored = kek.unwrap(record.kid, record.wrapped or b"")
                tag = _name_algorithm(record.algorithm)
                if not stored.startswith(tag):
                    raise UntrustedKeyRecord(record.kid)
                private = providers.find(record.provider).load(record.algorithm, stored[len(tag) :])
                jwk = make_public_jwk(private, record.algorithm)
                agrees = json.loads(record.public_jwk) == jwk and private.label == record.label
            else:
                jwk = json.loads(record.public_jwk)
                find_algorithm(record.algorithm)
                agrees = make_thumbprint(jwk) == record.kid and jwk["alg"] == record.algorithm
                if state is KeyState.REVOKED:
                    agrees = agrees and record.wrapped is None
                elif proven := record.wrapped is not None:
                    agrees = agrees and kek.unwrap(record.kid, record.wrapped or b"") == _RETIRED
        except (ValueError, TypeError, KeyError, RecursionError, Unsealable):
            raise UntrustedKeyRecord(record.kid) from None
        if not agrees or jwk.get("kid") != record.kid:
            raise UntrustedKeyRecord(record.kid)
        return cls(
            record.kid,
            record.algorithm,
            state,
            private,
            jwk,
            record.created_at,
            record.state_since,
            record.reason,
            record.provider,
            record.label,
            proven,
        )


def generate_signing_key(
    algorithm: str, now: datetime, state: KeyState = KeyState.PENDING, provider: KeyProvider = SOFTWARE_ONLY.maker
) -> SigningKey:
    """Return a new key made by ``provider``; ValueError for an algorithm that it cannot do. RSA takes about 0.1 s, a device longer."""
    private = provider.generate(algorithm)
    jwk = make_public_jwk(private, algorithm)
    return SigningKey(jwk["kid"], algorithm, state, private, jwk, now, now, None, private.provider, private.label)


def carry_out_changes(
    keys: Sequence[SigningKey],
    changes: Iterable[KeyChange | KeyCreation],
    now: datetime,
    provider: KeyProvider = SOFTWARE_ONLY.maker,
) -> list[SigningKey]:
    """Return each key that a plan changes or makes, as it is afterwards, in the plan's order; MissingKey for an unknown ``kid``."""
    by_kid = {key.kid: key for key in keys}
    done = []
    for change in changes:
        if isinstance(change, KeyCreation):
            done.append(generate_signing_key(change.algorithm, now, change.state, provider))
        elif change.kid in by_kid:
            done.append(by_kid[change.kid].after(change.event, now))
        else:
            raise MissingKey(change.kid)
    return done


def _name_algorithm(algorithm: str) -> bytes:
    """Return what precedes a wrapped private part: one RSA key could do RS256 and PS256, but no key of ours is made to do both."""
    return b"" if algorithm in ("ES256", "RS256") else algorithm.encode() + b"\0"


def make_public_jwk(private: PrivatePart, algorithm: str) -> dict[str, str]:
    """Return the public JWK (RFC 7517) with ``use``, ``alg`` and ``kid``; never a private member."""
    return {**private.public, "use": "sig", "alg": algorithm, "kid": make_thumbprint(private.public)}


def make_thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a key (RFC 7638 §3, RFC 8037 §2); KeyError when a required member is absent."""
    canonical = json.dumps({name: jwk[name] for name in _REQUIRED_MEMBERS[jwk["kty"]]}, separators=(",", ":"))
    return encode_base64url(sha256(canonical.encode()).digest()).decode("ascii")
