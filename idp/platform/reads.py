"""Decides how hot reads are shared: those arriving while one read of a statement is in flight go together in the next."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from idp.platform.database import Database, Row

Value = TypeVar("Value")
MAX_BATCH = 256


class BatchedRead(Generic[Value]):
    """One statement read by many: ``read(a, b)`` returns the made value of its own row, or None without one.

    The statement takes one array per key column, unnests them WITH ORDINALITY and returns at most one row per key whose
    first column is the ordinal (from 1). ``shared`` further arguments are scalars of the whole batch (the instant, say): the
    first caller's count. A failed read fails everyone who shared it.
    """

    def __init__(self, database: Database, statement: str, columns: int, make: Callable[[Row], Value], *, shared: int = 0) -> None:
        self._database = database
        self._statement = statement
        self._columns = columns
        self._make = make
        self._shared = shared
        self._pending: list[tuple[tuple[Any, ...], asyncio.Future[Value | None]]] = []
        self._flying: asyncio.Task[None] | None = None

    async def read(self, *key: object) -> Value | None:
        """Return the value of one key."""
        future: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        self._pending.append((key, future))
        if self._flying is None:
            self._flying = asyncio.create_task(self._fly())
        return await future

    async def _fly(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
                await self._fly_batch(batch)
        finally:
            self._flying = None
            if self._pending:
                self._flying = asyncio.create_task(self._fly())

    async def _fly_batch(self, batch: list[tuple[tuple[Any, ...], asyncio.Future[Value | None]]]) -> None:
        try:
            arrays = [[key[i] for key, _ in batch] for i in range(self._columns)]
            first = batch[0][0]
            rows = await self._database.fetch(self._statement, *arrays, *first[self._columns : self._columns + self._shared])
            found = {row[0]: row for row in rows}
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else RuntimeError("the read was cancelled"))
            if not isinstance(error, Exception):
                raise
            return
        for ordinal, (_, future) in enumerate(batch, 1):
            if future.done():
                continue
            row = found.get(ordinal)
            try:
                future.set_result(None if row is None else self._make(row))
            except Exception as error:  # one row that cannot be read fails its own caller only
                future.set_exception(error)
