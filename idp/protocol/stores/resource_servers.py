"""Decides which registered client a resource is."""

from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.stores.clients import make_client

READ_RESOURCE_SERVER = """
    SELECT c.client_id, c.version, c.status, c.sector_id, s.name AS sector, c.document, c.secret_mac, c.sealed_secret,
           c.previous_secret_mac, c.previous_sealed_secret, c.previous_secret_until
    FROM clients c JOIN sectors s ON s.id = c.sector_id
    WHERE c.document::jsonb -> 'resources' ? $1
    ORDER BY c.client_id LIMIT 1
"""


async def read(database: Database, resource: str) -> Client | None:
    """Return the client that is registered as this resource, None when there is none."""
    rows = await database.fetch(READ_RESOURCE_SERVER, resource)
    return make_client(rows[0]) if rows else None
