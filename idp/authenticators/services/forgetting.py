"""Decides when what throttling keeps in logged tables is forgotten: locks when they open, daily counts after two days."""

from datetime import datetime, timedelta

from idp.authenticators.rules.sms_limits import find_day
from idp.authenticators.stores import locks, message_counts
from idp.platform.database import Database

KEPT_DAYS = timedelta(days=2)


async def forget_past(database: Database, now: datetime) -> None:
    """Delete opened locks and the counts of days long over; periodic work, may run any number of times."""
    async with database.transaction() as tx:
        await locks.drop_open(tx, now)
        await message_counts.drop_days(tx, find_day(now) - KEPT_DAYS)
