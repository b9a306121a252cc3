"""Decides how numbers are kept that reach a person without being a way to sign in (domain.md "One phone")."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

LOCK_PHONE = "SELECT pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 7))"

COUNT_CONTACTS = """
    SELECT count(*) FROM person_contacts WHERE phone_index = ANY($1::bytea[]) AND state = 'contact' AND person_id <> $2
"""

ADD_CONTACT = """
    INSERT INTO person_contacts (person_id, phone_index, index_key, sealed, state, created_at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (person_id, phone_index) DO UPDATE SET state = excluded.state, sealed = excluded.sealed, index_key = excluded.index_key
"""

DROP_CONTACTS = "DELETE FROM person_contacts WHERE person_id = $1 AND phone_index = ANY($2::bytea[])"

TAKE_IDENTIFIER = """
    DELETE FROM person_identifiers WHERE kind = 'phone' AND index_value = ANY($1::bytea[]) AND person_id <> $2 RETURNING person_id
"""


async def lock_phone(tx: Transaction, phone_indexes: Sequence[bytes]) -> None:
    """Let nobody else bind this number until the transaction ends, under whichever index; in order, so that nobody waits in a circle."""
    for phone_index in sorted(phone_indexes):
        await tx.execute(LOCK_PHONE, phone_index)


async def count_others(tx: Transaction, phone_indexes: Sequence[bytes], person_id: UUID) -> int:
    """Return how many other people are reached by this number."""
    found: int = await tx.fetchval(COUNT_CONTACTS, phone_indexes, person_id)
    return found


async def add(
    tx: Transaction, person_id: UUID, phone_indexes: Sequence[bytes], index_key: str, sealed: bytes, state: str, now: datetime
) -> None:
    """Add a number under the first of its indexes, which the key ``index_key`` made, or change what it is to the person."""
    first, *others = phone_indexes
    if others:  # index keys are changing: one row for one number
        await tx.execute(DROP_CONTACTS, person_id, others)
    await tx.execute(ADD_CONTACT, person_id, first, index_key, sealed, state, now)


async def drop(tx: Transaction, person_id: UUID, phone_indexes: Sequence[bytes]) -> None:
    """Forget that this number reaches the person in this way."""
    await tx.execute(DROP_CONTACTS, person_id, phone_indexes)


async def take_identifier(tx: Transaction, phone_indexes: Sequence[bytes], person_id: UUID) -> UUID | None:
    """End the binding of a number that belongs to somebody else than ``person_id``; return who had it."""
    found: UUID | None = await tx.fetchval(TAKE_IDENTIFIER, phone_indexes, person_id)
    return found
