"""The queue of connections: shared fairly, never leaked, and honest about a server that goes away."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from idp.platform.database import Database, DatabaseUnavailable
from tests.support.waiting import wait_until

SLEEP = "SELECT pg_sleep($1)"
WHO = "SELECT pg_backend_pid() AS pid"


@pytest_asyncio.fixture(scope="module", autouse=True)
async def table(owner_dsn: str) -> None:
    connection = await asyncpg.connect(owner_dsn)
    await connection.execute("CREATE TABLE notes (id integer PRIMARY KEY, text text NOT NULL); GRANT ALL ON notes TO idp_app")
    await connection.close()


@pytest_asyncio.fixture
async def small(service_dsn: str) -> AsyncIterator[Database]:
    opened = Database(service_dsn, size=2, wait_timeout=5)
    await opened.write("DELETE FROM notes")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def owner(owner_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner_dsn)
    yield connection
    await connection.close()


async def find_idp_backends(owner: asyncpg.Connection) -> int:
    count: int = await owner.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user AND application_name = 'idp'"
    )
    return count


async def find_running(owner: asyncpg.Connection, statement: str) -> int | None:
    pid: int | None = await owner.fetchval("SELECT pid FROM pg_stat_activity WHERE query = $1 AND state = 'active'", statement)
    return pid


async def wait_until_it_runs(owner: asyncpg.Connection, statement: str, *, except_on: int | None = None) -> int:
    """Return the backend, another one than ``except_on``, that works on the statement."""
    found: list[int] = []

    async def runs() -> bool:
        pid = await find_running(owner, statement)
        if pid is not None and pid != except_on:
            found.append(pid)
        return bool(found)

    await wait_until(runs)
    return found[0]


async def wait_until_nothing_runs(owner: asyncpg.Connection, statement: str = SLEEP) -> None:
    async def ended() -> bool:
        return await find_running(owner, statement) is None

    await wait_until(ended)


async def terminate(owner: asyncpg.Connection, pid: int) -> None:
    assert await owner.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)


async def test_many_callers_share_few_connections(small: Database, owner: asyncpg.Connection) -> None:
    answers = await asyncio.gather(*(small.fetch("SELECT $1::int AS n", n) for n in range(200)))
    assert [rows[0]["n"] for rows in answers] == list(range(200))
    assert 1 <= await find_idp_backends(owner) <= 2


async def test_statements_are_prepared_once_and_planned_generically(small: Database) -> None:
    for _ in range(3):
        await small.fetch("SELECT text FROM notes WHERE id = $1", 1)
    async with small.transaction() as tx:
        settings = await tx.fetchrow("SELECT current_setting('jit') AS jit, current_setting('plan_cache_mode') AS mode")
        prepared = await tx.fetch("SELECT statement FROM pg_prepared_statements")
    assert settings is not None
    assert (settings["jit"], settings["mode"]) == ("off", "force_generic_plan")
    assert [row["statement"] for row in prepared].count("SELECT text FROM notes WHERE id = $1") <= 1


async def test_a_transaction_commits_or_leaves_nothing(small: Database) -> None:
    async with small.transaction() as tx:
        await tx.execute("INSERT INTO notes (id, text) VALUES (1, 'kept')")

    async def fail() -> None:
        async with small.transaction() as tx:
            await tx.execute("INSERT INTO notes (id, text) VALUES (2, 'gone')")
            raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose"):
        await fail()
    with pytest.raises(asyncpg.UniqueViolationError):
        await small.write("INSERT INTO notes (id, text) VALUES (1, 'again')")
    assert [row["id"] for row in await small.fetch("SELECT id FROM notes ORDER BY id")] == [1]


async def test_a_wrong_argument_is_a_fault_not_a_lost_connection(small: Database) -> None:
    pid = (await small.fetch(WHO))[0]["pid"]
    wrong: list[tuple[Callable[..., object], tuple[object, ...]]] = [
        (small.fetch, ("SELECT $1::int",)),
        (small.fetch, ("SELECT $1::int", "text")),
        (small.fetch, ("SELECT $1::int", 2**40)),
        (small.write, ("INSERT INTO notes (id, text) VALUES ($1, $2)", 1)),
    ]
    for verb, arguments in wrong:
        with pytest.raises((asyncpg.InterfaceError, asyncpg.DataError)):
            await verb(*arguments)  # type: ignore[misc]

    async def misuse() -> None:
        async with small.transaction() as tx:
            await tx.fetch("SELECT $1::int", "text")

    with pytest.raises((asyncpg.InterfaceError, asyncpg.DataError)):
        await misuse()
    assert (await small.fetch(WHO))[0]["pid"] == pid


async def test_a_cancelled_waiter_loses_no_connection(small: Database) -> None:
    for moment in (0, 1, 2, 3):
        sleepers = [asyncio.ensure_future(small.fetch(SLEEP, 0.05)) for _ in range(2)]
        await asyncio.sleep(0)
        waiters = [asyncio.ensure_future(small.fetch(WHO)) for _ in range(6)]
        await asyncio.sleep(0)
        if moment:
            await asyncio.wait(sleepers, return_when=asyncio.FIRST_COMPLETED)
            for _ in range(moment - 1):
                await asyncio.sleep(0)
        for waiter in waiters[:3]:
            waiter.cancel()
        outcomes = await asyncio.gather(*waiters, return_exceptions=True)
        assert all(isinstance(outcome, list | asyncio.CancelledError) for outcome in outcomes)
        assert all(isinstance(outcome, list) for outcome in outcomes[3:])
        await asyncio.gather(*sleepers)
    # Both connections are still to be had at once.
    async with small.transaction(), small.transaction():
        pass


async def test_a_connection_given_and_cancelled_in_the_same_turn_goes_on_to_the_next(small: Database) -> None:
    async with small.transaction():
        holder = small.transaction()
        await holder.__aenter__()
        first = asyncio.ensure_future(small.fetch(WHO))
        second = asyncio.ensure_future(small.fetch(WHO))
        await asyncio.sleep(0)
        await holder.__aexit__(None, None, None)  # gives the connection to the first
        first.cancel()
        assert await asyncio.wait_for(second, 10)
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_cancelling_first_and_releasing_in_the_same_turn_is_no_error(small: Database) -> None:
    one, two = small.transaction(), small.transaction()
    await one.__aenter__()
    await two.__aenter__()
    waiter = asyncio.ensure_future(small.fetch(WHO))
    await asyncio.sleep(0)
    waiter.cancel()
    small._wake(None)  # what a release does before the cancelled waiter runs again
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await one.__aexit__(None, None, None)
    await two.__aexit__(None, None, None)
    assert await small.fetch(WHO)


async def test_a_cancelled_statement_leaves_the_database_usable(small: Database, owner: asyncpg.Connection) -> None:
    for _ in range(4):
        task = asyncio.ensure_future(small.fetch(SLEEP, 30))
        await wait_until_it_runs(owner, SLEEP)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(await asyncio.gather(*(small.fetch(WHO) for _ in range(4)))) == 4
    await wait_until_nothing_runs(owner)
    assert await find_idp_backends(owner) <= 2

    written = asyncio.Event()

    async def hold() -> None:
        async with small.transaction() as tx:
            await tx.execute("INSERT INTO notes (id, text) VALUES (7, 'cancelled')")
            written.set()
            await asyncio.sleep(30)

    holding = asyncio.ensure_future(hold())
    await asyncio.wait_for(written.wait(), 10)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await small.fetch("SELECT id FROM notes WHERE id = 7") == []


async def test_waiting_for_a_connection_ends(service_dsn: str) -> None:
    database = Database(service_dsn, size=1, wait_timeout=0.1)
    async with database.transaction():
        with pytest.raises(DatabaseUnavailable, match="in use"):
            await database.fetch(WHO)
    assert await database.fetch(WHO)
    await database.close()


async def test_a_statement_that_takes_too_long_is_ended(service_dsn: str, owner: asyncpg.Connection) -> None:
    database = Database(service_dsn, size=1, statement_timeout=1)
    with pytest.raises(DatabaseUnavailable, match="too long"):
        await database.fetch(SLEEP, 20)
    assert await database.fetch(WHO)
    await wait_until_nothing_runs(owner)
    await database.close()


async def test_a_read_whose_connection_was_lost_is_retried_once(small: Database, owner: asyncpg.Connection) -> None:
    before = (await small.fetch(WHO))[0]["pid"]
    statement = "SELECT pg_backend_pid() AS pid, pg_sleep($1)"
    reading = asyncio.ensure_future(small.fetch(statement, 2))
    assert await wait_until_it_runs(owner, statement) == before
    await terminate(owner, before)
    assert (await reading)[0]["pid"] != before


async def test_a_read_that_is_lost_twice_says_so(small: Database, owner: asyncpg.Connection) -> None:
    reading = asyncio.ensure_future(small.fetch(SLEEP, 3))
    pid = None
    for _ in range(2):
        pid = await wait_until_it_runs(owner, SLEEP, except_on=pid)
        await terminate(owner, pid)
    with pytest.raises(DatabaseUnavailable, match="twice"):
        await reading
    assert await small.fetch(WHO)


async def test_a_write_whose_connection_was_lost_is_not_repeated(small: Database, owner: asyncpg.Connection) -> None:
    before = (await small.fetch(WHO))[0]["pid"]
    statement = "INSERT INTO notes (id, text) SELECT 10, pg_sleep($1)::text RETURNING id"
    writing = asyncio.ensure_future(small.write(statement, 0.4))
    assert await wait_until_it_runs(owner, statement) == before
    await terminate(owner, before)
    with pytest.raises(DatabaseUnavailable, match="writing"):
        await writing
    await wait_until_nothing_runs(owner, statement)
    assert await small.fetch("SELECT id FROM notes WHERE id = 10") == []


async def test_a_transaction_whose_connection_was_lost_fails_clearly(small: Database, owner: asyncpg.Connection) -> None:
    async def work(*, notice: bool) -> None:
        async with small.transaction() as tx:
            await tx.execute("INSERT INTO notes (id, text) VALUES (20, 'half')")
            await terminate(owner, await tx.fetchval("SELECT pg_backend_pid()"))
            if notice:
                await tx.execute("INSERT INTO notes (id, text) VALUES (21, 'half')")

    for notice in (True, False):
        with pytest.raises(DatabaseUnavailable, match="transaction"):
            await work(notice=notice)
    assert await small.fetch("SELECT id FROM notes WHERE id IN (20, 21)") == []


async def test_idle_connections_that_died_are_replaced_without_a_word(small: Database, owner: asyncpg.Connection) -> None:
    async with small.transaction() as one, small.transaction() as two:
        pids = [await tx.fetchval("SELECT pg_backend_pid()") for tx in (one, two)]
    for pid in pids:
        await terminate(owner, pid)
    await asyncio.gather(*(small.write("INSERT INTO notes (id, text) VALUES ($1, 'new')", 30 + n) for n in range(6)))
    assert len(await small.fetch("SELECT id FROM notes WHERE id >= 30")) == 6
    assert await find_idp_backends(owner) <= 2


async def test_a_write_that_was_never_sent_is_sent_once(small: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends a connection says so before it closes it; in between the driver refuses to begin."""
    prepare, refused = asyncpg.Connection.prepare, asyncpg.InternalClientError("cannot switch to state 11")
    faults = [refused]

    async def refuse_first(connection: asyncpg.Connection, statement: str) -> object:
        if faults:
            raise faults.pop()
        return await prepare(connection, statement)

    monkeypatch.setattr(asyncpg.Connection, "prepare", refuse_first)
    await small.write("INSERT INTO notes (id, text) VALUES ($1, 'sent once')", 40)
    assert len(await small.fetch("SELECT id FROM notes WHERE text = 'sent once'")) == 1
    faults += [refused, refused]
    with pytest.raises(DatabaseUnavailable, match="writing"):
        await small.write("INSERT INTO notes (id, text) VALUES ($1, 'never sent')", 41)
    assert await small.fetch("SELECT id FROM notes WHERE text = 'never sent'") == []


async def test_a_statement_that_a_migration_made_stale_is_prepared_anew(small: Database, owner: asyncpg.Connection) -> None:
    await owner.execute("CREATE TABLE changing (id integer); INSERT INTO changing (id) VALUES (5); GRANT SELECT ON changing TO idp_app")
    statement = "SELECT id FROM changing"
    assert (await small.fetch(statement))[0]["id"] == 5
    await owner.execute("ALTER TABLE changing ALTER COLUMN id TYPE text")
    assert (await small.fetch(statement))[0]["id"] == "5"


async def test_a_server_that_is_not_there_is_named(service_dsn: str) -> None:
    nowhere = Database("postgresql://nobody:wrong@127.0.0.1:1/idp", connect_timeout=1)
    for verb in (nowhere.fetch, nowhere.write):
        with pytest.raises(DatabaseUnavailable, match="accept"):
            await verb(WHO)
    with pytest.raises(DatabaseUnavailable) as caught:
        await Database(service_dsn.replace("@", "x@")).fetch(WHO)
    assert "x@" not in str(caught.value)


async def test_closing_tells_those_who_wait(service_dsn: str) -> None:
    database = Database(service_dsn, size=1)
    async with database.transaction():
        waiter = asyncio.ensure_future(database.fetch(WHO))
        await asyncio.sleep(0)
        await database.close()
        with pytest.raises(DatabaseUnavailable, match="closed"):
            await waiter
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await database.fetch(WHO)


async def test_listening_hears_what_is_notified(small: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with small.listen(["outbox"], lambda connection, pid, channel, payload: heard.put_nowait(payload)):
        await small.write("SELECT pg_notify('outbox', 'x')")
        assert await asyncio.wait_for(heard.get(), 10) == "x"
