"""Decides how what is recorded of a person is read for their own page; sealed values stay sealed here."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.platform.database import Database

FIND_REGISTERED_AT = "SELECT created_at FROM people WHERE id = $1"

LIST_PHONES = """
    SELECT index_value, sealed, state, matched_at, created_at FROM person_identifiers
    WHERE person_id = $1 AND kind = 'phone' ORDER BY created_at DESC LIMIT 10
"""

LIST_CONTACTS = """
    SELECT phone_index, sealed, state, created_at FROM person_contacts WHERE person_id = $1 ORDER BY created_at DESC LIMIT 10
"""

LIST_AGREEMENTS = """
    SELECT name, version, serial, accepted_at FROM agreements WHERE person_id = $1 ORDER BY accepted_at DESC, id LIMIT 10
"""


@dataclass(frozen=True)
class StoredPhone:
    """A sealed number and what it is to the person; ``table`` and ``index`` are what its envelope is bound to."""

    table: str
    index: bytes
    sealed: bytes
    state: str
    matched_at: datetime | None


@dataclass(frozen=True)
class Accepted:
    """An agreement that the person accepted."""

    name: str
    version: str
    serial: str
    at: datetime


async def find_registered_at(database: Database, person_id: UUID) -> datetime | None:
    """Return since when the person is registered, None for an unknown id."""
    rows = await database.fetch(FIND_REGISTERED_AT, person_id)
    return rows[0]["created_at"] if rows else None


async def list_phones(database: Database, person_id: UUID) -> list[StoredPhone]:
    """Return the numbers that the person signs in with, then those that only reach them; the newest of each first."""
    ways_in = await database.fetch(LIST_PHONES, person_id)
    contacts = await database.fetch(LIST_CONTACTS, person_id)
    return [
        *(StoredPhone("person_identifiers", r["index_value"], r["sealed"], r["state"], r["matched_at"]) for r in ways_in),
        *(StoredPhone("person_contacts", r["phone_index"], r["sealed"], r["state"], None) for r in contacts),
    ]


async def list_agreements(database: Database, person_id: UUID) -> list[Accepted]:
    """Return what the person accepted, the newest first."""
    return [Accepted(r["name"], r["version"], r["serial"], r["accepted_at"]) for r in await database.fetch(LIST_AGREEMENTS, person_id)]
