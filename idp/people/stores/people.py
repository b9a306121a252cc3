"""Decides how people are kept: status and level readable, the profile sealed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.people.rules.person import Standing, Status
from idp.platform.database import Database, Row, Transaction

ADD_PERSON = "INSERT INTO people (id, status, ial, profile, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)"

READ_PROFILE = "SELECT profile FROM people WHERE id = $1"

REPLACE_PROFILE = "UPDATE people SET profile = $2, updated_at = $3 WHERE id = $1"

SET_STATUS = "UPDATE people SET status = $3, updated_at = $4 WHERE id = $1 AND status = $2 RETURNING id"

HOLD_STANDING = "SELECT status, recovered_at FROM people WHERE id = $1 FOR SHARE"

# Who changes the password holds the person alone, so everybody who opens a session meanwhile waits here and then reads the new one.
HOLD_ALONE = "SELECT status, recovered_at FROM people WHERE id = $1 FOR NO KEY UPDATE"

FIND_PASSWORD_CHANGE = "SELECT changed_at FROM passwords WHERE person_id = $1"  # noqa: S105 - a statement

# Codes go to the active sign-in identifier, else to a contact number; a number that somebody else took over reaches nobody.
PERSON = """
    p.id, p.status, p.ial, p.recovered_at, phone.index_value AS phone_index, phone.sealed AS phone_sealed, phone.matched_at,
           greatest(phone.created_at, phone.used_at, phone.matched_at) AS phone_seen_at,
           contact.phone_index AS contact_index, contact.sealed AS contact_sealed, w.must_change, w.changed_at AS password_changed_at,
           p.passkeys
"""

REACHED = """
    LEFT JOIN passwords w ON w.person_id = p.id
    LEFT JOIN LATERAL (
        SELECT o.index_value, o.sealed, o.matched_at, o.used_at, o.created_at FROM person_identifiers o
        WHERE o.person_id = p.id AND o.kind = 'phone' AND o.state = 'active' ORDER BY o.created_at DESC LIMIT 1
    ) phone ON true
    LEFT JOIN LATERAL (
        SELECT c.phone_index, c.sealed FROM person_contacts c
        WHERE c.person_id = p.id AND c.state = 'contact' AND phone.index_value IS NULL ORDER BY c.created_at DESC LIMIT 1
    ) contact ON true
"""

# A frozen phone is nobody's way in.
FIND_BY_IDENTIFIER = (
    "SELECT"
    + PERSON
    + "FROM person_identifiers i JOIN people p ON p.id = i.person_id"
    + REACHED
    + "WHERE i.kind = $1 AND i.index_value = ANY($2::bytea[]) AND i.state = 'active'"
)

FIND_BY_ID = "SELECT" + PERSON + "FROM people p" + REACHED + "WHERE p.id = $1"

NOTE_PASSKEYS = "UPDATE people SET passkeys = $2 WHERE id = $1"

NOTE_RECOVERY = "UPDATE people SET recovered_at = $2, updated_at = $2 WHERE id = $1"


@dataclass(frozen=True)
class FoundPerson:
    """A person's standing and the sealed phone that codes go to, with the index that its envelope is bound to.

    ``phone_…`` is a sign-in identifier, last heard of at ``phone_seen_at``; ``contact_…`` a number without that role, used when there is no
    other. ``must_change`` and ``password_changed_at`` are None without a password.
    """

    standing: Standing
    phone_index: bytes | None
    phone_sealed: bytes | None
    phone_seen_at: datetime | None = None
    contact_index: bytes | None = None
    contact_sealed: bytes | None = None
    must_change: bool | None = None
    password_changed_at: datetime | None = None
    passkeys: int = 0


@dataclass(frozen=True)
class HeldPerson:
    """What decides whether something proved before still counts. ``password_changed_at`` is None without a password."""

    status: Status
    recovered_at: datetime | None
    password_changed_at: datetime | None


async def add(tx: Transaction, person_id: UUID, status: Status, ial: int, sealed_profile: bytes, now: datetime) -> None:
    """Add a person."""
    await tx.execute(ADD_PERSON, person_id, status.value, ial, sealed_profile, now)


async def set_status(tx: Transaction, person_id: UUID, before: Status, after: Status, now: datetime) -> bool:
    """Change the status; tell False when it was not ``before`` any more."""
    return await tx.fetchval(SET_STATUS, person_id, before.value, after.value, now) is not None


async def hold(tx: Transaction, person_id: UUID, *, alone: bool) -> HeldPerson | None:
    """Keep status, recovery and password as they are until the transaction ends; None for an unknown person.

    ``alone`` for whoever is going to change one of them: then nobody else holds the person.
    """
    row = await tx.fetchrow(HOLD_ALONE if alone else HOLD_STANDING, person_id)
    if row is None:
        return None
    # A statement of its own: the one that waited for the lock still sees what was before it.
    return HeldPerson(Status(row["status"]), row["recovered_at"], await tx.fetchval(FIND_PASSWORD_CHANGE, person_id))


async def note_recovery(tx: Transaction, person_id: UUID, now: datetime) -> None:
    """Note that the person came back by phone; for a day nothing counts as more than one factor."""
    await tx.execute(NOTE_RECOVERY, person_id, now)


async def note_passkeys(tx: Transaction, person_id: UUID, number: int) -> None:
    """Note how many passkeys the person has."""
    await tx.execute(NOTE_PASSKEYS, person_id, number)


async def find_profile(database: Database, person_id: UUID) -> bytes | None:
    """Return the sealed profile, None for an unknown person."""
    rows = await database.fetch(READ_PROFILE, person_id)
    return rows[0]["profile"] if rows else None


async def find_held_profile(tx: Transaction, person_id: UUID) -> bytes | None:
    """Return the sealed profile as it is now, to a transaction that holds the person; None for an unknown person."""
    sealed: bytes | None = await tx.fetchval(READ_PROFILE, person_id)
    return sealed


async def replace_profile(tx: Transaction, person_id: UUID, sealed: bytes, now: datetime) -> None:
    """Replace the sealed profile."""
    await tx.execute(REPLACE_PROFILE, person_id, sealed, now)


async def find_by_identifier(database: Database, kind: str, index_values: Sequence[bytes]) -> FoundPerson | None:
    """Return who has this identifier, under any of the index keys."""
    return _read(await database.fetch(FIND_BY_IDENTIFIER, kind, index_values))


async def find_by_id(database: Database, person_id: UUID) -> FoundPerson | None:
    """Return the person with this id."""
    return _read(await database.fetch(FIND_BY_ID, person_id))


def _read(rows: Sequence[Row]) -> FoundPerson | None:
    if not rows:
        return None
    row = rows[0]
    standing = Standing(row["id"], Status(row["status"]), row["ial"], row["matched_at"], row["recovered_at"])
    return FoundPerson(
        standing,
        row["phone_index"],
        row["phone_sealed"],
        row["phone_seen_at"],
        row["contact_index"],
        row["contact_sealed"],
        row["must_change"],
        row["password_changed_at"],
        row["passkeys"],
    )
