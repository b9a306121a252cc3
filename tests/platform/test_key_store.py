"""Keys rest wrapped, change hands by the table, are told to every process, and leave audit events. S27."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

import keys
from idp.kernel.clock import Random
from idp.platform import key_store
from idp.platform.audit_log import AuditLog, verify_row
from idp.platform.current_ring import CurrentRing
from idp.platform.database import Database, DatabaseRefused, Transaction
from idp.platform.key_rotation import KeyRotation, RotationUnderWay, UnknownKey
from idp.platform.key_store import KeyConflict, RevokedKeyReturned
from keys import (
    IllegalKeyTransition,
    InvalidSignature,
    KeyEncryptionKey,
    KeyEvent,
    KeyProviders,
    KeyState,
    Mac,
    NoSigningKey,
    Sealer,
    SigningRing,
    UntrustedKeyRecord,
    make_key_encryption_key,
)
from tests.support.clocks import ManualClock
from tests.support.waiting import wait_for_listener, wait_until

PENDING = timedelta(minutes=10)
RETIRING = timedelta(days=1)
IN_USE = timedelta(days=90)
HINTS = timedelta(days=90)
NEVER = datetime.max.replace(tzinfo=UTC)
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
    return make_rotation(database, kek, clock, random)


def make_rotation(
    database: Database,
    kek: KeyEncryptionKey,
    clock: ManualClock,
    random: Random,
    *,
    algorithms: tuple[str, ...] = ("ES256", "RS256"),
    rotate_after: timedelta | None = None,
) -> KeyRotation:
    log = AuditLog(MAC, Sealer({"places-1": b"p" * 32}, "places-1"), clock, random)
    return KeyRotation(
        database,
        kek,
        KeyProviders(),
        log,
        clock,
        algorithms=algorithms,
        pending_for=PENDING,
        retiring_for=RETIRING,
        rotate_after=rotate_after,
    )


async def read_ring(database: Database, kek: KeyEncryptionKey, past_since: datetime = NEVER) -> SigningRing:
    async with database.transaction() as tx:
        return await key_store.load_signing_ring(tx, kek, KeyProviders(), past_since)


async def create_first(database: Database, rotation: KeyRotation) -> None:
    async with database.transaction() as tx:
        await key_store.lock_keys(tx)
        await rotation.create_missing(tx)


async def read_states(rotation: KeyRotation, algorithm: str = "ES256") -> dict[str, KeyState]:
    return {key.kid: key.state for key in await rotation.list_keys() if key.algorithm == algorithm}


def find_kid(ring: SigningRing) -> str:
    return ring.find_signer("ES256").kid


async def test_first_keys_are_active_at_once_and_made_once(database: Database, rotation: KeyRotation, kek: KeyEncryptionKey) -> None:
    await create_first(database, rotation)
    await create_first(database, rotation)
    assert [(k.algorithm, k.state) for k in await rotation.list_keys()] == [("ES256", KeyState.ACTIVE), ("RS256", KeyState.ACTIVE)]
    assert (await read_ring(database, kek)).algorithms == ("ES256", "RS256")


async def test_s27_a_new_key_is_published_before_it_signs_and_old_tokens_verify(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock
) -> None:
    await create_first(database, rotation)
    assert [(key.algorithm, key.state) for key in await rotation.advance()] == [("ES256", KeyState.PENDING), ("RS256", KeyState.PENDING)]
    ring = await read_ring(database, kek)
    old_kid, old_token = find_kid(ring), ring.sign("ES256", b'{"sub":"1"}')
    new_kid = await rotation.rotate("ES256", "operator")
    (stands_by,) = set(await read_states(rotation)) - {old_kid, new_kid}
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
    assert await read_states(rotation) == {old_kid: KeyState.RETIRING, new_kid: KeyState.ACTIVE, stands_by: KeyState.PENDING}
    clock.advance(RETIRING.total_seconds())
    await rotation.advance()
    ring = await read_ring(database, kek)
    with pytest.raises(InvalidSignature):
        ring.verify(old_token)
    assert await read_states(rotation) == {old_kid: KeyState.RETIRED, new_kid: KeyState.ACTIVE, stands_by: KeyState.PENDING}
    (row,) = await database.fetch("SELECT wrapped FROM signing_keys WHERE kid = $1", old_kid)
    assert kek.unwrap(old_kid, row["wrapped"]) == b"retired", "a retired key's private part is erased"


async def test_s27_keys_change_by_themselves_and_hints_verify_for_a_while(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random
) -> None:
    rotation = make_rotation(database, kek, clock, random, rotate_after=IN_USE)
    await create_first(database, rotation)
    ring = await read_ring(database, kek)
    old_kid, old_token = find_kid(ring), ring.sign("ES256", b'{"sub":"1"}')
    stands_by = (await rotation.advance())[0].kid
    clock.advance(IN_USE.total_seconds() - 1)
    assert await rotation.advance() == []
    clock.advance(1)
    await rotation.advance()
    assert await rotation.advance() == []
    (next_one,) = set(await read_states(rotation)) - {old_kid, stands_by}
    assert await read_states(rotation) == {old_kid: KeyState.RETIRING, stands_by: KeyState.ACTIVE, next_one: KeyState.PENDING}
    assert find_kid(await read_ring(database, kek)) == stands_by
    clock.advance(RETIRING.total_seconds())
    await rotation.advance()
    retired_at = clock()
    ring = await read_ring(database, kek, clock() - HINTS)
    assert old_kid not in ring.jwks.decode()
    assert ring.verify_past(old_token) == {"sub": "1"}
    clock.advance(HINTS.total_seconds() - 1)
    assert (await read_ring(database, kek, clock() - HINTS)).verify_past(old_token) == {"sub": "1"}
    clock.advance(2)
    assert clock() - HINTS > retired_at
    with pytest.raises(InvalidSignature):
        (await read_ring(database, kek, clock() - HINTS)).verify_past(old_token)
    about = "SELECT kind, details, actor FROM audit_events WHERE details LIKE $1 ORDER BY at, id"
    kinds = [(row["kind"], json.loads(row["details"])["state"], row["actor"]) for row in await database.fetch(about, f"%{stands_by}%")]
    assert kinds == [("key_created", "pending", "system"), ("key_rotated", "active", "system")]


async def test_an_algorithm_that_is_not_offered_any_more_lives_out_and_gets_no_successor(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock, random: Random
) -> None:
    await create_first(database, rotation)
    waiting = await rotation.rotate("RS256", "operator")
    fewer = make_rotation(database, kek, clock, random, algorithms=("ES256",), rotate_after=IN_USE)
    clock.advance(PENDING.total_seconds())
    await fewer.advance()
    assert (await read_states(fewer, "RS256"))[waiting] is KeyState.ACTIVE
    for _ in range(3):
        clock.advance(2 * IN_USE.total_seconds())
        await fewer.advance()
    states = await read_states(fewer, "RS256")
    assert sorted(states.values()) == [KeyState.ACTIVE, KeyState.RETIRED, KeyState.RETIRED]
    await fewer.revoke(next(kid for kid, state in states.items() if state is KeyState.ACTIVE), "no more", "operator")
    assert (await read_ring(database, kek)).algorithms == ("ES256",)
    with pytest.raises(ValueError, match="has no RS256"):
        await fewer.rotate("RS256", "operator")


async def test_further_algorithms_get_their_first_keys(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random
) -> None:
    more = make_rotation(database, kek, clock, random, algorithms=("ES256", "PS256", "Ed25519", "SGD_SM3_SM2"))
    await create_first(database, more)
    ring = await read_ring(database, kek)
    assert ring.algorithms == ("ES256", "PS256", "Ed25519")
    assert ring.sm2_algorithms == ("SGD_SM3_SM2",)


async def test_creating_what_is_missing_never_moves_a_rotation_on(database: Database, rotation: KeyRotation, clock: ManualClock) -> None:
    await create_first(database, rotation)
    (old,) = await read_states(rotation)
    await rotation.rotate("ES256", "operator")
    before = await read_states(rotation)
    clock.advance(PENDING.total_seconds() + RETIRING.total_seconds())
    await create_first(database, rotation)
    assert await read_states(rotation) == before
    assert (before.pop(old), set(before.values()), len(before)) == (KeyState.ACTIVE, {KeyState.PENDING}, 2)


async def test_a_key_that_stood_by_long_enough_takes_over_at_once(database: Database, rotation: KeyRotation, clock: ManualClock) -> None:
    await create_first(database, rotation)
    (stands_by, *_) = [key.kid for key in await rotation.advance()]
    clock.advance(PENDING.total_seconds())
    assert await rotation.rotate("ES256", "operator") == stands_by
    states = await read_states(rotation)
    assert states[stands_by] is KeyState.ACTIVE
    assert sorted(states.values()) == [KeyState.ACTIVE, KeyState.PENDING, KeyState.RETIRING]


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


async def test_a_revoked_key_is_on_a_list_that_the_service_cannot_shorten(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock
) -> None:
    await create_first(database, rotation)
    (before,) = await database.fetch("SELECT * FROM signing_keys WHERE algorithm = 'ES256'")
    await rotation.revoke(before["kid"], "the machine was stolen", "operator")
    (denied,) = await database.fetch("SELECT revoked_at, reason FROM revoked_signing_keys WHERE kid = $1", before["kid"])
    assert (denied["revoked_at"], denied["reason"]) == (clock(), "the machine was stolen")
    for statement in ("DELETE FROM revoked_signing_keys", "UPDATE revoked_signing_keys SET kid = 'x'", "TRUNCATE revoked_signing_keys"):
        with pytest.raises(DatabaseRefused):
            await database.write(statement)
    # Whoever has a copy of the row from before cannot bring the key back with it.
    for state in ("active", "pending", "retiring"):
        restore = "UPDATE signing_keys SET state = $2, wrapped = $3 WHERE kid = $1"
        await database.write(restore, before["kid"], state, before["wrapped"])
        with pytest.raises(RevokedKeyReturned, match=before["kid"]):
            await read_ring(database, kek)
    await database.write(
        "UPDATE signing_keys SET state = 'retired', wrapped = $2 WHERE kid = $1", before["kid"], kek.wrap(before["kid"], b"retired")
    )
    with pytest.raises(RevokedKeyReturned):
        await read_ring(database, kek)


async def test_a_retired_key_can_still_be_revoked(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey, clock: ManualClock
) -> None:
    await create_first(database, rotation)
    ring = await read_ring(database, kek)
    kid, token = find_kid(ring), ring.sign("ES256", b"{}")
    await rotation.rotate("ES256", "operator")
    for seconds in (PENDING.total_seconds(), RETIRING.total_seconds()):
        clock.advance(seconds)
        await rotation.advance()
    assert (await read_ring(database, kek, clock())).verify_past(token) == {}
    await rotation.revoke(kid, "a copy of it was found", "operator")
    with pytest.raises(InvalidSignature):
        (await read_ring(database, kek, clock())).verify_past(token)


async def test_every_change_is_an_audit_event_without_free_text(database: Database, rotation: KeyRotation, kek: KeyEncryptionKey) -> None:
    await create_first(database, rotation)
    before = {row["id"] for row in await database.fetch("SELECT id FROM audit_events")}
    await rotation.rotate("ES256", "operator")
    await rotation.revoke(find_kid(await read_ring(database, kek)), "told by Zhang San", "operator")
    rows = [dict(row) for row in await database.fetch("SELECT * FROM audit_events ORDER BY id") if row["id"] not in before]
    assert sorted(row["kind"] for row in rows) == ["key_created", "key_created", "key_revoked", "key_rotated"]
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
        (key, _) = await key_store.load_signing_keys(tx, kek, KeyProviders())
        after = key.after(KeyEvent.RETIRE, clock())
        await key_store.change_signing_key(tx, key, after, kek)
        with pytest.raises(KeyConflict):
            await key_store.change_signing_key(tx, key, after, kek)


async def test_a_serving_process_takes_up_a_new_key_when_it_hears_of_it(
    database: Database, rotation: KeyRotation, kek: KeyEncryptionKey
) -> None:
    await create_first(database, rotation)
    current = make_current(await read_ring(database, kek), database, kek)
    stop = asyncio.Event()
    following = asyncio.create_task(current.follow(stop))
    await wait_for_listener(database, key_store.CHANNEL)
    kid = await rotation.rotate("ES256", "operator")
    await wait_until(lambda: kid in current.jwks.decode())
    assert current.verify(current.sign("ES256", b"{}")) == {}
    assert current.algorithms == ("ES256", "RS256")
    stop.set()
    await following


def make_current(ring: SigningRing, database: Database, kek: KeyEncryptionKey) -> CurrentRing:
    async def load(tx: Transaction) -> SigningRing:
        return await key_store.load_signing_ring(tx, kek, KeyProviders(), NEVER)

    return CurrentRing(ring, database, load)


async def test_slow_signatures_are_made_in_threads(
    database: Database, kek: KeyEncryptionKey, clock: ManualClock, random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_first(database, make_rotation(database, kek, clock, random, algorithms=("ES256", "RS256", "SGD_SM3_SM2")))
    current = make_current(await read_ring(database, kek), database, kek)
    threads = []
    signed = keys.Signer.sign

    def note(self: keys.Signer, claims: bytes, typ: str = "JWT") -> str:
        threads.append(threading.current_thread().name)
        return signed(self, claims, typ)

    monkeypatch.setattr(keys.Signer, "sign", note)
    for algorithm in ("ES256", "RS256", "SGD_SM3_SM2"):
        token = await current.sign_token(algorithm, b"{}", "logout+jwt")
        assert current.verify(token, "logout+jwt") == current.verify_past(token) == {}
        assert token.split(".")[0] == (await current.sign_token(current.find_signer(algorithm), b"{}", "logout+jwt")).split(".")[0]
    assert [name.split("_")[0] for name in threads] == ["MainThread"] * 2 + ["signing"] * 4
    assert json.loads(current.sm2_jwks)["keys"][0]["crv"] == "SM2-P-256"
    assert current.sm2_algorithms == ("SGD_SM3_SM2",)
    with pytest.raises(NoSigningKey):
        await current.sign_token("PS256", b"{}")
    current.close()
