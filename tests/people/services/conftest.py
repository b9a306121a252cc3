"""A whole provider with simulated authorities for the services of people."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.provider import Provider, run_provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: object) -> AsyncIterator[Provider]:
    """One provider for the module."""
    folder: Path = tmp_path_factory.mktemp("provider")  # type: ignore[attr-defined]
    sending = ("SIGN_IN__SMS_PER_ADDRESS_AND_HOUR", "SIGN_IN__SMS_PER_NETWORK_AND_HOUR")
    relaxed = (*sending, "REGISTRATION__CHECKS_PER_ADDRESS_AND_HOUR", "REGISTRATION__STARTS_PER_ADDRESS_AND_HOUR")
    async with run_provider(service_dsn, folder, **{f"IDP_{name}": "9999" for name in relaxed}) as opened:
        yield opened
