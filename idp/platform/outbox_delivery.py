"""Decides when the outbox is looked at: at once when PostgreSQL tells of an insert, else when the next retry is due."""

import asyncio
from collections.abc import Callable, Mapping

from idp.kernel.clock import Clock
from idp.platform.database import Database, DatabaseUnavailable
from idp.platform.outbox import BATCH, CHANNEL, Attempt, Claimed, Handler, Outbox

IDLE = 5.0
"""Seconds after which the outbox is looked at although nobody told of anything: a lost notification delays, it never loses."""

GRACE = 20.0
"""Seconds that calls in flight may take after the stop; longer than the time-out of a call."""


class OutboxDelivery:
    """Keeps up to BATCH calls in flight; a slow far side holds up its own message only."""

    def __init__(
        self,
        outbox: Outbox,
        database: Database,
        handlers: Mapping[str, Handler],
        clock: Clock,
        on_attempt: Callable[[Attempt], None] = lambda _: None,
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._handlers = handlers
        self._kinds = list(handlers)
        self._clock = clock
        self._on_attempt = on_attempt
        self._wake = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._lost: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop``; then let the calls in flight end. Raises DatabaseUnavailable when the database goes away."""
        stopper = asyncio.ensure_future(stop.wait())
        stopper.add_done_callback(lambda _: self._wake.set())
        self._lost = None
        try:
            async with self._database.listen([CHANNEL], lambda *_: self._wake.set()) as connection:
                connection.add_termination_listener(lambda _: self._wake.set())
                while not stop.is_set():
                    self._wake.clear()
                    await self._claim()
                    if connection.is_closed() or self._lost is not None:
                        raise DatabaseUnavailable("the outbox lost its database") from self._lost
                    await self._sleep()
        finally:
            stopper.cancel()
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=GRACE)

    async def _claim(self) -> None:
        room = BATCH - len(self._in_flight)
        if room <= 0:
            return
        claimed, expired = await self._outbox.claim(self._database, self._kinds, room)
        for attempt in expired:
            self._on_attempt(attempt)
        for message in claimed:
            task = asyncio.create_task(self._deliver(message))
            self._in_flight.add(task)
            task.add_done_callback(self._end)

    async def _deliver(self, message: Claimed) -> None:
        try:
            self._on_attempt(await self._outbox.deliver(self._database, message, self._handlers[message.kind]))
        except DatabaseUnavailable as error:  # the lease ends by itself and the message is claimed again
            self._lost = error

    def _end(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._wake.set()

    async def _sleep(self) -> None:
        if self._wake.is_set():
            return
        pause = IDLE
        if len(self._in_flight) < BATCH:  # otherwise the first call that ends wakes us
            due = await self._outbox.find_next_due(self._database, self._kinds)
            if due is not None:
                pause = min(max((due - self._clock()).total_seconds(), 0.05), IDLE)
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return
