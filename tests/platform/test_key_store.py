"""Keys rest wrapped, change hands by the table, are told to every process, and leave audit events. S27."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from idp.kernel.clock import Random
from idp.platform import key_store
from idp.platform.audit_log import AuditLog, verify_row
from idp.platform.current_ring import CurrentRing
from idp.platform.database import Database
from idp.platform.key_rotation import KeyRotation, RotationUnderWay, UnknownKey
from idp.platform.key_store import KeyConflict
from keys import (
    IllegalKeyTransition,
    InvalidSignature,
    KeyEncryptionKey,
    KeyEvent,
    KeyState,
    Mac,
    Sealer,
    SigningRing,
    UntrustedKeyRecord,
    make_key_encryption_key,
)
from tests.support.clocks import ManualClock
from tests.support.waiting import wait_for_listener, wait_until

PENDING = timedelta(minutes=10)
RETIRING = timedelta(days=90)
MAC = Mac({"audit-1": b"a" * 32}, "audit-1")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def emptied(database: Database) -> AsyncIterator[None]:
    await database.write("DELETE FROM signing_keys")
    yield


@pytest.fixture
def kek(tmp_path: Path, random: Random) -> KeyEncryptionKey:
    return make_key_encryption_key(tmp_path / "kek", random)


@pytest.fixture
def rotation(database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random) -> KeyRotation:
    log = AuditLog(MAC, Sealer({"places-1": b"p" * 32}, "places-1"), clock, random)
    return KeyRotation(database, kek, log, clock, pending_for=PENDING, retiring_for=RETIRING)


async def read_ring(database: Database, kek: KeyEncryptionKey) -> SigningRing:
    async with database.transaction() as tx:
        return await key_store.load_signing_ring(tx, kek)


async def create_first(database: Database, rotation: KeyRotation) -> None:
    async with database.transaction() as tx:
        await key_store.lock_keys(tx)
        await rotation.create_missing(tx)


async def read_states(rotation: KeyRotation, algorithm: str = "ES256") -> dict[str, KeyState]:
    return {key.kid: key.state for key in await rotation.list_keys() if key.algorithm == algorithm}


def find_kid(ring: SigningRing) -> str:
    import base64

    header = ring.sign("ES256", b"{}").split(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid


async def test_first_keys_are_active_at_once_and_made_once(database: Database, rotation: KeyRotation, kek: KeyEncryptionKey) -> None:
    await create_first(database, rotation)
    await create_first(database, rotation)
    assert [(k.algorithm, k.state) for k in await rotation.list_keys()] == [("ES256", KeyState.ACTIVE), ("RS256", KeyState.ACTIVE)]
    assert (await read_ring(database, kek)).algorithms == ("ES256", "RS256")


async def test_s27_a_new_key_is_published_before_it_signs_and_old_tokens_verify(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock
) -> None:
    await create_first(database, rotation)
    ring = await read_ring(database, kek)
    old_kid, old_token = find_kid(ring), ring.sign("ES256", b'{"sub":"1"}')
    new_kid = await rotation.rotate("ES256", "operator")
    ring = await read_ring(database, kek)
    assert {key["kid"] for key in json.loads(ring.jwks)["keys"]} > {old_kid, new_kid}
    assert find_kid(ring) == old_kid
    clock.advance(PENDING.total_seconds() - 1)
    assert await rotation.advance() == []
    assert find_kid(await read_ring(database, kek)) == old_kid
    clock.advance(1)
    await rotation.advance()
    ring = await read_ring(database, kek)
    assert find_kid(ring) == new_kid
    assert ring.verify(old_token) == {"sub": "1"}
    assert await read_states(rotation) == {old_kid: KeyState.RETIRING, new_kid: KeyState.ACTIVE}
    clock.advance(RETIRING.total_seconds())
    await rotation.advance()
    ring = await read_ring(database, kek)
    with pytest.raises(InvalidSignature):
        ring.verify(old_token)
    assert await read_states(rotation) == {old_kid: KeyState.RETIRED, new_kid: KeyState.ACTIVE}
    (row,) = await database.fetch("SELECT wrapped FROM signing_keys WHERE kid = $1", old_kid)
    assert row["wrapped"] is None, "a retired key's private part is erased"


async def test_creating_what_is_missing_never_moves_a_rotation_on(database: Database, rotation: KeyRotation, clock: ManualClock) -> None:
    await create_first(database, rotation)
    (old,) = await read_states(rotation)
    new = await rotation.rotate("ES256", "operator")
    clock.advance(PENDING.total_seconds() + RETIRING.total_seconds())
    await create_first(database, rotation)
    assert await read_states(rotation) == {old: KeyState.ACTIVE, new: KeyState.PENDING}
    assert len(await rotation.list_keys()) == 3


async def test_a_second_rotation_waits_for_the_first(database: Database, rotation: KeyRotation, clock: ManualClock) -> None:
    await create_first(database, rotation)
    await rotation.rotate("ES256", "operator")
    with pytest.raises(RotationUnderWay):
        await rotation.rotate("ES256", "operator")
    await rotation.rotate("RS256", "operator")
    with pytest.raises(ValueError, match="HS256"):
        await rotation.rotate("HS256", "operator")


async def test_revoking_the_active_key_lets_a_successor_sign_at_once(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock
) -> None:
    await create_first(database, rotation)
    ring = await read_ring(database, kek)
    kid, token = find_kid(ring), ring.sign("ES256", b"{}")
    await rotation.revoke(kid, "the machine was stolen", "operator")
    ring = await read_ring(database, kek)
    assert find_kid(ring) != kid
    assert kid not in ring.jwks.decode()
    with pytest.raises(InvalidSignature):
        ring.verify(token)
    with pytest.raises(IllegalKeyTransition):
        await rotation.revoke(kid, "again", "operator")
    with pytest.raises(UnknownKey):
        await rotation.revoke("nobody", "why", "operator")
    for reason in ("", "x" * 201, "two\nlines"):
        with pytest.raises(ValueError, match="reason"):
            await rotation.revoke(find_kid(ring), reason, "operator")


async def test_every_change_is_an_audit_event_without_free_text(database: Database, rotation: KeyRotation, kek: KeyEncryptionKey) -> None:
    await create_first(database, rotation)
    before = {row["id"] for row in await database.fetch("SELECT id FROM audit_events")}
    await rotation.rotate("ES256", "operator")
    await rotation.revoke(find_kid(await read_ring(database, kek)), "told by Zhang San", "operator")
    rows = [dict(row) for row in await database.fetch("SELECT * FROM audit_events ORDER BY id") if row["id"] not in before]
    assert sorted(row["kind"] for row in rows) == ["key_created", "key_revoked", "key_rotated"]
    assert {row["actor"] for row in rows} == {"operator"}
    assert all(verify_row(row, MAC) is None for row in rows)
    assert "Zhang" not in str(rows)


async def test_a_key_written_by_somebody_else_is_refused(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, tmp_path: Path, random: Random
) -> None:
    await create_first(database, rotation)
    with pytest.raises(UntrustedKeyRecord):
        await read_ring(database, make_key_encryption_key(tmp_path / "other", random))


async def test_two_changes_of_one_key_conflict(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock
) -> None:
    await create_first(database, rotation)
    async with database.transaction() as tx:
        (key, _) = await key_store.load_signing_keys(tx, kek)
        after = key.after(KeyEvent.RETIRE, clock())
        await key_store.change_signing_key(tx, key, after, kek)
        with pytest.raises(KeyConflict):
            await key_store.change_signing_key(tx, key, after, kek)


async def test_a_serving_process_takes_up_a_new_key_within_a_second(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey
) -> None:
    await create_first(database, rotation)
    current = CurrentRing(await read_ring(database, kek), database, kek)
    stop = asyncio.Event()
    following = asyncio.create_task(current.follow(stop))
    await wait_for_listener(database, key_store.CHANNEL)
    kid = await rotation.rotate("ES256", "operator")
    await wait_until(lambda: kid in current.jwks.decode(), 1)
    assert current.verify(current.sign("ES256", b"{}")) == {}
    assert current.algorithms == ("ES256", "RS256")
    stop.set()
    await following
