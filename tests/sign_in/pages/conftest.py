"""One whole provider for each module that asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.provider import Provider, run_provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """The whole application on this module's database."""
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_provider(service_dsn, folder) as running:
        yield running
