"""Decides how registered clients and their sectors are kept."""

import json
from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Row, Transaction
from idp.protocol.rules.client import Client, read_document, write_document

READ_CLIENT = """
    SELECT c.client_id, c.version, c.status, c.sector_id, s.name AS sector, c.document, c.secret_mac, c.sealed_secret,
           c.previous_secret_mac, c.previous_sealed_secret, c.previous_secret_until
    FROM clients c JOIN sectors s ON s.id = c.sector_id WHERE c.client_id = $1
"""

LOCK_CLIENT = READ_CLIENT + "FOR UPDATE OF c"

LIST_CLIENTS = """
    SELECT c.client_id, c.version, c.status, c.sector_id, s.name AS sector, c.document, c.secret_mac, c.sealed_secret,
           c.previous_secret_mac, c.previous_sealed_secret, c.previous_secret_until
    FROM clients c JOIN sectors s ON s.id = c.sector_id
    WHERE c.client_id > $1 ORDER BY c.client_id LIMIT $2
"""

ADD_CLIENT = """
    INSERT INTO clients (client_id, version, status, sector_id, document, secret_mac, sealed_secret, created_at, updated_at)
    VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $7)
    ON CONFLICT (client_id) DO NOTHING
    RETURNING client_id
"""

REPLACE_CLIENT = """
    UPDATE clients
    SET version = version + 1, status = $2, sector_id = $3, document = $4, secret_mac = $5, sealed_secret = $6, updated_at = $7,
        previous_secret_mac = $8, previous_sealed_secret = $9, previous_secret_until = $10
    WHERE client_id = $1 AND version = $11
    RETURNING version
"""

REPLACE_MAC = "UPDATE clients SET secret_mac = $3 WHERE client_id = $1 AND secret_mac = $2"

# The mark never goes back: one that lies ahead is for processes that have not heard of a change yet.
END_GRANTS = "UPDATE clients SET grants_from = greatest(grants_from, $2) WHERE client_id = $1 RETURNING grants_from"

ADD_SECTOR = "INSERT INTO sectors (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"

READ_SECTOR = "SELECT id FROM sectors WHERE name = $1"


def make_client(row: Row) -> Client:
    """Return the client of one row."""
    return Client(
        client_id=row["client_id"],
        version=row["version"],
        status=row["status"],
        sector_id=row["sector_id"],
        sector=row["sector"],
        secret_mac=row["secret_mac"],
        sealed_secret=row["sealed_secret"],
        previous_secret_mac=row["previous_secret_mac"],
        previous_sealed_secret=row["previous_sealed_secret"],
        previous_secret_until=row["previous_secret_until"],
        **read_document(json.loads(row["document"])),
    )


async def read(database: Database, client_id: str) -> Client | None:
    """Return a client, None when there is none."""
    rows = await database.fetch(READ_CLIENT, client_id)
    return make_client(rows[0]) if rows else None


async def read_in(tx: Transaction, client_id: str) -> Client | None:
    """Return a client within a transaction, None when there is none."""
    row = await tx.fetchrow(READ_CLIENT, client_id)
    return None if row is None else make_client(row)


async def lock(tx: Transaction, client_id: str) -> Client | None:
    """Return a client that nobody else changes before the transaction ends, None when there is none."""
    row = await tx.fetchrow(LOCK_CLIENT, client_id)
    return None if row is None else make_client(row)


async def list_after(tx: Transaction, client_id: str, limit: int) -> list[Client]:
    """Return at most ``limit`` clients in order of their ids, beginning after ``client_id``."""
    return [make_client(row) for row in await tx.fetch(LIST_CLIENTS, client_id, limit)]


async def add(tx: Transaction, client: Client, now: datetime) -> bool:
    """Add a client; False when its id is taken."""
    row = await tx.fetchrow(
        ADD_CLIENT,
        client.client_id,
        client.status,
        client.sector_id,
        write_document(client),
        client.secret_mac,
        client.sealed_secret,
        now,
    )
    return row is not None


async def replace(tx: Transaction, client: Client, now: datetime) -> bool:
    """Write a client's next version; False when another change came first."""
    row = await tx.fetchrow(
        REPLACE_CLIENT,
        client.client_id,
        client.status,
        client.sector_id,
        write_document(client),
        client.secret_mac,
        client.sealed_secret,
        now,
        client.previous_secret_mac,
        client.previous_sealed_secret,
        client.previous_secret_until,
        client.version,
    )
    return row is not None


async def replace_mac(database: Database, client: Client, mac: bytes) -> None:
    """Keep another mac of the same secret: the client itself does not change, so its version stays."""
    await database.write(REPLACE_MAC, client.client_id, client.secret_mac, mac)


async def end_grants(tx: Transaction, client_id: str, before: datetime) -> datetime:
    """Let no grant of a client stand that began before ``before``, however many there are; return the instant that counts now."""
    counts: datetime = await tx.fetchval(END_GRANTS, client_id, before)
    return counts


async def find_or_add_sector(tx: Transaction, new_id: UUID, name: str) -> UUID:
    """Return the id of the sector of this name, made with ``new_id`` when it is new."""
    await tx.execute(ADD_SECTOR, new_id, name)
    found: UUID = await tx.fetchval(READ_SECTOR, name)
    return found
