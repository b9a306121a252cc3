"""Decides how long evidence of checks is kept that led to no account: as long as the law wants logs, six months (GB/T 22239)."""

from datetime import datetime, timedelta
from typing import Final

from idp.people.stores import evidence
from idp.platform.database import Database

KEPT_UNOWNED: Final = timedelta(days=183)
BATCH: Final = 1_000
BATCHES: Final = 50


async def forget_unowned(database: Database, now: datetime, *, batch: int = BATCH, batches: int = BATCHES) -> bool:
    """Delete old evidence of nobody, a batch in a transaction; tell whether some is left. May run any number of times."""
    for _ in range(batches):
        async with database.transaction() as tx:
            if await evidence.drop_unowned(tx, now - KEPT_UNOWNED, batch) < batch:
                return False
    return True
