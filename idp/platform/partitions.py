"""Decides that the months to come have their partitions of audit and outbox before the first row needs them."""

from datetime import datetime

from idp.platform.database import Database

ENSURE_PARTITIONS = "SELECT ensure_partitions($1) AS made"


async def ensure_partitions(database: Database, now: datetime) -> list[str]:
    """Make the partitions of this month and the next two, where absent, and return their names.

    The function in the schema belongs to the owner: the service owns no table. Nothing is ever dropped.
    """
    (row,) = await database.write(ENSURE_PARTITIONS, now)
    made: list[str] = row["made"]
    return made
