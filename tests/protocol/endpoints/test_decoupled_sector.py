"""A client that moves to another sector collects no approval that names the person as the sector before knew them."""

from typing import Any

import pytest

from tests.protocol.endpoints.test_decoupled import CIBA, DEVICE, ask, begin_at_terminal, poll, sign_in_here
from tests.protocol.endpoints.test_exchanged_tokens import move
from tests.support.provider import Provider, Somebody


async def begin(provider: Provider, client: str, grant: str, person: Somebody) -> tuple[dict[str, str], Any]:
    """Begin, lead the person to the question; return what is polled with, and the browser."""
    web = await sign_in_here(provider, person)
    if grant == DEVICE:
        begun = await begin_at_terminal(provider, client)
        await web.get("/device")
        await web.submit("/device", user_code=begun["user_code"])
        return {"device_code": begun["device_code"]}, web
    asked = (await ask(provider, client, login_hint=person.document)).json()
    await web.get("/account/requests")
    await web.submit("/account/requests")
    return {"auth_req_id": asked["auth_req_id"]}, web


def read_subject(provider: Provider, tokens: dict[str, str]) -> str:
    return str(provider.services.platform.ring.verify(tokens["id_token"], "JWT")["sub"])


@pytest.mark.parametrize("grant", [DEVICE, CIBA])
async def test_an_approval_under_the_sector_before_is_not_collected(provider: Provider, grant: str) -> None:
    kind = grant.rpartition(":")[2]
    client = await provider.add_client(f"moved-{kind}", grant_types=(grant,), sector=f"{kind}-old")
    neighbour = await provider.add_client(f"beside-{kind}", sector=f"{kind}-old")
    person = await provider.add_person()
    old = read_subject(provider, await provider.get_tokens(neighbour, await provider.open_session(person)))
    form, web = await begin(provider, client, grant, person)
    await web.submit("/approve", answer="approve")
    await move(provider, client, f"{kind}-new")
    answer = await poll(provider, client, grant, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    refusals = [e["details"] for e in await provider.read_events("token_refused") if e["client_id"] == client]
    assert [("of another sector" in str(details)) for details in refusals] == [True]
    form, web = await begin(provider, client, grant, person)
    await web.submit("/approve", answer="approve")
    fresh = await poll(provider, client, grant, **form)
    assert fresh.status_code == 200, fresh.text
    assert read_subject(provider, fresh.json()) != old


@pytest.mark.parametrize("grant", [DEVICE, CIBA])
async def test_an_approval_after_the_move_is_for_the_new_sector(provider: Provider, grant: str) -> None:
    kind = grant.rpartition(":")[2]
    client = await provider.add_client(f"moving-{kind}", grant_types=(grant,), sector=f"{kind}-before")
    neighbour = await provider.add_client(f"there-{kind}", sector=f"{kind}-after")
    person = await provider.add_person()
    form, web = await begin(provider, client, grant, person)
    await move(provider, client, f"{kind}-after")
    provider.clock.advance(6)
    await web.submit("/approve", answer="approve")
    answer = await poll(provider, client, grant, **form)
    assert answer.status_code == 200, answer.text
    there = await provider.get_tokens(neighbour, await provider.open_session(person))
    assert read_subject(provider, answer.json()) == read_subject(provider, there)
