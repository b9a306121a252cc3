"""Decides whether this process is alive, and whether it can do its work."""

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from idp.platform.database import Database

PROBE = "SELECT 1 AS answer"
PATIENCE = 2.0
NO_STORE = {"cache-control": "no-store"}


class Health:
    """``/healthz`` says that the process answers, ``/readyz`` that the database answers too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show_live(self, request: Request) -> Response:
        """Answer 200 while the event loop turns."""
        return PlainTextResponse("ok\n", headers=NO_STORE)

    async def show_ready(self, request: Request) -> Response:
        """Answer 200 when the database answers within 2 s, otherwise 503."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._database.fetch(PROBE)
        except Exception:
            return PlainTextResponse("the database does not answer\n", status_code=503, headers=NO_STORE)
        return PlainTextResponse("ok\n", headers=NO_STORE)
