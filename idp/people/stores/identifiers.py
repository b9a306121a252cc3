"""Decides how identifiers are kept: found by blind index, unique by (kind, index), sealed for whoever may read them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

# While index keys change a value has several indexes, of which the primary key knows one: whoever adds it looks for all of them, alone.
LOCK_INDEX = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || encode($2::bytea, 'hex'), 8))"

ADD_IDENTIFIER = """
    INSERT INTO person_identifiers (kind, index_value, index_key, person_id, sealed, matched_at, created_at)
    SELECT $1, $2, $3, $4, $5, $6, $7
    WHERE NOT EXISTS (SELECT FROM person_identifiers WHERE kind = $1 AND index_value = ANY($8::bytea[]))
    ON CONFLICT (kind, index_value) DO NOTHING
    RETURNING person_id
"""

REFRESH_PHONE_MATCH = """
    UPDATE person_identifiers SET matched_at = $2 WHERE person_id = $1 AND kind = 'phone' AND state = 'active' RETURNING kind
"""

NOTE_PHONE_USE = """
    UPDATE person_identifiers SET used_at = $3
    WHERE person_id = $1 AND kind = 'phone' AND index_value = ANY($2::bytea[]) AND state = 'active'
    RETURNING kind
"""

# Only the number that was asked about: the person may have another one by now.
FREEZE_PHONE = """
    UPDATE person_identifiers SET state = 'frozen', matched_at = NULL
    WHERE person_id = $1 AND kind = 'phone' AND index_value = ANY($2::bytea[]) AND state = 'active'
    RETURNING kind
"""

CONFIRM_PHONE = """
    UPDATE person_identifiers SET matched_at = $3
    WHERE person_id = $1 AND kind = 'phone' AND index_value = ANY($2::bytea[]) AND state = 'active'
    RETURNING kind
"""

RENEW_PHONE = """
    UPDATE person_identifiers SET matched_at = $3, state = 'active'
    WHERE person_id = $1 AND kind = 'phone' AND index_value = ANY($2::bytea[])
"""


async def add(
    tx: Transaction,
    kind: str,
    index_values: Sequence[bytes],
    index_key: str,
    person_id: UUID,
    sealed: bytes,
    matched_at: datetime | None,
    now: datetime,
) -> bool:
    """Add an identifier under the first of ``index_values``; tell False, and add nothing, when somebody has it under any of them.

    ``index_values`` are its indexes under every key, ``index_key`` is the id of the first one's.
    """
    if len(index_values) > 1:
        # Two who hold different keys for a moment have one in common. In order, so that nobody waits in a circle.
        for index_value in sorted(index_values):
            await tx.execute(LOCK_INDEX, kind, index_value)
    first, *others = index_values
    return await tx.fetchval(ADD_IDENTIFIER, kind, first, index_key, person_id, sealed, matched_at, now, others) is not None


async def refresh_phone_match(tx: Transaction, person_id: UUID, matched_at: datetime) -> bool:
    """Note that the operator matched name, document and phone; tell False when the person has no phone."""
    return await tx.fetchval(REFRESH_PHONE_MATCH, person_id, matched_at) is not None


async def note_phone_use(tx: Transaction, person_id: UUID, index_values: Sequence[bytes], now: datetime) -> bool:
    """Note that a code sent to this number came back; tell False when it is no sign-in identifier of the person (any more)."""
    return await tx.fetchval(NOTE_PHONE_USE, person_id, index_values, now) is not None


async def freeze_phone(tx: Transaction, person_id: UUID, index_values: Sequence[bytes]) -> bool:
    """Let this number be nobody's way in; tell False when it was none of this person any more."""
    return await tx.fetchval(FREEZE_PHONE, person_id, index_values) is not None


async def confirm_phone(tx: Transaction, person_id: UUID, index_values: Sequence[bytes], now: datetime) -> bool:
    """Note that the operator matched this very number again; tell False when it was none of this person any more."""
    return await tx.fetchval(CONFIRM_PHONE, person_id, index_values, now) is not None


async def renew_phone(tx: Transaction, person_id: UUID, index_values: Sequence[bytes], now: datetime) -> None:
    """Bind this number of a person again, also one that was frozen: its code came back and the operator matches it."""
    await tx.execute(RENEW_PHONE, person_id, index_values, now)
