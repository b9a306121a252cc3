"""An account that loses its standing loses every session and grant with it, and gets none of them back."""

import asyncio
import json

import pytest

from idp.kernel.audit_events import Place
from idp.kernel.levels import Factor, Proved
from idp.people.rules.person import Status, StatusEvent
from tests.support.provider import Provider, Somebody

WAYS = {
    "banned": ((StatusEvent.BAN,), (StatusEvent.REQUEST_UNBAN, StatusEvent.APPROVE_UNBAN)),
    "frozen": ((StatusEvent.FREEZE,), (StatusEvent.PROVE_IDENTITY,)),
    "closed": ((StatusEvent.ASK_TO_CLOSE, StatusEvent.CLOSE), ()),
    "deceased": ((StatusEvent.REPORT_DEATH,), ()),
}


async def happen(provider: Provider, person: Somebody, status: Status, *events: StatusEvent) -> Status:
    for event in events:
        async with provider.services.platform.database.transaction() as tx:
            status = await provider.services.people.change_status(tx, person.person_id, status, event)
    return status


async def refresh(provider: Provider, client_id: str, token: str) -> int:
    answer = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, client_id)
    return answer.status_code


@pytest.mark.parametrize("way", WAYS)
async def test_sessions_and_grants_end_for_good(provider: Provider, way: str) -> None:
    there, back = WAYS[way]
    client = await provider.add_client(f"loss-{way}", grant_types=("authorization_code", "refresh_token"))
    person, other = await provider.add_person(), await provider.add_person()
    cookies, theirs = await provider.open_session(person), await provider.open_session(other)
    tokens = await provider.get_tokens(client, cookies)
    offline = await provider.get_tokens(client, cookies, scope="openid offline_access")
    untouched = await provider.get_tokens(client, theirs)
    status = await happen(provider, person, Status.ACTIVE, *there)
    assert status.value == way
    if back:
        assert await happen(provider, person, status, *back) is Status.ACTIVE
    for token in (tokens["refresh_token"], offline["refresh_token"]):
        assert await refresh(provider, client, token) == 400
    assert (await provider.read_userinfo(offline["access_token"])).status_code == 401
    assert (await provider.authorize(client, cookies, prompt="none")).parameters["error"] == "login_required"
    assert await refresh(provider, client, untouched["refresh_token"]) == 200
    ended = [e for kind in ("session_ended", "grant_ended") for e in await provider.read_events(kind) if e["person_id"] == person.person_id]
    assert [json.loads(event["details"]) for event in ended] == [{"reason": way, "sessions": 1}, {"reason": way, "grants": 2}]


async def test_a_status_that_keeps_the_standing_ends_nothing(provider: Provider) -> None:
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    await provider.add_client("kept")
    await happen(provider, person, Status.ACTIVE, StatusEvent.ASK_TO_CLOSE, StatusEvent.CANCEL_CLOSING)
    assert (await provider.authorize("kept", cookies)).code


async def test_whoever_opens_a_session_while_the_standing_is_lost_loses_it_too(provider: Provider) -> None:
    person = await provider.add_person()
    database, services = provider.services.platform.database, provider.services
    held, asked = asyncio.Event(), asyncio.Event()

    async def sign_in() -> None:
        async with database.transaction() as tx:
            found = await services.people.hold(tx, person.person_id)
            assert found is not None
            assert found.status is Status.ACTIVE
            held.set()
            await asyncio.wait_for(asked.wait(), 10)
            await asyncio.sleep(0.2)
            await services.sessions.open(tx, person.person_id, (Proved(Factor.PASSWORD, provider.now()),), None, Place("127.0.0.1"))

    async def ban() -> None:
        await held.wait()
        asked.set()
        await happen(provider, person, Status.ACTIVE, StatusEvent.BAN)

    await asyncio.gather(sign_in(), ban())
    rows = await database.fetch("SELECT ended_reason FROM sessions WHERE person_id = $1", person.person_id)
    assert [row["ended_reason"] for row in rows] == ["banned"]
