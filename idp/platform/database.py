"""Decides how SQL is run: transactions for work, held prepared statements for hot reads, one retry for a lost read."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NewType

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

Row = asyncpg.Record
Transaction = NewType("Transaction", asyncpg.Connection)
"""An open transaction: stores take it first and call its ``fetch``, ``fetchrow``, ``fetchval`` and ``execute``."""

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    asyncpg.InvalidCachedStatementError,
    ConnectionError,
)
"""What asyncpg raises when the server went away, in every state of the protocol; and, before anything ran, when a migration made a held
statement stale: its connection is replaced like a lost one."""

SERVER_SETTINGS = {"jit": "off", "plan_cache_mode": "force_generic_plan", "application_name": "idp"}
"""Given as connection start parameters, so no session state is ever set and nothing needs a reset query."""


DatabaseRefused = asyncpg.PostgresError
"""What PostgreSQL itself says no with: a right that is missing, a table that is not there."""


class DatabaseUnavailable(Exception):
    """No connection could be had in time, or it was lost: whether a write took effect is then unknown."""


class UnusableDsn(Exception):
    """The connection string says nothing that PostgreSQL's driver understands; its text is never repeated, it may hold a password."""


class _Held:
    """One connection and the statements prepared on it."""

    __slots__ = ("connection", "statements")

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.statements: dict[str, PreparedStatement] = {}

    async def prepare(self, statement: str) -> PreparedStatement:
        prepared = self.statements.get(statement)
        if prepared is None:
            prepared = self.statements[statement] = await self.connection.prepare(statement)
        return prepared


class Database:
    """A small queue of connections to one PostgreSQL, each holding its prepared statements (33 µs a read against 95)."""

    def __init__(
        self, dsn: str, *, size: int = 8, connect_timeout: float = 5.0, statement_timeout: float = 10.0, wait_timeout: float = 10.0
    ) -> None:
        self._dsn = dsn
        self._size = size
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._wait_timeout = wait_timeout
        self._idle: deque[_Held] = deque()
        self._waiting: deque[asyncio.Future[_Held | None]] = deque()
        self._open = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def size(self) -> int:
        """How many connections it may open."""
        return self._size

    async def _connect(self) -> _Held:
        try:
            connection = await asyncpg.connect(
                self._dsn,
                timeout=self._connect_timeout,
                command_timeout=self._statement_timeout,
                statement_cache_size=256,
                server_settings=SERVER_SETTINGS,
            )
        except ValueError:
            raise UnusableDsn from None  # the cause would quote the string
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
            raise DatabaseUnavailable("the database did not accept a connection") from error
        return _Held(connection)

    async def _acquire(self) -> _Held:
        while True:
            while self._idle:
                held = self._idle.pop()
                if not held.connection.is_closed():
                    return held
                self._open -= 1
            if self._closed:
                raise DatabaseUnavailable("the database is closed")
            if self._open < self._size:
                self._open += 1
                try:
                    return await self._connect()
                except BaseException:
                    self._discard_slot()
                    raise
            given = await self._wait()
            if given is not None:
                return given

    async def _wait(self) -> _Held | None:
        """Wait for a connection (returned) or for the right to open one (None). Raises DatabaseUnavailable when it takes too long."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[_Held | None] = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_later(self._wait_timeout, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            # What was given in the same turn of the loop goes to the next one.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                given = waiter.result()
                if given is not None:
                    self._release(given)
                else:
                    self._wake(None)
            raise
        finally:
            timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _wake(self, held: _Held | None) -> bool:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(held)
                return True
        return False

    def _discard_slot(self) -> None:
        self._open -= 1
        self._wake(None)

    def _release(self, held: _Held) -> None:
        if held.connection.is_closed() or self._closed:
            self._discard(held)
        elif not self._wake(held):
            self._idle.append(held)

    def _discard(self, held: _Held) -> None:
        if not held.connection.is_closed():
            held.connection.terminate()
        self._discard_slot()

    def _retire(self, held: _Held) -> None:
        """Close a connection whose statement was given up; its place is free when the server has ended the statement."""
        task = asyncio.get_running_loop().create_task(self._end(held))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, held: _Held) -> None:
        try:
            # The driver has asked the server to cancel; closing waits for that, terminating would leave the statement running.
            await held.connection.close(timeout=self._connect_timeout)
        except (*LOST, asyncpg.InterfaceError, OSError):
            pass
        finally:
            self._discard(held)

    def _drop_idle(self) -> None:
        """After a loss the idle connections are suspect: the server that closed one has mostly closed them all."""
        while self._idle:
            self._discard(self._idle.pop())

    async def fetch(self, statement: str, *arguments: object) -> list[Row]:
        """Run one held statement that only reads; a lost connection is retried once on a new one."""
        try:
            return await self._run(statement, arguments)
        except _Lost:
            self._drop_idle()
        try:
            return await self._run(statement, arguments)
        except _Lost as lost:
            raise DatabaseUnavailable("the connection was lost twice") from lost.__cause__

    async def write(self, statement: str, *arguments: object) -> list[Row]:
        """Run one held statement that writes, as its own transaction; tried again on a new connection only when it was never sent."""
        try:
            return await self._run(statement, arguments)
        except _NeverSent:
            self._drop_idle()
        except _Lost as lost:
            self._drop_idle()
            raise DatabaseUnavailable("the connection was lost while writing") from lost.__cause__
        try:
            return await self._run(statement, arguments)
        except _Lost as lost:
            raise DatabaseUnavailable("the connection was lost while writing") from lost.__cause__

    async def _run(self, statement: str, arguments: tuple[object, ...]) -> list[Row]:
        held = await self._acquire()
        sent = False
        try:
            prepared = await held.prepare(statement)
            sent = True
            rows: list[Row] = await prepared.fetch(*arguments)
        except asyncio.CancelledError:
            self._retire(held)
            raise
        except TimeoutError as error:
            self._retire(held)
            raise DatabaseUnavailable("a statement took too long") from error
        except Exception as error:
            if _is_lost(error, held.connection):
                self._discard(held)
                raise (_Lost if sent else _NeverSent) from error
            self._release(held)
            raise
        self._release(held)
        return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction on a connection of its own; it commits at the end of the block or rolls back on any error.

        Raises DatabaseUnavailable when the connection is lost; lost while committing, whether it took effect is unknown.
        """
        held = await self._acquire()
        clean = False
        try:
            async with held.connection.transaction():
                yield Transaction(held.connection)
            clean = True
        except BaseException as error:
            if _is_lost(error, held.connection):
                raise DatabaseUnavailable("the connection was lost in a transaction") from error
            clean = not held.connection.is_closed() and not held.connection.is_in_transaction()
            raise
        finally:
            if clean:
                self._release(held)
            else:
                self._retire(held)

    @asynccontextmanager
    async def listen(self, channels: Sequence[str], callback: Any) -> AsyncIterator[asyncpg.Connection]:
        """Hold one further connection that listens on ``channels`` and calls ``callback(connection, pid, channel, payload)``."""
        held = await self._connect()
        try:
            for channel in channels:
                await held.connection.add_listener(channel, callback)
            yield held.connection
        finally:
            held.connection.terminate()

    async def close(self) -> None:
        """Close every idle connection; those in use close when they come back, and who waits for one is told."""
        self._closed = True
        while self._waiting:
            self._wake(None)
        while self._idle:
            self._retire(self._idle.pop())
        while self._ending:
            await asyncio.wait(self._ending)


class _Lost(Exception):
    """The connection went away under a statement; its cause says how."""


class _NeverSent(_Lost):
    """It went away while the statement was prepared: nothing was carried out. A server that ends says so before it closes."""


def _is_lost(error: BaseException, connection: asyncpg.Connection) -> bool:
    # InterfaceError means a closed connection as well as wrong arguments; only the first is a loss.
    return isinstance(error, LOST) or (isinstance(error, asyncpg.InterfaceError) and connection.is_closed())


def _give_up(waiter: "asyncio.Future[_Held | None]") -> None:
    if not waiter.done():
        waiter.set_exception(DatabaseUnavailable("every connection stayed in use"))
