"""Decides how is kept which registered client a resource is: one alone, and none that is retired."""

from collections.abc import Collection

from idp.platform.database import Database, Transaction
from idp.protocol.rules.client import Client
from idp.protocol.stores.clients import make_client

READ_RESOURCE_SERVER = """
    SELECT c.client_id, c.version, c.status, c.sector_id, s.name AS sector, c.document, c.secret_mac, c.sealed_secret,
           c.previous_secret_mac, c.previous_sealed_secret, c.previous_secret_until
    FROM client_resources r JOIN clients c ON c.client_id = r.client_id JOIN sectors s ON s.id = c.sector_id
    WHERE r.resource = $1
"""

GIVE_UP = "DELETE FROM client_resources WHERE client_id = $1 AND resource <> ALL ($2::text[])"

# In one order, so that two who want the same ones wait for each other instead of blocking each other.
CLAIM = """
    INSERT INTO client_resources (resource, client_id) SELECT wanted, $1 FROM unnest($2::text[]) AS wanted ORDER BY wanted
    ON CONFLICT (resource) DO NOTHING
"""

FIND_OTHERS = "SELECT resource FROM client_resources WHERE resource = ANY ($2::text[]) AND client_id <> $1 ORDER BY resource"


async def read(database: Database, resource: str) -> Client | None:
    """Return the client that is registered as this resource, None when there is none."""
    rows = await database.fetch(READ_RESOURCE_SERVER, resource)
    return make_client(rows[0]) if rows else None


async def claim(tx: Transaction, client_id: str, resources: Collection[str]) -> list[str]:
    """Let a client be these resources and no others; return those that another client is already. Waits for whoever claims them now."""
    wanted = list(resources)
    await tx.execute(GIVE_UP, client_id, wanted)
    if not wanted:
        return []
    await tx.execute(CLAIM, client_id, wanted)
    return await find_others(tx, client_id, wanted)


async def find_others(tx: Transaction, client_id: str, resources: Collection[str]) -> list[str]:
    """Return those of the resources that another client is."""
    return [row["resource"] for row in await tx.fetch(FIND_OTHERS, client_id, list(resources))]
