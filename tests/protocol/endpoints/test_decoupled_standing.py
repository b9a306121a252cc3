"""Whom a counter reaches: nobody who may not sign in hears of it, and the counter is not told why."""

from typing import Any

import pytest

from idp.people.rules.person import Status
from idp.platform.outbox import deliver_due
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
