"""Decides how keys rest in the database: wrapped, one row a key, told to every process when they change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idp.kernel.clock import Clock, Random
from idp.platform.database import Transaction
from keys import (
    DATA_KEY_PURPOSES,
    DATA_KEY_SIZE,
    DataKey,
    DataKeys,
    KeyEncryptionKey,
    KeyState,
    SigningKey,
    SigningKeyRecord,
    SigningRing,
    Unsealable,
)

CHANNEL = "keys"
"""The NOTIFY channel on which every change of a signing key is told; the payload is empty."""

_LOCK = 0x69647031  # whoever changes keys does so alone

LOCK_KEYS = "SELECT pg_advisory_xact_lock($1)"
NOTIFY_CHANGE = "SELECT pg_notify($1, '')"

LOAD_DATA_KEYS = "SELECT id, purpose, wrapped FROM data_keys ORDER BY created_at, length(id), id"
ANY_DATA_KEY = "SELECT EXISTS (SELECT FROM data_keys)"
ADD_DATA_KEY = "INSERT INTO data_keys (id, purpose, wrapped, created_at) VALUES ($1, $2, $3, $4)"

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


class UntrustedDataKey(Exception):
    """A stored data key was not wrapped by our key-encryption key for that purpose."""


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


async def has_data_keys(tx: Transaction) -> bool:
    """Tell whether any data key was ever made here."""
    found: bool = await tx.fetchval(ANY_DATA_KEY)
    return found


async def load_data_keys(tx: Transaction, kek: KeyEncryptionKey) -> DataKeys:
    """Return every data key, unwrapped. Raises UntrustedDataKey for a row that ``kek`` did not wrap for its purpose."""
    keys = []
    for row in await tx.fetch(LOAD_DATA_KEYS):
        key_id, purpose = row["id"], row["purpose"]
        try:
            material = kek.unwrap(key_id, row["wrapped"])
        except Unsealable:
            raise UntrustedDataKey(f"the data key {key_id} was not wrapped by this key-encryption key") from None
        # The wrapping covers the id, and the id says the purpose: a row cannot be made to serve another one.
        if key_id.rpartition("-")[0] != purpose or len(material) != DATA_KEY_SIZE:
            raise UntrustedDataKey(f"the data key {key_id} was not made for {purpose}")
        if purpose in DATA_KEY_PURPOSES:
            keys.append(DataKey(key_id, purpose, material))
    return DataKeys(keys)


async def create_missing_data_keys(tx: Transaction, kek: KeyEncryptionKey, clock: Clock, random: Random) -> tuple[str, ...]:
    """Give every purpose without a key its first one and return their ids; call it under ``lock_keys``."""
    missing = (await load_data_keys(tx, kek)).missing_purposes
    created = []
    for purpose in missing:
        key_id = f"{purpose}-1"
        await tx.execute(ADD_DATA_KEY, key_id, purpose, kek.wrap(key_id, random(DATA_KEY_SIZE)), clock())
        created.append(key_id)
    return tuple(created)


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
