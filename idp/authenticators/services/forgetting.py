"""Decides when what throttling and known devices leave behind is forgotten: locks when they open, counts after two days, devices unused."""

from datetime import datetime, timedelta

from idp.authenticators.rules.sms_limits import find_day
from idp.authenticators.stores import known_devices, locks, message_counts
from idp.platform.database import Database

KEPT_DAYS = timedelta(days=2)
BATCH = 1_000
BATCHES = 50


async def forget_past(database: Database, now: datetime, *, batch: int = BATCH, batches: int = BATCHES) -> bool:
    """Delete opened locks, the counts of days long over and unused devices; tell whether devices are left. May run any number of times."""
    async with database.transaction() as tx:
        await locks.drop_open(tx, now)
        await message_counts.drop_days(tx, find_day(now) - KEPT_DAYS)
    for _ in range(batches):
        async with database.transaction() as tx:
            if await known_devices.drop_unused(tx, now - known_devices.KNOWN_FOR, batch) < batch:
                return False
    return True
