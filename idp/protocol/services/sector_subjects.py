"""Decides as whom a sector knows a person: what a client is told and what a resource server is told differ where their sectors do."""

from uuid import UUID

from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id
from idp.platform.database import Database
from idp.protocol.stores import subjects


class SectorSubjects:
    """Finds pairwise subjects; one is made when a sector meets a person for the first time."""

    def __init__(self, database: Database, clock: Clock, random: Random) -> None:
        self._database = database
        self._clock = clock
        self._random = random

    async def find(self, person_id: UUID, sector_id: UUID) -> str:
        """Return the subject of a person in a sector: one statement where they have met."""
        known = await subjects.find(self._database, person_id, sector_id)
        if known is not None:
            return known
        async with self._database.transaction() as tx:
            return await subjects.find_or_add(tx, person_id, sector_id, make_outward_id(self._random), self._clock())
