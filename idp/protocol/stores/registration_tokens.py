"""Decides how tokens of registration are kept: hashed, the initial ones with uses and an end (RFC 7591 §1.2, RFC 7592 §1.1)."""

from dataclasses import dataclass
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

SET_STATEMENT = "UPDATE clients SET software_statement = $2 WHERE client_id = $1"

READ_MANAGEMENT = "SELECT registration_token_hash, created_at, software_statement FROM clients WHERE client_id = $1"


@dataclass(frozen=True)
class Management:
    """How a client looks after its registration: the hash of its token (None: it may not), since when, and what vouched for it."""

    token_hash: bytes | None
    issued_at: datetime
    statement: str | None


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


async def set_statement(tx: Transaction, client_id: str, statement: str) -> None:
    """Keep the software statement that vouches for a client, as it came."""
    await tx.execute(SET_STATEMENT, client_id, statement)


async def read_management(tx: Transaction, client_id: str) -> Management | None:
    """Return how a client looks after its registration, None when there is no such client."""
    row = await tx.fetchrow(READ_MANAGEMENT, client_id)
    return None if row is None else Management(row["registration_token_hash"], row["created_at"], row["software_statement"])
