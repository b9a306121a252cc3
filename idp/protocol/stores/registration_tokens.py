"""Decides how tokens of registration are kept: hashed, the initial ones with uses and an end (RFC 7591 §1.2, RFC 7592 §1.1)."""

from datetime import datetime

from idp.platform.database import Transaction

ADD_INITIAL = """
    INSERT INTO registration_tokens (token_hash, label, uses_left, expires_at, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""

READ_INITIAL = "SELECT label FROM registration_tokens WHERE token_hash = $1 AND uses_left > 0 AND expires_at > $2"

SPEND_INITIAL = """
    UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE token_hash = $1 AND uses_left > 0 AND expires_at > $2 RETURNING label
"""

SET_MANAGEMENT = "UPDATE clients SET registration_token_hash = $2 WHERE client_id = $1"

READ_MANAGEMENT = "SELECT registration_token_hash, created_at FROM clients WHERE client_id = $1"


async def add_initial(
    tx: Transaction, token_hash: bytes, label: str, uses: int, expires_at: datetime, created_by: str, now: datetime
) -> None:
    """Keep an initial access token."""
    await tx.execute(ADD_INITIAL, token_hash, label, uses, expires_at, created_by, now)


async def find_initial(tx: Transaction, token_hash: bytes, now: datetime) -> str | None:
    """Return the label of an initial access token that may still be used, None for any other."""
    label: str | None = await tx.fetchval(READ_INITIAL, token_hash, now)
    return label


async def spend_initial(tx: Transaction, token_hash: bytes, now: datetime) -> str | None:
    """Use an initial access token once more and return its label; None when it is unknown, used up or over."""
    label: str | None = await tx.fetchval(SPEND_INITIAL, token_hash, now)
    return label


async def set_management(tx: Transaction, client_id: str, token_hash: bytes | None) -> None:
    """Keep the hash of the token that a client manages its registration with; None: nobody does any more."""
    await tx.execute(SET_MANAGEMENT, client_id, token_hash)


async def read_management(tx: Transaction, client_id: str) -> tuple[bytes | None, datetime] | None:
    """Return the hash of a client's management token and when the client was registered, None when there is no such client."""
    row = await tx.fetchrow(READ_MANAGEMENT, client_id)
    return None if row is None else (row["registration_token_hash"], row["created_at"])
