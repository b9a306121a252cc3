"""The provider as an outside run of the modules meets it: clients register themselves, without PKCE, and assert to the token endpoint."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.provider import Provider, run_provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """The whole application on this module's database."""
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_provider(
        service_dsn,
        folder,
        IDP_CLIENT_REGISTRATION__MODE="open",
        IDP_CLIENT_REGISTRATION__REQUIRES_PKCE="false",
        IDP_CLIENT_REGISTRATION__ACCEPTS_ENDPOINT_AUDIENCE="true",
        IDP_CLIENT_REGISTRATION__ATTEMPTS_PER_NETWORK_AND_HOUR="1000",
        IDP_FETCHING__LOOPBACK="true",
    ) as running:
        yield running
