"""Decides whether this process is alive, and whether it can do its work."""

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from idp.platform.database import Database
from idp.platform.transients import Transients

PROBE = "SELECT 1 AS answer"
PATIENCE = 2.0
NO_STORE = {"cache-control": "no-store"}


class Health:
    """``/healthz`` says that the process answers, ``/readyz`` that the database and the store of transients answer too."""

    def __init__(self, database: Database, transients: Transients) -> None:
        self._database = database
        self._transients = transients

    async def show_live(self, request: Request) -> Response:
        """Answer 200 while the event loop turns."""
        return PlainTextResponse("ok\n", headers=NO_STORE)

    async def show_ready(self, request: Request) -> Response:
        """Answer 200 when both answer within 2 s together, otherwise 503 and the name of what does not."""
        asked = "database"
        try:
            async with asyncio.timeout(PATIENCE):
                await self._database.fetch(PROBE)
                asked = "store of transients"
                await self._transients.get("health", "")
        except Exception:
            return PlainTextResponse(f"the {asked} does not answer\n", status_code=503, headers=NO_STORE)
        return PlainTextResponse("ok\n", headers=NO_STORE)
