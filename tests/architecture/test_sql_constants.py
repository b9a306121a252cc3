"""Every SQL constant is prepared on the real schema as the serving role, and none of a request scans a large table."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import idp

LARGE_TABLES = (
    "people",
    "person_identifiers",
    "sessions",
    "grants",
    "audit_events",
    "outbox",
    "subjects",
    "consents",
    "transients",
)

PARTIAL_INDEXES = ("outbox_waiting", "next_attempt_at_idx")
"""Indexes that hold only what is still to be done (a partition's copy is named after its columns)."""

MIGRATION_ONLY = {"idp.platform.migrations.LOCK", "idp.platform.migrations.ADD_ENVIRONMENT"}
"""Run as the owner, so the serving role may lack the right."""

WALKS = {
    "idp.platform.audit_verification": "an auditor's command reads the whole chain",
}
"""Modules whose statements read a whole table on purpose, and why; no request runs them."""

STATEMENT = re.compile(r"\s*(?:--[^\n]*\n\s*)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


def find_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(idp.__path__, "idp."):
        if ".stores." in module.name or module.name.startswith(("idp.platform.", "idp.demo.")):
            yield module.name


def find_constants() -> Iterator[tuple[str, str]]:
    for name in find_modules():
        for constant, value in vars(importlib.import_module(name)).items():
            if constant.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{name}.{constant}", value


CONSTANTS = dict(find_constants())


@pytest_asyncio.fixture(scope="module")
async def connection(service_dsn: str) -> Any:
    settings = {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan", "jit": "off"}
    opened = await asyncpg.connect(service_dsn, server_settings=settings)
    yield opened
    await opened.close()


def find_scans(plan: Any, *, limited: bool = False) -> Iterator[str]:
    """Return the large tables that a plan reads from one end to the other; a partition stands for its table.

    Without sequential scans the planner walks a whole index instead, so an index without a condition counts as well, unless a LIMIT ends it
    early or the index itself is partial.
    """
    if isinstance(plan, list):
        for part in plan:
            yield from find_scans(part, limited=limited)
    elif isinstance(plan, dict):
        node = plan.get("Node Type", "")
        limited = limited or node == "Limit"
        walked = node in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and "Index Cond" not in plan and not limited
        if node == "Seq Scan" or (walked and not any(name in plan["Index Name"] for name in PARTIAL_INDEXES)):
            relation = plan.get("Relation Name") or plan["Index Name"]
            yield from (table for table in LARGE_TABLES if re.match(rf"{table}(_default|_y\d+m\d+|_pkey)*$|{table}_(?!events)", relation))
        for part in plan.values():
            if isinstance(part, dict | list):
                yield from find_scans(part, limited=limited)


async def explain(connection: asyncpg.Connection, statement: str, parameters: int) -> Any:
    """Return the generic plan. EXECUTE lets a statement with parameters be explained; their values do not matter to a generic plan."""
    await connection.execute(f"PREPARE explained AS {statement}")
    try:
        arguments = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        return json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE explained{arguments}"))
    finally:
        await connection.execute("DEALLOCATE explained")


def test_constants_were_found() -> None:
    assert {"idp.platform.transients.postgres.TAKE", "idp.platform.migrations.READ_ENVIRONMENT"} <= set(CONSTANTS)


@pytest.mark.parametrize("name", sorted(set(CONSTANTS) - MIGRATION_ONLY))
async def test_a_constant_is_valid_and_scans_no_large_table(name: str, connection: asyncpg.Connection) -> None:
    statement = CONSTANTS[name]
    prepared = await connection.prepare(statement)
    assert not re.search(r"SELECT\s+\*(?!\s+FROM\s+unnest)", statement, re.IGNORECASE), "name the columns"
    assert "now()" not in statement.lower(), "the instant is a parameter"
    scanned = sorted(set(find_scans(await explain(connection, statement, len(prepared.get_parameters())))))
    if name.rpartition(".")[0] not in WALKS:
        assert scanned == [], f"{name} reads all of {scanned}"


@pytest.mark.parametrize("name", sorted(set(CONSTANTS) - MIGRATION_ONLY))
async def test_the_serving_role_has_the_right(name: str, connection: asyncpg.Connection) -> None:
    # Rights are checked when a plan begins to run: with every parameter NULL and inside a transaction that is rolled back.
    prepared = await connection.prepare(CONSTANTS[name])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await prepared.fetch(*[None for _ in prepared.get_parameters()])
    except asyncpg.InsufficientPrivilegeError as error:
        pytest.fail(f"idp_app may not run {name}: {error}")
    except asyncpg.PostgresError:
        pass  # NULL breaks a constraint: the right was there
    finally:
        await transaction.rollback()


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("SELECT id FROM people WHERE status = $1", "people"),
        ("SELECT count(*) AS n FROM grants", "grants"),
        ("SELECT id FROM audit_events WHERE result = $1", "audit_events"),
        ("UPDATE outbox SET attempts = 0 WHERE reference = $1", "outbox"),
        ("DELETE FROM sessions WHERE last_seen_at < $1", "sessions"),
    ],
)
async def test_the_scan_finder_finds_what_it_should(connection: asyncpg.Connection, statement: str, table: str) -> None:
    found = set(find_scans(await explain(connection, statement, statement.count("$1"))))
    assert found == {table}


async def test_the_scan_finder_lets_pass_what_it_should(connection: asyncpg.Connection) -> None:
    for statement in ("SELECT id FROM people WHERE id = $1", "SELECT id FROM people ORDER BY id LIMIT 10", "SELECT name FROM sectors"):
        assert list(find_scans(await explain(connection, statement, statement.count("$1")))) == []
