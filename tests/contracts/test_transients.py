"""The contract of ``Transients``: the same suite runs on PostgreSQL and on Redis."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from idp.kernel.clock import Random
from idp.platform.database import Database, DatabaseUnavailable
from idp.platform.transients import KEY_LIMIT, VALUE_LIMIT, Counted, Transients, TransientsUnavailable, TransientTooLarge
from idp.platform.transients.postgres import PostgresTransients, remove_expired
from idp.platform.transients.redis import RedisTransients, connect_redis
from keys import DataKey, DataKeys, Suite
from tests.support.clocks import ManualClock

PHONE = "13900001234"  # synthetic
SECRET = b"synthetic-one-time-code-480213"


@dataclass
class Store:
    """A store under test and what the suite must do from outside of it."""

    transients: Transients
    pass_time: Callable[[float], Awaitable[None]]
    read_raw: Callable[[], Awaitable[bytes]]
    empty: Callable[[], Awaitable[None]]
    spoil: Callable[[], Awaitable[None]]
    make_other: Callable[[DataKeys], Transients]
    make_named: Callable[[DataKeys], Transients]


@pytest_asyncio.fixture
async def postgres_store(database: Database, data_keys: DataKeys, clock: ManualClock, random: Random) -> Store:
    await database.write("DELETE FROM transients")
    return _make_postgres(database, data_keys, clock, random)


@pytest_asyncio.fixture
async def redis_store(redis_url: str, data_keys: DataKeys, clock: ManualClock, random: Random) -> AsyncIterator[Store]:
    redis = connect_redis(redis_url)
    await redis.flushall()
    yield _make_redis(redis, data_keys, clock, random)
    await redis.aclose()


@pytest.fixture(params=["postgres", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest) -> Store:
    chosen: Store = request.getfixturevalue(f"{request.param}_store")
    return chosen


def _make_postgres(database: Database, data_keys: DataKeys, clock: ManualClock, random: Random) -> Store:
    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    async def read_raw() -> bytes:
        rows = await database.fetch("SELECT kind, key, value, version, expires_at FROM transients")
        return b"\n".join(row["kind"].encode() + row["key"] + row["value"] + repr(row).encode() for row in rows)

    async def empty() -> None:
        await database.write("DELETE FROM transients")

    async def spoil() -> None:
        await database.write("UPDATE transients SET value = value || '\\x00'::bytea WHERE value <> ''")

    def make_other(keys: DataKeys) -> Transients:
        return PostgresTransients(database, keys.sealer("transients"), keys.mac("transients"), clock, random)

    def make_named(keys: DataKeys) -> Transients:
        return PostgresTransients(database, keys.sealer("transients"), keys.mac("transient_names"), clock, random)

    return Store(make_other(data_keys), pass_time, read_raw, empty, spoil, make_other, make_named)


def _make_redis(redis: Any, data_keys: DataKeys, clock: ManualClock, random: Random) -> Store:
    async def pass_time(seconds: float) -> None:
        """Shorten what is left of every key, for the server's own time cannot be moved; and waiting for it would be a race."""
        clock.advance(seconds)
        for name in [name async for name in redis.scan_iter()]:
            left = await redis.pttl(name)
            if left > seconds * 1_000:
                await redis.pexpire(name, left - int(seconds * 1_000))
            elif left >= 0:
                await redis.delete(name)

    async def read_raw() -> bytes:
        names = [name async for name in redis.scan_iter()]
        return b"\n".join([name + b" " + (await redis.get(name)) for name in names])

    async def empty() -> None:
        await redis.flushall()

    async def spoil() -> None:
        for name in [name async for name in redis.scan_iter()]:
            await redis.append(name, b"x")

    def make_other(keys: DataKeys) -> Transients:
        return RedisTransients(redis, keys.sealer("transients"), keys.mac("transients"), clock, random)

    def make_named(keys: DataKeys) -> Transients:
        return RedisTransients(redis, keys.sealer("transients"), keys.mac("transient_names"), clock, random)

    return Store(make_other(data_keys), pass_time, read_raw, empty, spoil, make_other, make_named)


async def test_put_and_get(store: Store) -> None:
    await store.transients.put("code", PHONE, SECRET, 60)
    found = await store.transients.get("code", PHONE)
    assert found is not None
    assert found.value == SECRET
    assert await store.transients.get("code", "another") is None
    assert await store.transients.get("other-kind", PHONE) is None


async def test_put_replaces_value_and_time(store: Store) -> None:
    await store.transients.put("code", "k", b"first", 20)
    await store.transients.put("code", "k", b"second", 60)
    await store.pass_time(30)
    assert await store.transients.take("code", "k") == b"second"


async def test_a_value_expires(store: Store) -> None:
    await store.transients.put("code", "k", b"v", 20)
    first = await store.transients.get("code", "k")
    assert first is not None
    await store.pass_time(30)
    assert await store.transients.get("code", "k") is None
    assert await store.transients.take("code", "k") is None
    assert not await store.transients.replace("code", "k", b"w", first.version)
    assert await store.transients.get("code", "k") is None


async def test_take_has_one_winner_among_a_hundred(store: Store) -> None:
    for round_number in range(3):
        key = f"k{round_number}"
        await store.transients.put("code", key, SECRET, 60)
        taken = await asyncio.gather(*(store.transients.take("code", key) for _ in range(100)))
        assert Counter(taken) == {SECRET: 1, None: 99}


async def test_replace_has_one_winner_for_a_version(store: Store) -> None:
    await store.transients.put("interaction", "k", b"0", 60)
    before = await store.transients.get("interaction", "k")
    assert before is not None
    done = await asyncio.gather(*(store.transients.replace("interaction", "k", str(n).encode(), before.version) for n in range(50)))
    assert Counter(done) == {True: 1, False: 49}
    after = await store.transients.get("interaction", "k")
    assert after is not None
    assert after.value == str(done.index(True)).encode()
    assert after.version != before.version
    assert await store.transients.replace("interaction", "k", b"again", after.version)


async def test_replace_keeps_the_time_the_value_lives_until(store: Store) -> None:
    await store.transients.put("interaction", "k", b"0", 30)
    found = await store.transients.get("interaction", "k")
    assert found is not None
    await store.pass_time(10)
    assert await store.transients.replace("interaction", "k", b"1", found.version)
    await store.pass_time(30)
    assert await store.transients.get("interaction", "k") is None


async def test_a_version_never_fits_a_value_that_was_put_again(store: Store) -> None:
    await store.transients.put("interaction", "k", b"old", 60)
    old = await store.transients.get("interaction", "k")
    assert old is not None
    await store.transients.take("interaction", "k")
    assert not await store.transients.replace("interaction", "k", b"x", old.version)
    await store.transients.put("interaction", "k", b"new", 60)
    assert not await store.transients.replace("interaction", "k", b"x", old.version)
    assert await store.transients.take("interaction", "k") == b"new"


async def test_add_once_has_one_winner_and_ends(store: Store) -> None:
    answers = await asyncio.gather(*(store.transients.add_once("replay", "jti", 30) for _ in range(50)))
    assert Counter(answers) == {True: 1, False: 49}
    await store.pass_time(20)
    assert not await store.transients.add_once("replay", "jti", 30)
    await store.pass_time(20)
    assert await store.transients.add_once("replay", "jti", 60)
    assert not await store.transients.add_once("replay", "jti", 60)


async def test_count_adds_up_and_its_window_begins_with_the_first_count(store: Store) -> None:
    answers = await asyncio.gather(*(store.transients.count("tries", "k", 50) for _ in range(20)))
    assert sorted(counted.number for counted in answers) == list(range(1, 21))
    assert len({counted.expires_at for counted in answers}) == 1
    await store.pass_time(30)
    assert (await store.transients.count("tries", "k", 50, by=5)).number == 25
    await store.pass_time(30)  # later counts did not lengthen the window
    assert (await store.transients.count("tries", "k", 50)).number == 1
    assert (await store.transients.count("tries", "other", 50)).number == 1


async def test_what_is_given_back_leaves_the_window_as_it_was_and_is_never_below_nothing(store: Store) -> None:
    first = await store.transients.count("tries", "k", 50, by=3)
    await store.transients.uncount("tries", "k", first, by=2)
    second = await store.transients.count("tries", "k", 50)
    assert second == Counted(2, first.expires_at)
    await asyncio.gather(*(store.transients.uncount("tries", "k", first, by=7) for _ in range(5)))
    assert await store.transients.count("tries", "k", 50) == Counted(1, first.expires_at)
    await store.pass_time(60)  # the window ended when it would have ended
    assert (await store.transients.count("tries", "k", 50)).expires_at > first.expires_at


async def test_what_was_counted_in_one_window_is_never_given_back_in_another(store: Store) -> None:
    late = [await store.transients.count("tries", "k", 30) for _ in range(20)]
    await store.pass_time(40)
    for counted in late[:10]:
        await store.transients.uncount("tries", "k", counted)
    assert (await store.transients.count("tries", "k", 50)).number == 1, "no window was begun by giving back"
    for counted in late[10:]:
        await store.transients.uncount("tries", "k", counted)
    assert (await store.transients.count("tries", "k", 50)).number == 2
    await store.transients.uncount("tries", "never counted", late[0])
    assert (await store.transients.count("tries", "never counted", 5)).number == 1


@pytest.mark.parametrize("by", [0, -1])
async def test_a_count_only_goes_up_and_a_gift_only_down(store: Store, by: int) -> None:
    counted = await store.transients.count("tries", "k", 50)
    with pytest.raises(ValueError, match="at least 1"):
        await store.transients.count("tries", "k", 5, by=by)
    with pytest.raises(ValueError, match="at least 1"):
        await store.transients.uncount("tries", "k", counted, by=by)
    assert (await store.transients.count("tries", "k", 50)).number == 2


async def test_the_stored_bytes_hold_neither_key_nor_value(store: Store) -> None:
    await store.transients.put("code", PHONE, SECRET, 60)
    await store.transients.add_once("seen", PHONE, 60)
    await store.transients.count("tries", PHONE, 60)
    found = await store.transients.get("code", PHONE)
    assert found is not None
    await store.transients.replace("code", PHONE, SECRET + b"!", found.version)
    raw = await store.read_raw()
    assert b"code" in raw
    assert b"tries" in raw
    for clear in (PHONE.encode(), SECRET, PHONE.encode().hex().encode(), SECRET.hex().encode()):
        assert clear not in raw


async def test_a_changed_or_foreign_value_counts_as_absent(store: Store) -> None:
    await store.transients.put("code", "k", SECRET, 60)
    await store.spoil()
    assert await store.transients.get("code", "k") is None
    assert await store.transients.take("code", "k") is None


async def test_the_birth_is_not_after_the_first_value_and_stays(store: Store, clock: ManualClock) -> None:
    start = clock()
    await store.transients.put("code", "k", b"v", 60)
    clock.advance(100)
    assert await store.transients.born_at() == start
    await store.transients.put("code", "k", b"v", 60)
    clock.advance(100)
    assert await store.transients.born_at() == start


async def test_an_emptied_store_grants_nothing_and_is_newly_born(store: Store, clock: ManualClock) -> None:
    await store.transients.put("code", "k", SECRET, 3600)
    assert await store.transients.add_once("replay", "proof", 3600)
    proof_made_at = clock()
    assert await store.transients.born_at() <= proof_made_at
    clock.advance(10)
    await store.empty()
    assert await store.transients.get("code", "k") is None
    assert await store.transients.take("code", "k") is None
    # The mark is forgotten, so the proof seems new; the birth tells that it may not be.
    assert await store.transients.add_once("replay", "proof", 3600)
    assert await store.transients.born_at() > proof_made_at


async def test_another_key_finds_nothing_and_is_newly_born(store: Store, clock: ManualClock, random: Random) -> None:
    await store.transients.put("code", "k", SECRET, 60)
    clock.advance(5)
    other = store.make_other(DataKeys([DataKey("new", "transients", random(32))]))
    assert await other.get("code", "k") is None
    assert await other.born_at() == clock()


async def test_keys_that_rotate_under_it(store: Store, clock: ManualClock, random: Random) -> None:
    """A new sealing key loses nothing; a new key of names is a new birth, or a mark that is not found would let a proof in twice."""
    sealing, naming = DataKey("s-1", "transients", random(32)), DataKey("n-1", "transient_names", random(32))
    keys = DataKeys([sealing, naming])
    rotating = store.make_named(keys)
    await rotating.put("code", "k", SECRET, 60)
    assert await rotating.add_once("replay", "proof", 60)
    born = await rotating.born_at()
    clock.advance(5)
    keys.replace([sealing, naming, DataKey("s-2", "transients", random(32), Suite.NATIONAL)])
    found = await rotating.get("code", "k")
    assert found is not None
    assert found.value == SECRET
    assert not await rotating.add_once("replay", "proof", 60)
    assert await rotating.born_at() == born
    keys.replace([sealing, naming, DataKey("n-2", "transient_names", random(32), Suite.NATIONAL)])
    assert await rotating.get("code", "k") is None
    assert await rotating.add_once("replay", "proof", 60), "the mark is not found any more"
    assert await rotating.born_at() == clock(), "and the store says so"


async def test_sizes_are_bounded(store: Store) -> None:
    await store.transients.put("code", "k" * KEY_LIMIT, b"v" * VALUE_LIMIT, 60)
    found = await store.transients.get("code", "k" * KEY_LIMIT)
    assert found is not None
    assert len(found.value) == VALUE_LIMIT
    with pytest.raises(TransientTooLarge):
        await store.transients.put("code", "k", b"v" * (VALUE_LIMIT + 1), 60)
    with pytest.raises(TransientTooLarge):
        await store.transients.replace("code", "k" * KEY_LIMIT, b"v" * (VALUE_LIMIT + 1), found.version)
    for verb in (store.transients.get, store.transients.take):
        with pytest.raises(TransientTooLarge):
            await verb("code", "k" * (KEY_LIMIT + 1))
    for ttl in (0, -1, 1e9, float("nan")):
        with pytest.raises(ValueError, match="lives"):
            await store.transients.put("code", "k", b"v", ttl)
    with pytest.raises(ValueError, match="NUL"):
        await store.transients.get("co\0de", "k")


async def test_any_text_is_a_key(store: Store) -> None:
    for key in ("", "\0", "a\0b", "证", "\ud800", "'; DROP TABLE transients; --"):
        await store.transients.put("code", key, key.encode("utf-8", "surrogatepass"), 60)
    for key in ("", "\0", "a\0b", "证", "\ud800", "'; DROP TABLE transients; --"):
        assert await store.transients.take("code", key) == key.encode("utf-8", "surrogatepass")


async def test_removing_what_expired_is_bounded(database: Database, transients: PostgresTransients, clock: ManualClock) -> None:
    await database.write("DELETE FROM transients")
    for number in range(25):
        await transients.put("code", str(number), b"v", 10)
    await transients.put("code", "kept", b"v", 1000)
    born = await transients.born_at()
    assert await remove_expired(database, clock(), batch=10) == 0
    clock.advance(11)
    assert await remove_expired(database, clock(), batch=10, batches=1) == 10
    assert await remove_expired(database, clock(), batch=3) == 15, "until nothing is left"
    assert await remove_expired(database, clock(), batch=3) == 0
    assert await transients.take("code", "kept") == b"v"
    assert await transients.born_at() == born


@pytest.mark.redis
async def test_a_lost_redis_is_named_at_once_and_nothing_is_repeated(data_keys: DataKeys, clock: ManualClock, random: Random) -> None:
    commands: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands.append(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    redis = connect_redis(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0?protocol=2", timeout=0.5)
    transients = RedisTransients(redis, data_keys.sealer("transients"), data_keys.mac("transients"), clock, random)
    begun = time.monotonic()
    with pytest.raises(TransientsUnavailable):
        await transients.count("tries", "k", 60)
    assert time.monotonic() - begun < 10
    assert len(commands) == 1
    server.close()
    await server.wait_closed()
    with pytest.raises(DatabaseUnavailable):
        await transients.take("code", "k")
    await redis.aclose()
