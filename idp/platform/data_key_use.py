"""Decides what still needs a data key: rows are counted by the key that their values name."""

from typing import Final

from idp.platform.database import Database
from idp.platform.sealed_columns import INDEX_KEYS, KEPT, RE_SEALED, KeyUse, read_header

COUNTED: Final = (*(KeyUse(c.table, c.column, c.purpose, read_header(c.column), "") for c in RE_SEALED), *KEPT, *INDEX_KEYS)

ENDS: Final = {use.name: use.ends for use in COUNTED}
"""Column → when its rows stop to need their key; empty where the worker makes them anew."""

STATEMENTS: Final = {
    use.name: f"SELECT {use.key_id} AS key_id, count(*) AS number FROM {use.table} WHERE {use.column} IS NOT NULL GROUP BY 1"  # noqa: S608 - constants
    for use in COUNTED
}
"""Each reads all of its table: for commands, on a database that waits long enough."""


async def count_uses(database: Database) -> dict[str, dict[str, int]]:
    """Return key id → "table.column" → rows that name it; a mark without a value (an empty one) names none."""
    found: dict[str, dict[str, int]] = {}
    for name, statement in STATEMENTS.items():
        for row in await database.fetch(statement):
            if row["key_id"]:
                found.setdefault(row["key_id"], {})[name] = row["number"]
    return found
