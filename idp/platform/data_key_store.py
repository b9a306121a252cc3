"""Decides how data keys rest in the database: wrapped, one row a key, each of one purpose and one cipher suite for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idp.kernel.clock import Clock, Random
from idp.platform.database import Transaction
from keys import DATA_KEY_PURPOSES, DATA_KEY_SIZE, DataKey, KeyEncryptionKey, Suite, Unsealable

CHANNEL = "data_keys"
"""The NOTIFY channel on which every change of a data key is told; the payload is empty."""

LOAD = "SELECT id, purpose, wrapped, suite, usable_from FROM data_keys ORDER BY created_at, length(id), id"
ANY = "SELECT EXISTS (SELECT FROM data_keys)"
LIST = "SELECT id, purpose, suite, created_at, usable_from FROM data_keys ORDER BY purpose, created_at, length(id), id"
ADD = "INSERT INTO data_keys (id, purpose, wrapped, suite, created_at, usable_from) VALUES ($1, $2, $3, $4, $5, $6)"
REMOVE = "DELETE FROM data_keys WHERE id = $1"
REWRAP = "UPDATE data_keys SET wrapped = $2 WHERE id = $1"
NOTIFY_CHANGE = "SELECT pg_notify($1, '')"


class UntrustedDataKey(Exception):
    """A stored data key was not wrapped by our key-encryption key for that purpose and suite."""


@dataclass(frozen=True)
class StoredKeys:
    """Every data key, unwrapped, oldest first; ``next_at``: when the next pending one becomes current, None without one."""

    keys: Sequence[DataKey]
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedDataKey:
    """A data key as an operator sees it: no key material. ``usable_from`` None: since ``created_at``."""

    id: str
    purpose: str
    suite: Suite
    created_at: datetime
    usable_from: datetime | None

    @property
    def current_from(self) -> datetime:
        """The first instant at which something was made with it."""
        return self.usable_from or self.created_at


async def has_any(tx: Transaction) -> bool:
    """Tell whether any data key was ever made here."""
    found: bool = await tx.fetchval(ANY)
    return found


async def load(tx: Transaction, kek: KeyEncryptionKey, now: datetime) -> StoredKeys:
    """Return every data key as of ``now``. Raises UntrustedDataKey for a row that ``kek`` did not wrap for its purpose and suite."""
    keys, coming = [], []
    for row in await tx.fetch(LOAD):
        key_id, purpose, suite = row["id"], row["purpose"], Suite(row["suite"])
        try:
            material = kek.unwrap(_name_wrapped(key_id, suite), row["wrapped"])
        except Unsealable:
            raise UntrustedDataKey(f"the data key {key_id} was not wrapped by this key-encryption key") from None
        # The wrapping covers the id, and the id says the purpose: a row cannot be made to serve another one.
        if key_id.rpartition("-")[0] != purpose or len(material) != DATA_KEY_SIZE:
            raise UntrustedDataKey(f"the data key {key_id} was not made for {purpose}")
        pending = row["usable_from"] is not None and row["usable_from"] > now
        if pending:
            coming.append(row["usable_from"])
        if purpose in DATA_KEY_PURPOSES:
            keys.append(DataKey(key_id, purpose, material, suite, pending))
    return StoredKeys(keys, min(coming, default=None))


async def list_all(tx: Transaction) -> list[ListedDataKey]:
    """Return every data key without its material, by purpose, oldest first."""
    return [ListedDataKey(**{**row, "suite": Suite(row["suite"])}) for row in await tx.fetch(LIST)]


async def create_missing(tx: Transaction, kek: KeyEncryptionKey, suite: Suite, clock: Clock, random: Random) -> tuple[str, ...]:
    """Give every purpose without a key its first one, of ``suite``, and return their ids; call it under ``lock_keys``."""
    present = {key.purpose for key in await list_all(tx)}
    created = []
    for purpose in DATA_KEY_PURPOSES:
        if purpose not in present:
            created.append(f"{purpose}-1")
            await add(tx, kek, created[-1], suite, random(DATA_KEY_SIZE), clock(), None)
    return tuple(created)


async def add(
    tx: Transaction, kek: KeyEncryptionKey, key_id: str, suite: Suite, material: bytes, now: datetime, usable_from: datetime | None
) -> None:
    """Write a new key of the purpose that its id says, and tell every process."""
    wrapped = kek.wrap(_name_wrapped(key_id, suite), material)
    await tx.execute(ADD, key_id, key_id.rpartition("-")[0], wrapped, suite.value, now, usable_from)
    await tx.execute(NOTIFY_CHANGE, CHANNEL)


async def remove(tx: Transaction, key_id: str) -> None:
    """Remove a key for good and tell every process: what it sealed never opens again."""
    await tx.execute(REMOVE, key_id)
    await tx.execute(NOTIFY_CHANGE, CHANNEL)


async def rewrap(tx: Transaction, kek: KeyEncryptionKey) -> int:
    """Wrap every key anew and return how many that changed; call it under ``lock_keys``. Raises Unsealable."""
    changed = 0
    for row in await tx.fetch(LOAD):
        name = _name_wrapped(row["id"], Suite(row["suite"]))
        wrapped = kek.wrap(name, kek.unwrap(name, row["wrapped"]))
        if wrapped != row["wrapped"]:
            await tx.execute(REWRAP, row["id"], wrapped)
            changed += 1
    await tx.execute(NOTIFY_CHANGE, CHANNEL)
    return changed


def _name_wrapped(key_id: str, suite: Suite) -> str:
    """Return what the wrapping covers: a key whose row names another suite does not unwrap. The first suite came before the name did."""
    return key_id if suite is Suite.INTERNATIONAL else f"{key_id} {suite.value}"
