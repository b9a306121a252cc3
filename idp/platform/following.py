"""Decides when what a process holds in memory is read again: when a change is told, when it asks to, and at the latest after a while."""

import asyncio
from collections.abc import Awaitable, Callable

from idp.platform.database import Database, DatabaseUnavailable


async def follow_channel(database: Database, channel: str, reload: Callable[[], Awaitable[float]], stop: asyncio.Event) -> None:
    """Call ``reload`` now and on every NOTIFY of ``channel`` until ``stop``; it returns after how many seconds to call it without one.

    Raises DatabaseUnavailable when the database goes away; call it again then.
    """
    wake = asyncio.Event()
    stopper = asyncio.ensure_future(stop.wait())
    stopper.add_done_callback(lambda _: wake.set())
    try:
        async with database.listen([channel], lambda *_: wake.set()) as connection:
            connection.add_termination_listener(lambda _: wake.set())
            while not stop.is_set():
                wake.clear()
                seconds = await reload()
                try:
                    async with asyncio.timeout(seconds):
                        await wake.wait()
                except TimeoutError:
                    pass
                if connection.is_closed():
                    raise DatabaseUnavailable(f"whoever follows {channel} lost the database")
    finally:
        stopper.cancel()
