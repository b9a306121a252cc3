"""Decides the SQL of a flush: one statement per kind of write and number of entries, every value a parameter of its own.

Arrays would do with one statement for every number, but the driver asks each element of an array whether it is an array itself, which is
half of what a row costs. A flush takes the smallest statement that holds it; entries that it does not need are NULL and written nowhere.
"""

from collections.abc import Iterable, Mapping
from functools import cache

from idp.kernel.session_endings import LEAVES_OFFLINE_ACCESS
from idp.platform.audit_log import COLUMN_LIST, COLUMNS

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
"""Numbers of entries that there is a statement for."""

EVENT_TYPES: Mapping[str, str] = {
    "at": "timestamptz",
    "id": "uuid",
    "kind": "text",
    "result": "text",
    "actor": "text",
    "person_id": "uuid",
    "client_id": "text",
    "request_id": "text",
    "details": "text",
    "sealed_place": "bytea",
    "place_hash": "bytea",
    "key_id": "text",
    "mac": "bytea",
}
"""The columns of an audit row in their order, with their types."""

GRANT_TYPES: Mapping[str, str] = {
    "id": "uuid",
    "client_id": "text",
    "person_id": "uuid",
    "lineage": "bytea",
    "scope": "text",
    "subject": "text",
    "audience": "text",
    "factors": "text",
    "acr": "text",
    "created_at": "timestamptz",
    "expires_at": "timestamptz",
    "confirmation": "text",
    "terms": "text",
    "signed_by": "text",
    "idle_limit": "integer",
    "parent_id": "uuid",
}
"""The columns that a new grant is written with, in the order of GrantRow."""

ROTATION_TYPES: Mapping[str, str] = {
    "grant_id": "uuid",
    "generation": "integer",
    "at": "timestamptz",
    "signed_by": "text",
    "confirmation": "text",
}
"""The fields of Rotation."""

assert tuple(EVENT_TYPES) == COLUMNS, "every column of an audit row is written, in its order"  # noqa: S101


def _name(prefix: str, names: Iterable[str]) -> str:
    return ", ".join(prefix + name for name in names)


GRANT_COLUMNS = _name("", GRANT_TYPES)
OF_THE_GRANT = _name("g_", GRANT_TYPES)
OF_THE_ROTATION = _name("r_", ROTATION_TYPES)
"""What the columns of a write are called beside those of its audit row."""

HARMLESS_ENDS = ", ".join("'" + reason.replace("'", "''") + "'" for reason in LEAVES_OFFLINE_ACCESS)
OVERLOOKED = "EXISTS (SELECT FROM sessions s WHERE s.lineage = grants.lineage AND s.ended_reason NOT IN (" + HARMLESS_ENDS + "))"
"""True of a row of ``grants`` that nobody saw when its sign-in was ended: its code was redeemed at that moment. It is never refreshed."""


def _write_values(types: Iterable[str], entries: int) -> str:
    kinds = tuple(types)
    numbers = iter(range(1, entries * len(kinds) + 1))
    rows = ("(" + ", ".join(f"${next(numbers)}::{kind}" for kind in kinds) + ")" for _ in range(entries))
    return "VALUES " + ", ".join(rows)


@cache
def write_event_flush(entries: int) -> str:
    """Return the statement that writes audit rows alone."""
    return (
        "INSERT INTO audit_events ("  # noqa: S608 - constants alone, here and below
        + COLUMN_LIST
        + ") SELECT "
        + COLUMN_LIST
        + " FROM ("
        + _write_values(EVENT_TYPES.values(), entries)
        + ") AS entry ("
        + COLUMN_LIST
        + ") WHERE entry.id IS NOT NULL"
    )


@cache
def write_grant_flush(entries: int) -> str:
    """Return the statement that writes new grants and audit rows; it returns the grants. An audit row of a grant needs it to be new.

    A person who was banned, here or everywhere, or a session that ended, between the code and its redemption inserts nothing.
    """
    return (
        "WITH entry ("  # noqa: S608
        + COLUMN_LIST
        + ", "
        + OF_THE_GRANT
        + ") AS MATERIALIZED ("
        + _write_values((*EVENT_TYPES.values(), *GRANT_TYPES.values()), entries)
        + """
        ), new AS (
            INSERT INTO grants ("""
        + GRANT_COLUMNS
        + ") SELECT "
        + OF_THE_GRANT
        + """
            FROM entry AS g
            WHERE g.g_id IS NOT NULL
              AND (g.g_person_id IS NULL OR (SELECT CASE WHEN g.g_client_id = ANY (p.barred_from) THEN 'barred' ELSE p.status END
                                               FROM people p WHERE p.id = g.g_person_id) = 'active')
              AND (g.g_lineage IS NULL
                   OR (SELECT true FROM sessions s WHERE s.lineage = g.g_lineage AND s.ended_at IS NULL LIMIT 1))
            ON CONFLICT (id) DO NOTHING
            RETURNING id
        ), events AS (
            INSERT INTO audit_events ("""
        + COLUMN_LIST
        + ") SELECT "
        + COLUMN_LIST
        + """
            FROM entry AS e
            WHERE e.id IS NOT NULL AND (e.g_id IS NULL OR e.g_id IN (SELECT id FROM new))
        )
        SELECT id FROM new
        """
    )


@cache
def write_rotation_flush(entries: int) -> str:
    """Return the statement that advances grants and writes audit rows; it returns the grants. A rotation's audit row needs it to hold."""
    return (
        "WITH entry ("  # noqa: S608
        + COLUMN_LIST
        + ", "
        + OF_THE_ROTATION
        + ") AS MATERIALIZED ("
        + _write_values((*EVENT_TYPES.values(), *ROTATION_TYPES.values()), entries)
        + """
        ), turned AS (
            UPDATE grants SET generation = grants.generation + 1, rotated_at = r.r_at, graced = false,
                signed_by = coalesce(r.r_signed_by, grants.signed_by), confirmation = coalesce(r.r_confirmation, grants.confirmation)
            FROM entry AS r
            WHERE grants.id = r.r_grant_id AND grants.generation = r.r_generation AND grants.ended_at IS NULL
              AND grants.expires_at > r.r_at
              AND NOT """
        + OVERLOOKED
        + """
            RETURNING grants.id
        ), events AS (
            INSERT INTO audit_events ("""
        + COLUMN_LIST
        + ") SELECT "
        + COLUMN_LIST
        + """
            FROM entry AS e
            WHERE e.id IS NOT NULL AND (e.r_grant_id IS NULL OR e.r_grant_id IN (SELECT id FROM turned))
        )
        SELECT id FROM turned
        """
    )


FLUSH_EVENTS, FLUSH_GRANTS, FLUSH_ROTATIONS = write_event_flush(1), write_grant_flush(1), write_rotation_flush(1)
"""The smallest of each kind."""
