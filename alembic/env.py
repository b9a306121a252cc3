"""Decides how a revision is run: online, on asyncpg, every pending revision in one transaction of its own."""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from idp.platform.migrations import LOCK_TIMEOUT


async def open_connection() -> asyncpg.Connection:
    """Connect as the owner; the DSN goes to the driver as it is, so its parameters mean what the driver says."""
    settings = {"lock_timeout": LOCK_TIMEOUT, "application_name": "idp migrate"}
    return await asyncpg.connect(context.config.attributes["dsn"], timeout=10, server_settings=settings)


def run_revisions(connection: Connection) -> None:
    """Run what is pending; the version row and the change commit together."""
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    """Open the one connection that the migration uses."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=open_connection, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run_revisions)
    finally:
        await engine.dispose()


asyncio.run(run_online())
