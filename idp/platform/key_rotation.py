"""Decides when signing keys change hands: a new key is published first, signs later, and every change is an audit event."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Clock
from idp.platform import key_store
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.key_store import ListedKey
from keys import (
    KeyChange,
    KeyCreation,
    KeyEncryptionKey,
    KeyEvent,
    KeyProviders,
    KeyState,
    SigningKey,
    carry_out_changes,
    plan_rotation,
)

MAXIMUM_REASON = 200

WAITING = 2
"""Keys that wait after somebody asked for a change: the one that takes over, and the one that then stands by."""


class UnknownKey(Exception):
    """There is no signing key of that id; the text is one sentence."""


class RotationUnderWay(Exception):
    """Somebody asked already, and the key that takes over waits for its turn; the text is one sentence."""


class KeyRotation:
    """The life of signing keys of ``algorithms``; keys that an earlier setting made live on, but get no successors.

    ``pending_for``: published before first use; ``retiring_for``: verifies after last use; ``rotate_after``: the longest time of use, None
    when keys change by command alone.
    """

    def __init__(
        self,
        database: Database,
        kek: KeyEncryptionKey,
        providers: KeyProviders,
        audit_log: AuditLog,
        clock: Clock,
        *,
        algorithms: Sequence[str],
        pending_for: timedelta,
        retiring_for: timedelta,
        rotate_after: timedelta | None,
    ) -> None:
        self._database = database
        self._kek = kek
        self._providers = providers
        self._audit_log = audit_log
        self._clock = clock
        self._algorithms = tuple(algorithms)
        self._pending_for = pending_for
        self._retiring_for = retiring_for
        self._rotate_after = rotate_after

    async def create_missing(self, tx: Transaction) -> list[SigningKey]:
        """Give every algorithm without an active or pending key its first one, in the caller's transaction under ``lock_keys``.

        It changes no key that exists: whoever only reads, as ``idp audit verify`` does, never moves a rotation on.
        """
        able = {key.algorithm for key in await key_store.list_signing_keys(tx) if key.state in (KeyState.ACTIVE, KeyState.PENDING)}
        created = []
        for algorithm in self._algorithms:
            if algorithm not in able:
                created.append(await self._generate(KeyCreation(algorithm, KeyState.ACTIVE)))
                await self._add(tx, created[-1], "system")
        return created

    async def list_keys(self) -> Sequence[ListedKey]:
        """Return every signing key, without material."""
        async with self._database.transaction() as tx:
            return await key_store.list_signing_keys(tx)

    async def rotate(self, algorithm: str, actor: str) -> str:
        """Let the key that stands by take over, as soon as it was public for ``pending_for``, and return its id (S27).

        Another one is published to stand by after it: that more than one waits is how the worker knows of the wish.
        Raises ValueError for an algorithm that is not offered, RotationUnderWay while an earlier wish waits.
        """
        if algorithm not in self._algorithms:
            raise ValueError(f"keys.algorithms has no {algorithm}; it has {', '.join(self._algorithms)}.")
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            waiting = [k for k in await self._load(tx) if k.algorithm == algorithm and k.state is KeyState.PENDING]
            if len(waiting) == WAITING:
                raise RotationUnderWay(f"The {algorithm} key {_find_oldest(waiting)} is already published and waits for its first use.")
            while len(waiting) < WAITING:
                waiting.append(await self._generate(KeyCreation(algorithm, KeyState.PENDING)))
                await self._add(tx, waiting[-1], actor)
            changed = await self._advance(tx, algorithm, actor)
        await self._destroy(changed)
        return _find_oldest(waiting)

    async def revoke(self, kid: str, reason: str, actor: str) -> None:
        """Withdraw a key for ever: what it signed verifies no more, not even as a hint. The active one's successor signs at once.

        Raises UnknownKey, IllegalKeyTransition for one that is revoked already, ValueError for a reason that is empty or over-long, and
        UnusableToken when all this is done and only the device still holds the private part.
        """
        if not 1 <= len(reason) <= MAXIMUM_REASON or not reason.isprintable():
            raise ValueError(f"The reason is one line of 1 to {MAXIMUM_REASON} characters.")
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            key = next((k for k in await self._load(tx) if k.kid == kid), None)
            if key is None:
                raise UnknownKey(f"There is no signing key {kid}.")
            revoked = key.after(KeyEvent.REVOKE, self._clock(), reason)
            await key_store.change_signing_key(tx, key, revoked, self._kek)
            await self._record(tx, Kind.KEY_REVOKED, revoked, KeyState.REVOKED, actor)
            changed = await self._advance(tx, key.algorithm, actor)
        await self._destroy([*changed] if key.private is None else [revoked, *changed])

    async def advance(self) -> list[SigningKey]:
        """Do what is due now (the worker's step): pending to active to retiring to retired, a key to stand by; return what changed."""
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            known = {key.algorithm for key in await key_store.list_signing_keys(tx)}
            changed = [key for algorithm in sorted({*self._algorithms, *known}) for key in await self._advance(tx, algorithm)]
        await self._destroy(changed)
        return changed

    async def _advance(self, tx: Transaction, algorithm: str, actor: str = "system") -> list[SigningKey]:
        keys = await self._load(tx)
        before = {key.kid: key for key in keys}
        plan = plan_rotation(keys, algorithm, self._clock(), self._pending_for, self._retiring_for, self._rotate_after)
        done = []
        for change in plan:
            if isinstance(change, KeyChange):
                (key,) = carry_out_changes(keys, [change], self._clock())
                await key_store.change_signing_key(tx, before[key.kid], key, self._kek)
                await self._record(tx, Kind.KEY_ROTATED, key, key.state, actor)
            elif algorithm in self._algorithms:
                key = await self._generate(change)
                await self._add(tx, key, actor)
            else:
                continue
            done.append(key)
        return done

    async def _load(self, tx: Transaction) -> list[SigningKey]:
        return await key_store.load_signing_keys(tx, self._kek, self._providers)

    async def _generate(self, creation: KeyCreation) -> SigningKey:
        (key,) = await asyncio.to_thread(carry_out_changes, [], [creation], self._clock(), self._providers.maker)
        return key

    async def _destroy(self, ended: Iterable[SigningKey]) -> None:
        # After the commit: the row of a published key whose private part is gone would stop every process.
        for key in ended:
            if key.label is not None and key.state in (KeyState.RETIRED, KeyState.REVOKED):
                await asyncio.to_thread(self._providers.find(key.provider).destroy, key.label)

    async def _add(self, tx: Transaction, key: SigningKey, actor: str) -> None:
        await key_store.add_signing_key(tx, key, self._kek)
        await self._record(tx, Kind.KEY_CREATED, key, key.state, actor)

    async def _record(self, tx: Transaction, kind: Kind, key: SigningKey, state: KeyState, actor: str) -> None:
        details = {"kid": key.kid, "algorithm": key.algorithm, "state": state.value}
        await self._audit_log.record(tx, AuditEvent(kind, actor=actor, details=dict(details)))


def _find_oldest(keys: Sequence[SigningKey]) -> str:
    return min(keys, key=lambda key: (key.state_since, key.kid)).kid
