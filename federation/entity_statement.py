"""Decides what an entity configuration says and when we believe one: OpenID Federation 1.0 §3, with our bounds."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from federation.entity_id import is_entity_id
from federation.errors import InvalidEntityStatement
from federation.signatures import Signer, Verifier

ENTITY_STATEMENT_TYP = "entity-statement+jwt"
MAX_STATEMENT = 256 * 1024
"""Characters of a statement that is looked at; give the Verifier the same bound."""

MAX_LIFE = timedelta(hours=24)
"""The longest life we give our own configuration."""

MAX_AUTHORITY_HINTS = 5
MAX_KEYS = 20
CLOCK_SKEW = timedelta(seconds=60)

_YEAR_10000 = 253402300800
# JWK members that a public key never has (RFC 7518 §6.2.2, §6.3.2, §6.4).
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# Only a superior may say these, about a subordinate (§3.1.3). "crit" would oblige us to understand more than is here (§3.1.1).
_REFUSED_CLAIMS = ("metadata_policy", "metadata_policy_crit", "constraints", "source_endpoint", "crit")


@dataclass(frozen=True)
class EntityConfiguration:
    """What an entity says of itself, after every check. ``keys`` are public JWKs; ``metadata`` is entity type → parameters."""

    entity_id: str
    issued_at: datetime
    expires_at: datetime
    keys: tuple[Mapping[str, Any], ...]
    metadata: Mapping[str, Mapping[str, Any]]
    authority_hints: tuple[str, ...]


def build_entity_configuration(
    signer: Signer,
    entity_id: str,
    metadata: Mapping[str, Mapping[str, Any]],
    authority_hints: Sequence[str],
    now: datetime,
    life: timedelta = MAX_LIFE,
    algorithm: str = "ES256",
) -> str:
    """Return our self-signed configuration as a compact JWS; an anchor has no ``authority_hints``.

    ValueError for a life beyond MAX_LIFE and for whatever we would refuse to read from others."""
    if not timedelta(0) < life <= MAX_LIFE:
        raise ValueError("an entity configuration lives up to 24 hours")
    issued_at = int(now.timestamp())
    claims = {
        "iss": entity_id,
        "sub": entity_id,
        "iat": issued_at,
        "exp": issued_at + int(life.total_seconds()),
        "jwks": json.loads(signer.jwks),
        "metadata": metadata,
        **({"authority_hints": list(authority_hints)} if authority_hints else {}),
    }
    try:
        _read_claims(claims, entity_id, now)
    except InvalidEntityStatement as error:
        raise ValueError(str(error)) from None
    raw = json.dumps(claims, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return signer.sign(algorithm, raw, ENTITY_STATEMENT_TYP)


def parse_entity_configuration(token: str, verifier: Verifier, entity_id: str, now: datetime) -> EntityConfiguration:
    """Return what ``entity_id`` says of itself.

    ``verifier`` holds the keys trusted for it; what that raises for a bad signature passes through. InvalidEntityStatement when the
    statement is too long, of another type, not about ``entity_id``, outside its time, not signed by a key it names itself (§3.2), or
    malformed."""
    if len(token) > MAX_STATEMENT:
        raise InvalidEntityStatement("longer than 256 KiB")
    claims = verifier.verify(token, ENTITY_STATEMENT_TYP)
    configuration = _read_claims(claims, entity_id, now)
    header = _read_header(token)
    if header.get("typ") != ENTITY_STATEMENT_TYP:
        raise InvalidEntityStatement("typ is not entity-statement+jwt")
    if header.get("kid") not in [key["kid"] for key in configuration.keys]:
        raise InvalidEntityStatement("not signed by a key that it names itself")
    return configuration


def _read_header(token: str) -> dict[str, Any]:
    # The signature over it has been verified; this only reads it again.
    part = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InvalidEntityStatement("the header is no object")
    return header


def _read_claims(claims: Mapping[str, Any], entity_id: str, now: datetime) -> EntityConfiguration:
    if not is_entity_id(entity_id) or claims.get("iss") != entity_id or claims.get("sub") != entity_id:
        raise InvalidEntityStatement("iss and sub are not the entity asked for")
    if any(name in claims for name in _REFUSED_CLAIMS):
        raise InvalidEntityStatement("holds a claim that has no place in an entity configuration, or that is critical and not known here")
    issued_at, expires_at = _read_instant(claims.get("iat")), _read_instant(claims.get("exp"))
    if issued_at > now + CLOCK_SKEW:
        raise InvalidEntityStatement("iat is in the future")
    if expires_at <= now or expires_at <= issued_at:
        raise InvalidEntityStatement("exp has passed")
    keys, metadata, hints = _read_keys(claims.get("jwks")), _read_metadata(claims.get("metadata", {})), _read_hints(claims)
    return EntityConfiguration(entity_id, issued_at, expires_at, keys, metadata, hints)


def _read_instant(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _YEAR_10000:
        raise InvalidEntityStatement("iat and exp are seconds since 1970")
    return datetime.fromtimestamp(value, UTC)


def _read_keys(jwks: object) -> tuple[Mapping[str, Any], ...]:
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS or not all(isinstance(key, dict) for key in keys):
        raise InvalidEntityStatement("jwks holds 1 to 20 keys")
    kids = [key.get("kid") for key in keys]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(kids):
        raise InvalidEntityStatement("every key has a kid of its own")
    if any(_PRIVATE_MEMBERS & key.keys() for key in keys):
        raise InvalidEntityStatement("jwks holds a private or symmetric key")
    return tuple(keys)


def _read_metadata(metadata: object) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(metadata, Mapping) or not all(isinstance(of_type, Mapping) for of_type in metadata.values()):
        raise InvalidEntityStatement("metadata maps entity types to objects")
    if any(value is None for of_type in metadata.values() for value in of_type.values()):
        raise InvalidEntityStatement("metadata holds a null")  # §3.1.1: null is no value
    return metadata


def _read_hints(claims: Mapping[str, Any]) -> tuple[str, ...]:
    if "authority_hints" not in claims:
        return ()
    hints = claims["authority_hints"]
    # An empty array is forbidden, an anchor leaves the claim out (§3.1.2).
    if not isinstance(hints, list) or not 1 <= len(hints) <= MAX_AUTHORITY_HINTS or not all(is_entity_id(hint) for hint in hints):
        raise InvalidEntityStatement("authority_hints holds 1 to 5 entity identifiers")
    return tuple(hints)
