"""Decides what becomes of work that an answer does not wait for: bounded, finished before the process ends, and a failure is logged."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from idp.platform.logging import get_logger

LOG = "idp.afterwards"
MOST = 200
"""So much such work goes on at once; what is more is not begun, and whoever asked for it asks again."""


class Afterwards:
    """Runs coroutines beside the requests that began them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._running: set[asyncio.Task[Any]] = set()
        self._log = get_logger(LOG)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> bool:
        """Begin ``work``; tell False, and do nothing, when too much is under way."""
        if len(self._running) >= self._most:
            work.close()
            self._log.warning("not_begun", work=name)
            return False
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._end)
        return True

    async def settle(self) -> None:
        """Wait until everything that was begun is over."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("failed", work=task.get_name(), error=type(error).__name__)
