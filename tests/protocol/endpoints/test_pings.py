"""A client that waits is pinged at its own address: once when it answers, whatever it answers; again when it is in trouble."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from idp.other_devices import make_ping_handlers
from idp.platform.outbox import Attempt, Outcome, deliver_due
from idp.protocol.rules.client_metadata import BackchannelAuthentication
from tests.support.logout import LogoutAddress, listen_for_logouts
from tests.support.provider import SESSION, Provider, run_provider
from tests.support.web import Web

CIBA = "urn:openid:params:grant-type:ciba"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider that may ask this machine."""
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_provider(service_dsn, folder, IDP_FETCHING__LOOPBACK="true") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def pinged() -> AsyncIterator[LogoutAddress]:
    """Where a counter is pinged."""
    async with listen_for_logouts("/ping") as address:
        yield address


async def begin_and_answer(provider: Provider, client_id: str, address: str) -> str:
    """Let a counter ask a person, and the person agree; return what the request is called."""
    await provider.add_client(client_id, grant_types=(CIBA,), ciba=BackchannelAuthentication("ping", address))
    person = await provider.add_person()
    form = {"scope": "openid", "binding_message": "A-17", "login_hint": person.document, "client_notification_token": "token-1"}
    begun = await provider.post("/bc-authorize", form, client_id)
    assert begun.status_code == 200, begun.text
    await provider.services.afterwards.settle()
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(person))[SESSION])
    await web.get("/account/requests")
    await web.submit("/account/requests")
    await web.submit("/approve", answer="approve")
    name: str = begun.json()["auth_req_id"]
    return name


async def deliver(provider: Provider) -> list[Attempt]:
    """Do what the worker does once."""
    platform = provider.services.platform
    return await deliver_due(platform.outbox, platform.database, make_ping_handlers(platform))


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 400, 401, 403])
async def test_whoever_answers_is_pinged_once(provider: Provider, pinged: LogoutAddress, status: int) -> None:
    pinged.status = status
    name = await begin_and_answer(provider, f"answering-{status}", pinged.address)
    expected = Outcome.DELIVERED if status < 300 else Outcome.FAILED
    assert [attempt.outcome for attempt in await deliver(provider)] == [expected]
    provider.clock.advance(120)
    assert await deliver(provider) == []
    ((line, headers, body),) = pinged.requests
    assert (line, headers["authorization"]) == ("POST /ping HTTP/1.1", "Bearer token-1")
    assert body.decode() == f'{{"auth_req_id":"{name}"}}'
    answer = await provider.post("/token", {"grant_type": CIBA, "auth_req_id": name}, f"answering-{status}")
    assert answer.status_code == 200, "it may collect all the same"


@pytest.mark.parametrize("status", [500, 503, 0])
async def test_whoever_is_in_trouble_is_pinged_again(provider: Provider, pinged: LogoutAddress, status: int) -> None:
    pinged.status = status
    await begin_and_answer(provider, f"troubled-{status}", pinged.address)
    assert [attempt.outcome for attempt in await deliver(provider)] == [Outcome.RETRIED]
    pinged.status = 204
    provider.clock.advance(2)
    assert [attempt.outcome for attempt in await deliver(provider)] == [Outcome.DELIVERED]
