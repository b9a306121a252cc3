"""Decides how keys rest in the database: wrapped, one row a key, told to every process when they change."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idp.platform.database import Transaction
from keys import KeyEncryptionKey, KeyProviders, KeyState, SigningKey, SigningKeyRecord, SigningRing, UntrustedKeyRecord

CHANNEL = "keys"
"""The NOTIFY channel on which every change of a signing key is told; the payload is empty."""

_LOCK = 0x69647031  # whoever changes keys does so alone

LOCK_KEYS = "SELECT pg_advisory_xact_lock($1)"
NOTIFY_CHANGE = "SELECT pg_notify($1, '')"

LOAD_SIGNING_KEYS = """
    SELECT kid, algorithm, state, wrapped, public_jwk, created_at, state_since, reason, provider, label FROM signing_keys
    ORDER BY created_at, kid
"""
LIST_SIGNING_KEYS = """
    SELECT kid, algorithm, state, created_at, state_since, reason, provider, label FROM signing_keys ORDER BY algorithm, created_at, kid
"""
LOAD_REVOKED = "SELECT kid FROM revoked_signing_keys"
ADD_REVOKED = "INSERT INTO revoked_signing_keys (kid, revoked_at, reason) VALUES ($1, $2, $3)"
ADD_SIGNING_KEY = """
    INSERT INTO signing_keys (kid, algorithm, state, wrapped, public_jwk, created_at, state_since, reason, provider, label)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
CHANGE_SIGNING_KEY = """
    UPDATE signing_keys SET state = $3, wrapped = $4, state_since = $5, reason = $6 WHERE kid = $1 AND state = $2 RETURNING kid
"""


class KeyConflict(Exception):
    """The key is no longer in the state it was read in."""


class RevokedKeyReturned(UntrustedKeyRecord):
    """The deny list names a key that its row calls usable, or once usable; the text is its ``kid``."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A signing key as an operator sees it: no key material."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: datetime
    state_since: datetime
    reason: str | None
    provider: str
    label: str | None


async def lock_keys(tx: Transaction) -> None:
    """Wait until nobody else changes keys; the lock ends with the transaction."""
    await tx.execute(LOCK_KEYS, _LOCK)


async def load_signing_keys(tx: Transaction, kek: KeyEncryptionKey, providers: KeyProviders) -> list[SigningKey]:
    """Return every signing key, oldest first.

    Raises UntrustedKeyRecord for a row that does not hold together, RevokedKeyReturned for one that the deny list contradicts,
    MissingProvider or UnusableToken for a key in a device that we cannot ask.
    """
    records = [SigningKeyRecord(**row) for row in await tx.fetch(LOAD_SIGNING_KEYS)]
    denied = {row["kid"] for row in await tx.fetch(LOAD_REVOKED)}
    for record in records:
        if record.kid in denied and record.state != KeyState.REVOKED:
            raise RevokedKeyReturned(record.kid)
    # A device is asked for each key's public part, which may take its time.
    return await asyncio.to_thread(lambda: [SigningKey.from_record(record, kek, providers) for record in records])


async def load_signing_ring(tx: Transaction, kek: KeyEncryptionKey, providers: KeyProviders, past_since: datetime) -> SigningRing:
    """Return the ring of the present moment; keys retired since ``past_since`` verify hints."""
    return SigningRing(await load_signing_keys(tx, kek, providers), past_since=past_since)


async def list_signing_keys(tx: Transaction) -> Sequence[ListedKey]:
    """Return every signing key without its material."""
    return [ListedKey(**{**row, "state": KeyState(row["state"])}) for row in await tx.fetch(LIST_SIGNING_KEYS)]


async def add_signing_key(tx: Transaction, key: SigningKey, kek: KeyEncryptionKey) -> None:
    """Write a new key and tell every process."""
    await tx.execute(ADD_SIGNING_KEY, *key.to_record(kek))
    await tx.execute(NOTIFY_CHANGE, CHANNEL)


async def change_signing_key(tx: Transaction, before: SigningKey, after: SigningKey, kek: KeyEncryptionKey) -> None:
    """Write the state of ``after``, erasing the private part when it is over; a revoked key joins the deny list; tell every process.

    Raises KeyConflict when the row is no longer in the state of ``before``.
    """
    record = after.to_record(kek)
    changed = await tx.fetchval(
        CHANGE_SIGNING_KEY, before.kid, before.state.value, record.state, record.wrapped, record.state_since, record.reason
    )
    if changed is None:
        raise KeyConflict(before.kid)
    if after.state is KeyState.REVOKED:
        await tx.execute(ADD_REVOKED, after.kid, after.state_since, after.reason or "")
    await tx.execute(NOTIFY_CHANGE, CHANNEL)
