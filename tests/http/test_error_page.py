"""The page that explains an error by its code: only codes of ours, and nothing else of the address gets into it."""

import re
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
import pytest_asyncio

from idp.http.errors import REFUSAL_STATUS
from idp.http.messages import load_messages
from tests.support.provider import ISSUER, Provider, run_provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    async with run_provider(service_dsn, tmp_path_factory.mktemp("errors")) as running:
        yield running


async def test_every_code_is_explained_with_status_200(provider: Provider) -> None:
    texts = load_messages()
    for code in REFUSAL_STATUS:
        page = await provider.browser.get("/error", params={"code": code})
        assert page.status_code == 200
        assert "retry-after" not in page.headers
        assert f'data-code="{code}"' in page.text
        assert texts.refusal("zh-CN", code, {}).title in page.text


@pytest.mark.parametrize("query", ["", "?code=", "?code=Synthetic", "?code=%3Cscript%3E", "?code=%FF"])
async def test_what_is_no_code_is_not_found(provider: Provider, query: str) -> None:
    page = await provider.browser.get(f"/error{query}")
    assert page.status_code == 200
    assert 'data-code="not_found"' in page.text
    assert "Synthetic" not in page.text
    assert "<script>" not in page.text


async def test_nothing_else_of_the_address_gets_into_the_page(provider: Provider) -> None:
    page = await provider.browser.get(
        "/error?code=busy&department=Synthetic&back_url=https://synthetic.example&hotline=999&i=Synthetic&lang=en&elder=1"
    )
    assert page.status_code == 200
    assert 'lang="en"' in page.text
    for part in ("Synthetic", "synthetic.example", "999"):
        assert part not in page.text
    assert 'href="?code=busy&amp;lang=zh-CN"' in page.text
    assert (await provider.browser.post("/error")).status_code == 405


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "/%2Fevil.example/x", "/\\evil.example/x", "/%5Cevil.example", "/%09/evil.example", "/"]
)
async def test_the_switches_of_a_page_stay_on_it(provider: Provider, path: str) -> None:
    address = f"{ISSUER}{path}"
    page = await provider.browser.get(f"{address}?a=1")
    for link in re.findall(r'<a [^>]*href="([^"]*(?:lang|elder)=[^"]*)"', page.text):
        there = urlsplit(urljoin(f"{address}?a=1", unescape(link)))
        assert there.netloc == urlsplit(ISSUER).netloc, link
        assert not re.match(r"[/\\\s]", link), "no path of the visitor's own becomes a link"
    assert path == "/" or "lang=" in page.text
