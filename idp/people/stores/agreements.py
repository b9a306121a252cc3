"""Decides how an accepted agreement is kept: which text, in which language, when, under which serial."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

ADD_AGREEMENT = """
    INSERT INTO agreements (person_id, id, name, version, language, text_hash, serial, accepted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def add(
    tx: Transaction,
    person_id: UUID,
    agreement_id: UUID,
    name: str,
    version: str,
    language: str,
    text_hash: bytes,
    serial: str,
    now: datetime,
) -> None:
    """Keep that a person accepted a text."""
    await tx.execute(ADD_AGREEMENT, person_id, agreement_id, name, version, language, text_hash, serial, now)
