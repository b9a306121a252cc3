"""The fixtures themselves: a service role's database per module, and a clock that tests move."""

import asyncpg
import pytest

from idp.platform.database import Database
from tests.support.clocks import ManualClock


async def test_database_is_migrated_and_serves_as_a_role_without_ownership(database: Database) -> None:
    rows = await database.fetch("SELECT name FROM environment")
    assert [row["name"] for row in rows] == ["demo"]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.write("UPDATE environment SET name = 'production'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.write("DELETE FROM audit_events")


async def test_owner_dsn_is_the_same_database(database: Database, owner_dsn: str) -> None:
    connection = await asyncpg.connect(owner_dsn)
    try:
        name = await connection.fetchval("SELECT current_database()")
    finally:
        await connection.close()
    assert (await database.fetch("SELECT current_database() AS name"))[0]["name"] == name


def test_clock_moves_only_when_told(clock: ManualClock) -> None:
    before = clock()
    assert clock() == before
    assert (clock.advance(90) - before).total_seconds() == 90
    assert clock() == clock.now
