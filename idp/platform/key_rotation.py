"""Decides when signing keys change hands: a new key is published first, signs later, and every change is an audit event."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Clock
from idp.platform import key_store
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.key_store import ListedKey
from keys import (
    ALGORITHMS,
    KeyChange,
    KeyCreation,
    KeyEncryptionKey,
    KeyEvent,
    KeyState,
    SigningKey,
    carry_out_changes,
    plan_rotation,
)

MAXIMUM_REASON = 200


class UnknownKey(Exception):
    """There is no signing key of that id; the text is one sentence."""


class RotationUnderWay(Exception):
    """A new key of that algorithm is already published and waits for its turn; the text is one sentence."""


class KeyRotation:
    """The life of signing keys. ``pending_for``: published before first use; ``retiring_for``: verifies after last use."""

    def __init__(
        self,
        database: Database,
        kek: KeyEncryptionKey,
        audit_log: AuditLog,
        clock: Clock,
        *,
        pending_for: timedelta,
        retiring_for: timedelta,
    ) -> None:
        self._database = database
        self._kek = kek
        self._audit_log = audit_log
        self._clock = clock
        self._pending_for = pending_for
        self._retiring_for = retiring_for

    async def create_missing(self, tx: Transaction) -> list[SigningKey]:
        """Give every algorithm without an active or pending key its first one, in the caller's transaction under ``lock_keys``.

        It changes no key that exists: whoever only reads, as ``idp audit verify`` does, never moves a rotation on.
        """
        able = {key.algorithm for key in await key_store.list_signing_keys(tx) if key.state in (KeyState.ACTIVE, KeyState.PENDING)}
        created = []
        for algorithm in ALGORITHMS:
            if algorithm not in able:
                created.append(await self._generate(KeyCreation(algorithm, KeyState.ACTIVE)))
                await self._add(tx, created[-1], "system")
        return created

    async def list_keys(self) -> Sequence[ListedKey]:
        """Return every signing key, without material."""
        async with self._database.transaction() as tx:
            return await key_store.list_signing_keys(tx)

    async def rotate(self, algorithm: str, actor: str) -> str:
        """Publish a new key of ``algorithm`` and return its id; it signs once it was public for ``pending_for`` (S27).

        Raises ValueError for an algorithm not in ALGORITHMS, RotationUnderWay while a successor is already waiting.
        """
        key = await self._generate(KeyCreation(algorithm, KeyState.PENDING))
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            listed = await key_store.list_signing_keys(tx)
            if waiting := [k.kid for k in listed if k.algorithm == algorithm and k.state is KeyState.PENDING]:
                raise RotationUnderWay(f"The {algorithm} key {waiting[0]} is already published and waits for its first use.")
            await self._add(tx, key, actor)
        return key.kid

    async def revoke(self, kid: str, reason: str, actor: str) -> None:
        """Withdraw a key at once: what it signed verifies no more. When it was the active one, its successor signs at once.

        Raises UnknownKey, IllegalKeyTransition for a key that is over, ValueError for a reason that is empty or over-long.
        """
        if not 1 <= len(reason) <= MAXIMUM_REASON or not reason.isprintable():
            raise ValueError(f"The reason is one line of 1 to {MAXIMUM_REASON} characters.")
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            key = next((k for k in await key_store.load_signing_keys(tx, self._kek) if k.kid == kid), None)
            if key is None:
                raise UnknownKey(f"There is no signing key {kid}.")
            await key_store.change_signing_key(tx, key, key.after(KeyEvent.REVOKE, self._clock(), reason), self._kek)
            await self._record(tx, Kind.KEY_REVOKED, key, KeyState.REVOKED, actor)
            await self._advance(tx, key.algorithm, actor)

    async def advance(self) -> list[SigningKey]:
        """Do what is due now (the worker's step): pending to active, active to retiring, retiring to retired; return what changed."""
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            return [key for algorithm in ALGORITHMS for key in await self._advance(tx, algorithm)]

    async def _advance(self, tx: Transaction, algorithm: str, actor: str = "system") -> list[SigningKey]:
        keys = await key_store.load_signing_keys(tx, self._kek)
        now = self._clock()
        plan = plan_rotation(keys, algorithm, now, self._pending_for, self._retiring_for)
        changes = [change for change in plan if isinstance(change, KeyChange)]
        after = carry_out_changes(keys, changes, now)
        before = {key.kid: key for key in keys}
        for key in after:
            await key_store.change_signing_key(tx, before[key.kid], key, self._kek)
            await self._record(tx, Kind.KEY_ROTATED, key, key.state, actor)
        standing = {**before, **{key.kid: key for key in after}}
        if not any(key.algorithm == algorithm and key.state is KeyState.ACTIVE for key in standing.values()):
            created = await self._generate(KeyCreation(algorithm, KeyState.ACTIVE))
            await self._add(tx, created, actor)
            after.append(created)
        return after

    async def _generate(self, creation: KeyCreation) -> SigningKey:
        (key,) = await asyncio.to_thread(carry_out_changes, [], [creation], self._clock())
        return key

    async def _add(self, tx: Transaction, key: SigningKey, actor: str) -> None:
        await key_store.add_signing_key(tx, key, self._kek)
        await self._record(tx, Kind.KEY_CREATED, key, key.state, actor)

    async def _record(self, tx: Transaction, kind: Kind, key: SigningKey, state: KeyState, actor: str) -> None:
        details = {"kid": key.kid, "algorithm": key.algorithm, "state": state.value}
        await self._audit_log.record(tx, AuditEvent(kind, actor=actor, details=dict(details)))
