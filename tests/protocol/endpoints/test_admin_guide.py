"""docs/admin-api.md is true: every example is sent and answered as it says, and its table of metadata is the code's."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from idp.protocol.rules.registration_metadata import METADATA
from idp.protocol.services.dynamic_registration import InitialTokens
from tests.support import documents
from tests.support.administration import appoint
from tests.support.documents import ROOT
from tests.support.provider import Provider, run_provider

GUIDES = ["docs/admin-api.md", "docs/admin-api.zh-CN.md"]
ANSWER = re.compile(r"HTTP/1\.1 (\d{3})")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), IDP_CLIENT_REGISTRATION__MODE="token") as running:
        yield running


def list_exchanges(guide: str) -> Iterator[tuple[str, str]]:
    """Yield (request, answer) of every example in the order of the guide."""
    blocks = [body for language, body in documents.find_blocks(documents.read(ROOT / guide)) if language == "http"]
    assert len(blocks) % 2 == 0
    yield from zip(blocks[::2], blocks[1::2], strict=True)


def split(block: str) -> tuple[str, dict[str, str], str]:
    """Return first line, headers and body."""
    head, _, body = block.partition("\n\n")
    first, *lines = head.strip().splitlines()
    return first, dict(line.split(": ", 1) for line in lines), body.strip()


def assert_holds(shown: Any, told: Any) -> None:
    """What is shown is a part of what was told; "…" stands for any text."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            assert_holds(value, told[name])
    elif shown == "…":
        assert isinstance(told, str)
        assert told
    else:
        assert shown == told


@pytest.mark.parametrize("guide", GUIDES)
async def test_every_example_is_answered_as_it_says(provider: Provider, guide: str) -> None:
    mine = f"archives-{GUIDES.index(guide)}"  # both guides register a client of this name
    provider.clock.advance(2 * 86_400)
    writer = await appoint(provider, "staff-tool", "clients:read", "clients:write")
    approver = await appoint(provider, "second-tool", "clients:read", "clients:write", "clients:approve")
    platform = provider.services.platform
    async with platform.database.transaction() as tx:
        initial = await InitialTokens(platform.audit_log, platform.clock, platform.random).issue(
            tx, "library", 1, timedelta(hours=1), actor="test"
        )
    words = {"WRITER": writer.token, "APPROVER": approver.token, "INITIAL": initial}
    seen = 0
    for request, shown in list_exchanges(guide):
        for word, value in words.items():
            request = re.sub(rf"\b{word}\b", value, request)
        request, shown = (re.sub(r"\barchives\b", mine, text) for text in (request, shown))
        line, headers, body = split(request)
        method, path = line.split(" ")
        answer: httpx2.Response = await provider.browser.request(method, path, content=body.encode(), headers=headers)
        status, told, document = split(shown)
        found = ANSWER.fullmatch(status)
        assert found is not None
        assert answer.status_code == int(found[1]), answer.text
        assert {name: answer.headers[name] for name in told} == told
        assert_holds(json.loads(document), answer.json())
        if "change" in answer.json():
            words["CHANGE"] = answer.json()["change"]["id"]
        seen += 1
    assert seen >= 9


@pytest.mark.parametrize("guide", GUIDES)
def test_the_table_of_metadata_is_the_codes(guide: str) -> None:
    rows = documents.read_table(documents.read(ROOT / guide), "metadata")
    says = {"yes": True, "是": True, "no": False, "否": False}
    written = {row[0].strip("`"): (row[1], says[row[2]], says[row[3]]) for row in rows}
    assert written == {row.name: (row.kind.value, row.guarded, row.own) for row in METADATA.values()}
    assert all(row[4] for row in rows)
