"""Decides how the daily limits of checks survive a crash: one row a day, scope, kind and subject, counted before asking."""

from datetime import date

from idp.platform.database import Transaction

# The limit stands in the statement, so two checks at once cannot both be the last one.
COUNT_CHECK = """
    INSERT INTO check_counts (day, scope, kind, subject_hash, spent) VALUES ($1, $2, $3, $4, 1)
    ON CONFLICT (day, scope, kind, subject_hash) DO UPDATE SET spent = check_counts.spent + 1 WHERE check_counts.spent < $5
    RETURNING spent
"""

GIVE_BACK = """
    UPDATE check_counts SET spent = spent - 1 WHERE day = $1 AND scope = $2 AND kind = $3 AND subject_hash = $4 AND spent > 0
"""

# A request that was counted is marked in the same transaction, so asking it again after a crash counts nothing.
MARK_REQUEST = """
    INSERT INTO check_counts (day, scope, kind, subject_hash, spent) VALUES ($1, 'request', $2, $3, 1)
    ON CONFLICT (day, scope, kind, subject_hash) DO NOTHING
    RETURNING spent
"""

UNMARK_REQUEST = "DELETE FROM check_counts WHERE day = $1 AND scope = 'request' AND kind = $2 AND subject_hash = $3 RETURNING spent"

DROP_DAYS = "DELETE FROM check_counts WHERE day < $1"


async def count_check(tx: Transaction, day: date, scope: str, kind: str, subject_hash: bytes, limit: int) -> bool:
    """Count one more check; tell False, and count nothing, when the day's ``limit`` (at least 1) is used up."""
    return await tx.fetchval(COUNT_CHECK, day, scope, kind, subject_hash, limit) is not None


async def give_back(tx: Transaction, day: date, scope: str, kind: str, subject_hash: bytes) -> None:
    """Give back a check that was not answered."""
    await tx.execute(GIVE_BACK, day, scope, kind, subject_hash)


async def mark_request(tx: Transaction, day: date, kind: str, request: bytes) -> bool:
    """Note that this request is counted; tell False when it was already."""
    return await tx.fetchval(MARK_REQUEST, day, kind, request) is not None


async def unmark_request(tx: Transaction, day: date, kind: str, request: bytes) -> bool:
    """Forget that this request is counted; tell False when it was not."""
    return await tx.fetchval(UNMARK_REQUEST, day, kind, request) is not None


async def drop_days(tx: Transaction, before: date) -> None:
    """Forget the counts of the days before ``before``."""
    await tx.execute(DROP_DAYS, before)
