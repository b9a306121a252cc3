"""How a test waits for what another task, process or server does: for a condition, never for a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from idp.platform.database import Database

LISTENING = """
    SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN %' AND query LIKE $1
"""


async def wait_until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 30) -> None:
    """Return as soon as ``condition()`` is true; fail after ``seconds``."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        assert loop.time() < end, f"this did not come true within {seconds} seconds: {inspect.getsource(condition).strip()}"
        await asyncio.sleep(0.01)


async def wait_for_listener(database: Database, *channels: str, seconds: float = 30) -> None:
    """Return as soon as somebody listens on each of ``channels`` of this database."""

    async def all_listen() -> bool:
        return all([(await database.fetch(LISTENING, f"%{channel}%"))[0]["number"] for channel in channels])

    await wait_until(all_listen, seconds)
