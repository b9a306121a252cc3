"""Decides which grants a signing key has signed for, and how they end."""

from collections import Counter
from datetime import datetime

from idp.platform.database import Transaction

# Without an index: a key is revoked once in years, and every grant that is written would pay for it.
END_GRANTS_SIGNED_BY = """
    UPDATE grants SET ended_at = $2, ended_reason = $3
    WHERE $1 = ANY (string_to_array(signed_by, ' ')) AND ended_at IS NULL AND expires_at > $2
    RETURNING client_id
"""


async def end_signed_by(tx: Transaction, kid: str, now: datetime, reason: str) -> dict[str, int]:
    """End the grants whose latest tokens this key signed; return how many of which client."""
    return Counter(row["client_id"] for row in await tx.fetch(END_GRANTS_SIGNED_BY, kid, now, reason))
