"""Decides when data keys change: a new one is known everywhere before anything is made with it, an old one goes when nothing needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Clock, Random
from idp.platform import data_key_store, key_store, re_encryption
from idp.platform.audit_log import AuditLog
from idp.platform.data_key_store import ListedDataKey
from idp.platform.data_key_use import ENDS, count_uses
from idp.platform.database import Database, Transaction
from keys import DATA_KEY_PURPOSES, DATA_KEY_SIZE, NAMING_PURPOSES, KeyEncryptionKey, Suite

ALL = "all"


class DataKeyRefused(Exception):
    """What was asked of a data key cannot be done now; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A data key and what it is needed for. ``state``: pending | current | old; ``uses``: "table.column" → rows under it.

    ``rests_until``: when the last value that stands in no table and was made with it has ended; None for a key that is not old.
    """

    key: ListedDataKey
    state: str
    uses: Mapping[str, int]
    rests_until: datetime | None


class DataKeyRotation:
    """The life of data keys. ``pending_for``: known everywhere before first use; ``rests``: purpose → life of what stands in no table."""

    def __init__(
        self,
        database: Database,
        kek: KeyEncryptionKey,
        audit_log: AuditLog,
        clock: Clock,
        random: Random,
        *,
        suite: Suite,
        pending_for: timedelta,
        rests: Mapping[str, timedelta],
    ) -> None:
        self._database = database
        self._kek = kek
        self._audit_log = audit_log
        self._clock = clock
        self._random = random
        self._suite = suite
        self._pending_for = pending_for
        self._rests = rests

    async def rotate(self, purpose: str, actor: str) -> list[ListedDataKey]:
        """Make a new key of the present suite for a purpose, or for ALL but those that only name things; return the new keys.

        Nothing is made with it before ``pending_for`` is over, by when every process knows it. ``all`` passes over a purpose whose new key
        still waits. Raises DataKeyRefused for an unknown purpose and for a single one whose new key waits.
        """
        if purpose != ALL and purpose not in DATA_KEY_PURPOSES:
            raise DataKeyRefused(f"There is no purpose {purpose}; there are {', '.join(DATA_KEY_PURPOSES)} and all.")
        wanted = [p for p in DATA_KEY_PURPOSES if p not in NAMING_PURPOSES] if purpose == ALL else [purpose]
        created = []
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            listed, now = await data_key_store.list_all(tx), self._clock()
            waiting = {key.purpose: key.id for key in listed if key.current_from > now}
            if purpose in waiting:
                raise DataKeyRefused(f"The key {waiting[purpose]} already waits for its first use.")
            for one in wanted:
                if one not in waiting:
                    key_id = f"{one}-{max(_read_number(key) for key in listed if key.purpose == one) + 1}"
                    usable_from = now + self._pending_for
                    await data_key_store.add(tx, self._kek, key_id, self._suite, self._random(DATA_KEY_SIZE), now, usable_from)
                    await self._record(tx, Kind.KEY_CREATED, key_id, actor)
                    created.append(ListedDataKey(key_id, one, self._suite, now, usable_from))
        return created

    async def read_status(self, counting: Database) -> list[KeyStatus]:
        """Return every data key with its uses, counted row by row: minutes where there are millions, so ``counting`` waits long."""
        async with self._database.transaction() as tx:
            listed = await data_key_store.list_all(tx)
        uses = await count_uses(counting)
        return [self._judge(key, listed, uses.get(key.id, {})) for key in listed]

    async def retire(self, key_id: str, actor: str, counting: Database) -> None:
        """Remove an old key that nothing needs any more. Raises DataKeyRefused with the reason when something may still need it."""
        # Nobody writes with it any more (checked below), so the count is not overtaken.
        uses = await count_uses(counting)
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            listed = await data_key_store.list_all(tx)
            key = next((key for key in listed if key.id == key_id), None)
            if key is None:
                raise DataKeyRefused(f"There is no data key {key_id}.")
            status = self._judge(key, listed, uses.get(key_id, {}))
            if status.rests_until is None:
                raise DataKeyRefused(f"The key {key_id} is {status.state}; only a key that has a current successor can go.")
            if status.uses:
                if not all(ENDS[name] for name in status.uses):
                    # The worker looks once more. Not in the transaction, which the refusal ends without a trace.
                    await self._database.write(re_encryption.START_AGAIN, re_encryption.KIND, self._clock())
                raise DataKeyRefused(f"The key {key_id} is still needed: {'; '.join(describe_uses(status.uses))}.")
            if status.rests_until > self._clock():
                raise DataKeyRefused(f"The key {key_id} may still be needed until {status.rests_until:%Y-%m-%d %H:%M:%S}Z.")
            await data_key_store.remove(tx, key_id)
            await self._record(tx, Kind.KEY_REMOVED, key_id, actor)

    def _judge(self, key: ListedDataKey, listed: Sequence[ListedDataKey], uses: Mapping[str, int]) -> KeyStatus:
        now = self._clock()
        if key.current_from > now:
            return KeyStatus(key, "pending", uses, None)
        later = [k for k in listed if k.purpose == key.purpose and listed.index(k) > listed.index(key) and k.current_from <= now]
        if not later:
            return KeyStatus(key, "current", uses, None)
        rest = max(self._pending_for, self._rests.get(key.purpose, timedelta(0)))
        return KeyStatus(key, "old", uses, min(k.current_from for k in later) + rest)

    async def _record(self, tx: Transaction, kind: Kind, key_id: str, actor: str) -> None:
        await self._audit_log.record(tx, AuditEvent(kind, actor=actor, details={"key": key_id}))


def describe_uses(uses: Mapping[str, int]) -> list[str]:
    """Return one line for each column: how many rows, and how they come to need the key no more."""
    return [f"{rows:,} of {name}, {ENDS[name] or 'until the worker made them anew'}" for name, rows in sorted(uses.items())]


def _read_number(key: ListedDataKey) -> int:
    number = key.id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0
