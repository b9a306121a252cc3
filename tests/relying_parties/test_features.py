"""npm openid-client, unchanged, does what each feature of the protocol is for."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.relying_parties.features import FEATURES, Walk, register, start_library
from tests.support.forms import FormsBrowser
from tests.support.real_provider import run_real_provider

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def walk() -> Iterator[Walk]:
    """One provider, one library, one person who is signed in by the first flow."""
    with asyncio.Runner() as runner, start_library() as (library, callback):
        running = run_real_provider(IDP_SERVER__TRUSTED_PROXY_HOPS="0")
        provider = runner.run(running.__aenter__())
        try:
            (citizen,) = runner.run(provider.add_citizens(["测试甲"]))
            runner.run(register(provider, library.ask(do="keys"), callback.url))
            provider.serve()
            provider.work()
            yield Walk(provider, library, callback, citizen, FormsBrowser())
        finally:
            runner.run(running.__aexit__(None, None, None))


@pytest.mark.parametrize("feature", FEATURES)
def test_openid_client_uses_it(walk: Walk, feature: str) -> None:
    found = walk.walk(feature)
    assert "failed" not in found, found["failed"]
    assert found["ok"], found
