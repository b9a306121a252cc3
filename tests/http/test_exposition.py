"""Measurements are read with the token of the settings, and are no address without it."""

from pathlib import Path

import pytest

from tests.support.provider import run_provider

TOKEN = "synthetic-metrics-token-of-32-characters"


@pytest.mark.parametrize(
    ("header", "status"),
    [({}, 404), ({"authorization": "Bearer wrong"}, 404), ({"authorization": TOKEN}, 404), ({"authorization": f"Bearer {TOKEN}"}, 200)],
)
async def test_metrics_need_their_token(
    service_dsn: str, tmp_path_factory: pytest.TempPathFactory, header: dict[str, str], status: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "exposition"
    folder.mkdir(exist_ok=True)
    async with run_provider(service_dsn, folder, IDP_SERVER__METRICS_TOKEN=TOKEN) as provider:
        await provider.browser.get("/jwks.json")
        await provider.browser.get("/private/350102194001010005")
        answer = await provider.browser.get("/metrics", headers=header)
        assert answer.status_code == status
        if status == 200:
            assert 'idp_http_requests_total{method="GET",route="/jwks.json",status="200"} 1.0' in answer.text
            assert 'route="other",status="404"' in answer.text
            assert "350102194001010005" not in answer.text


async def test_without_a_token_there_is_no_such_address(service_dsn: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with run_provider(service_dsn, tmp_path_factory.getbasetemp() / "exposition") as provider:
        assert (await provider.browser.get("/metrics", headers={"authorization": "Bearer "})).status_code == 404
