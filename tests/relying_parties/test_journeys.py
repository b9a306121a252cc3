"""Relying parties that we did not write sign people in at a running provider, read the claims and sign them out."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.relying_parties.journey import leave_elsewhere, run_site, walk
from tests.support.real_provider import Citizen, RealProvider, run_real_provider

CLIENTS = [
    pytest.param("apache", marks=pytest.mark.apache),
    pytest.param("openid_client", marks=pytest.mark.node),
    pytest.param("passport_openidconnect", marks=pytest.mark.node),
    "mozilla_django_oidc",
    "idpyoidc",
]


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[RealProvider, list[Citizen]]]:
    """One provider for all of them, and a person for each."""
    with asyncio.Runner() as runner:
        running = run_real_provider(IDP_SERVER__TRUSTED_PROXY_HOPS="0", IDP_FETCHING__LOOPBACK="true")
        provider = runner.run(running.__aenter__())
        try:
            citizens = runner.run(provider.add_citizens(["测试甲", "测试乙", "测试丙", "测试丁", "测试戊", "测试己"]))
            provider.serve()
            provider.work()
            yield provider, citizens
        finally:
            runner.run(running.__aexit__(None, None, None))


@pytest.mark.parametrize("name", CLIENTS)
def test_a_foreign_client_signs_in_reads_claims_and_signs_out(started: tuple[RealProvider, list[Citizen]], name: str) -> None:
    provider, citizens = started
    with run_site(provider, name) as site:
        told = walk(provider, site, citizens.pop())
        assert f"GET {provider.issuer}/sign-out" in told.hops


@pytest.mark.apache
def test_apache_forgets_whoever_signs_out_elsewhere(started: tuple[RealProvider, list[Citizen]]) -> None:
    provider, citizens = started
    with run_site(provider, "apache", "sample-told") as told, run_site(provider, "idpyoidc", "sample-left") as left:
        assert leave_elsewhere(provider, told, left, citizens.pop()) < 20
