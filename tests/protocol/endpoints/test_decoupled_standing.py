"""Whom a counter reaches: nobody who may not sign in hears of it, and the counter is not told why."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from idp.people.rules.person import Status
from idp.people.services.directory import KnownPerson, People
from idp.platform.outbox import deliver_due
from idp.platform.transients import Versioned
from idp.protocol.rules.decoupled_request import Kind
from idp.protocol.services.decoupled_requests import DecoupledRequests
from tests.support.provider import SESSION, Provider
from tests.support.web import Web

CIBA = "urn:openid:params:grant-type:ciba"


async def list_told(provider: Provider) -> list[str]:
    """Deliver what is due; return the phones that were told of a waiting request."""
    told: list[str] = []

    async def keep(payload: dict[str, Any], _: object) -> str:
        if payload["template"] == "request_waiting":
            told.append(payload["phone"])
        return "kept"

    platform = provider.services.platform
    await deliver_due(platform.outbox, platform.database, {"sms": keep})
    return told


@pytest.mark.parametrize("hint", ["login_hint", "id_token_hint"])
@pytest.mark.parametrize("status", list(Status))
async def test_nobody_is_reached_who_may_not_sign_in(provider: Provider, status: Status, hint: str) -> None:
    counter = await provider.add_client(f"counter-{status.value}-{hint}", grant_types=("authorization_code", CIBA))
    person = await provider.add_person()
    hints = {"login_hint": person.document}
    if hint == "id_token_hint":
        hints = {hint: (await provider.get_tokens(counter, await provider.open_session(person)))["id_token"]}
    await provider.execute("UPDATE people SET status = $2 WHERE id = $1", person.person_id, status.value)
    answer = await provider.post("/bc-authorize", {"scope": "openid", **hints}, counter)
    await provider.services.afterwards.settle()
    assert answer.status_code == 200
    assert answer.json().keys() == {"auth_req_id", "expires_in", "interval"}
    active = status is Status.ACTIVE
    assert await list_told(provider) == ([person.phone] if active else [])
    reached = [e for e in await provider.read_events("request_reached") if e["person_id"] == person.person_id]
    assert len(reached) == int(active)
    await provider.execute("UPDATE people SET status = 'active' WHERE id = $1", person.person_id)
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(person))[SESSION])
    assert ('id="look"' in (await web.get("/account/requests")).text) is active, "nothing waits"
    provider.clock.advance(6)
    form = {"grant_type": CIBA, "auth_req_id": answer.json()["auth_req_id"]}
    assert (await provider.post("/token", form, counter)).json()["error"] == "authorization_pending"


async def test_polls_do_not_tell_that_somebody_is_reached_meanwhile(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = await provider.add_client("early-counter", grant_types=(CIBA,))
    person = await provider.add_person()
    polled = asyncio.Event()
    find = People.find_by_identifier

    async def find_late(self: People, identifier: str) -> KnownPerson | None:
        await polled.wait()
        return await find(self, identifier)

    monkeypatch.setattr(People, "find_by_identifier", find_late)
    heard = []
    for hint in (person.document, "350102199001011232"):
        polled.clear()
        begun = (await provider.post("/bc-authorize", {"scope": "openid", "login_hint": hint}, counter)).json()
        form = {"grant_type": CIBA, "auth_req_id": begun["auth_req_id"]}
        words = [(await provider.post("/token", form, counter)).json()["error"]]
        polled.set()
        await provider.services.afterwards.settle()
        for seconds in (1, 9, 15):  # early, still early by the interval that grew with it, and in time
            provider.clock.advance(seconds)
            words.append((await provider.post("/token", form, counter)).json()["error"])
        heard.append(words)
    assert heard == [["authorization_pending", "slow_down", "slow_down", "authorization_pending"]] * 2
    assert len([e for e in await provider.read_events("request_reached") if e["person_id"] == person.person_id]) == 1


async def test_a_poll_that_comes_between_is_kept(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = provider.services.platform
    requests = DecoupledRequests(platform.transients, platform.clock, platform.random)
    request = await requests.begin(Kind.CIBA, "between", ("openid",), 60, 5)
    get = platform.transients.get

    async def get_before_a_poll(kind: str, key: str) -> Versioned | None:
        stored = await get(kind, key)
        monkeypatch.undo()
        await requests.poll(request.id, "between", Kind.CIBA)
        return stored

    monkeypatch.setattr(platform.transients, "get", get_before_a_poll)
    assert await requests.address(request.id, UUID(int=7))
    held = await requests.find(request.id)
    assert held is not None
    assert (held.request.person_id, held.request.polled_at) == (UUID(int=7), platform.clock())
    assert not await requests.address("never-was", UUID(int=7))
