"""Decides how daily message limits survive a crash: one row a day and subject, counted inside the sending transaction."""

from datetime import date

from idp.platform.database import Transaction

# The limit stands in the statement, so two messages sent at once cannot both be the last one; a rollback is the refund.
COUNT_MESSAGE = """
    INSERT INTO message_counts (day, scope, subject_hash, sent) VALUES ($1, $2, $3, 1)
    ON CONFLICT (day, scope, subject_hash) DO UPDATE SET sent = message_counts.sent + 1 WHERE message_counts.sent < $4
    RETURNING sent
"""

GIVE_BACK = "UPDATE message_counts SET sent = sent - 1 WHERE day = $1 AND scope = $2 AND subject_hash = $3 AND sent > 0"

DROP_DAYS = "DELETE FROM message_counts WHERE day < $1"


async def count_message(tx: Transaction, day: date, scope: str, subject_hash: bytes, limit: int) -> bool:
    """Count one more message; tell False, and count nothing, when the day's ``limit`` (at least 1) is used up."""
    return await tx.fetchval(COUNT_MESSAGE, day, scope, subject_hash, limit) is not None


async def give_back(tx: Transaction, day: date, scope: str, subject_hash: bytes) -> None:
    """Give back one message of a day."""
    await tx.execute(GIVE_BACK, day, scope, subject_hash)


async def drop_days(tx: Transaction, before: date) -> None:
    """Forget the counts of the days before ``before``."""
    await tx.execute(DROP_DAYS, before)
