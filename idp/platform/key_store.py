"""Decides how keys rest in the database: wrapped, one row a key, told to every process when they change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idp.platform.database import Transaction
from keys import (
    KeyEncryptionKey,
    KeyState,
    SigningKey,
    SigningKeyRecord,
    SigningRing,
)

CHANNEL = "keys"
"""The NOTIFY channel on which every change of a signing key is told; the payload is empty."""

_LOCK = 0x69647031  # whoever changes keys does so alone

LOCK_KEYS = "SELECT pg_advisory_xact_lock($1)"
NOTIFY_CHANGE = "SELECT pg_notify($1, '')"

LOAD_SIGNING_KEYS = """
    SELECT kid, algorithm, state, wrapped, public_jwk, created_at, state_since, reason FROM signing_keys ORDER BY created_at, kid
"""
LIST_SIGNING_KEYS = "SELECT kid, algorithm, state, created_at, state_since, reason FROM signing_keys ORDER BY algorithm, created_at, kid"
ADD_SIGNING_KEY = """
    INSERT INTO signing_keys (kid, algorithm, state, wrapped, public_jwk, created_at, state_since, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
CHANGE_SIGNING_KEY = """
    UPDATE signing_keys SET state = $3, wrapped = $4, state_since = $5, reason = $6 WHERE kid = $1 AND state = $2 RETURNING kid
"""


class KeyConflict(Exception):
    """The key is no longer in the state it was read in."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A signing key as an operator sees it: no key material."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: datetime
    state_since: datetime
    reason: str | None


async def lock_keys(tx: Transaction) -> None:
    """Wait until nobody else changes keys; the lock ends with the transaction."""
    await tx.execute(LOCK_KEYS, _LOCK)


async def load_signing_keys(tx: Transaction, kek: KeyEncryptionKey) -> list[SigningKey]:
    """Return every signing key, oldest first. Raises UntrustedKeyRecord for a row that does not hold together."""
    return [SigningKey.from_record(SigningKeyRecord(**row), kek) for row in await tx.fetch(LOAD_SIGNING_KEYS)]


async def load_signing_ring(tx: Transaction, kek: KeyEncryptionKey) -> SigningRing:
    """Return the ring of the present moment."""
    return SigningRing(await load_signing_keys(tx, kek))


async def list_signing_keys(tx: Transaction) -> Sequence[ListedKey]:
    """Return every signing key without its material."""
    return [ListedKey(**{**row, "state": KeyState(row["state"])}) for row in await tx.fetch(LIST_SIGNING_KEYS)]


async def add_signing_key(tx: Transaction, key: SigningKey, kek: KeyEncryptionKey) -> None:
    """Write a new key and tell every process."""
    await tx.execute(ADD_SIGNING_KEY, *key.to_record(kek))
    await tx.execute(NOTIFY_CHANGE, CHANNEL)


async def change_signing_key(tx: Transaction, before: SigningKey, after: SigningKey, kek: KeyEncryptionKey) -> None:
    """Write the state of ``after``, erasing the private part when it is over; tell every process.

    Raises KeyConflict when the row is no longer in the state of ``before``.
    """
    record = after.to_record(kek)
    changed = await tx.fetchval(
        CHANGE_SIGNING_KEY, before.kid, before.state.value, record.state, record.wrapped, record.state_since, record.reason
    )
    if changed is None:
        raise KeyConflict(before.kid)
    await tx.execute(NOTIFY_CHANGE, CHANNEL)
