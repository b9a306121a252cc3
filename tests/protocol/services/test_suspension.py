"""A client that was suspended comes back with nothing of what it held: not its tokens, nor what came of them elsewhere."""

import json
from datetime import timedelta
from urllib.parse import urlencode

from idp.protocol.rules.client_metadata import LogoutAddresses, RequestDemands
from idp.protocol.rules.client_status import ClientEvent
from idp.protocol.services.clients import CACHE_LIFE
from tests.protocol.endpoints.test_app_entry import EXCHANGE, add_app, sign_in_app
from tests.protocol.endpoints.test_device_secret import come_along
from tests.protocol.endpoints.test_exchanged_tokens import ask, exchange
from tests.protocol.endpoints.test_exchanged_tokens import move as move_to
from tests.support.provider import Provider
from tests.support.web import Web

DAY = timedelta(days=1).total_seconds()
CODE = ("authorization_code", "refresh_token")


async def move(provider: Provider, client_id: str, event: ClientEvent) -> None:
    services = provider.services
    async with services.platform.database.transaction() as tx:
        client = await services.clients.read(tx, client_id)
        assert client is not None
        await services.clients.move(tx, client, event, actor="operator:test")
    services.directory.forget_all()
    provider.clock.advance(1)


async def suspend_for_a_day(provider: Provider, client_id: str) -> None:
    await move(provider, client_id, ClientEvent.SUSPEND)
    provider.clock.advance(DAY)
    await move(provider, client_id, ClientEvent.RESUME_LIVE)


async def refresh(provider: Provider, client_id: str, token: str) -> int:
    answer = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, client_id)
    return answer.status_code


async def test_what_was_held_before_is_over_and_what_comes_after_counts(provider: Provider) -> None:
    await provider.add_client("stopped", grant_types=CODE)
    await provider.add_client("bystander", grant_types=CODE)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    held = await provider.get_tokens("stopped", cookies, scope="openid offline_access")
    other = await provider.get_tokens("bystander", cookies, scope="openid offline_access")
    provider.clock.advance(1)
    await suspend_for_a_day(provider, "stopped")
    assert await refresh(provider, "stopped", held["refresh_token"]) == 400
    assert await refresh(provider, "bystander", other["refresh_token"]) == 200
    fresh = await provider.get_tokens("stopped", await provider.open_session(person), scope="openid offline_access")
    assert (await provider.read_userinfo(fresh["access_token"])).status_code == 200
    assert await refresh(provider, "stopped", fresh["refresh_token"]) == 200


async def test_a_short_stop_ends_access_tokens_and_what_they_were_exchanged_for(provider: Provider) -> None:
    api = "https://archive.example/stop"
    await provider.add_client("archive-stop", resources=(api,))
    await provider.add_client("broker-stop", grant_types=(*CODE, EXCHANGE), requests=RequestDemands(allowed_resources=(api,)))
    held = await provider.get_tokens("broker-stop", await provider.open_session(await provider.add_person()))
    exchanged = await exchange(provider, "broker-stop", held["access_token"], api)
    assert (await ask(provider, "archive-stop", exchanged))["active"] is True
    provider.clock.advance(1)
    await move(provider, "broker-stop", ClientEvent.SUSPEND)
    await move(provider, "broker-stop", ClientEvent.RESUME_LIVE)
    assert (await provider.read_userinfo(held["access_token"])).status_code == 401
    assert (await ask(provider, "archive-stop", exchanged))["active"] is False


async def test_what_was_exchanged_at_another_client_falls_with_its_beginning(provider: Provider) -> None:
    first, second = "https://one.example/stop", "https://two.example/stop"
    await provider.add_client("two-stop", resources=(second,))
    may = RequestDemands(allowed_resources=(second,))
    await provider.add_client("one-stop", resources=(first,), grant_types=(EXCHANGE,), redirect_uris=(), requests=may)
    await provider.add_client("app-stop", requests=RequestDemands(allowed_resources=(first,)))
    cookies = await provider.open_session(await provider.add_person())
    held = await provider.get_tokens("app-stop", cookies, resource=first)
    exchanged = await exchange(provider, "one-stop", held["access_token"], second)
    assert (await ask(provider, "two-stop", exchanged))["active"] is True
    provider.clock.advance(1)
    await move(provider, "app-stop", ClientEvent.SUSPEND)
    await move(provider, "app-stop", ClientEvent.RESUME_LIVE)
    assert (await ask(provider, "two-stop", exchanged))["active"] is False


async def test_the_device_secret_of_a_suspended_app_brings_nobody_in_any_more(provider: Provider) -> None:
    await add_app(provider, "app-stopped")
    await add_app(provider, "app-beside")
    tokens = await sign_in_app(provider, "app-stopped", await provider.add_person())
    assert (await come_along(provider, "app-beside", tokens)).status_code == 200
    provider.clock.advance(1)
    await move(provider, "app-stopped", ClientEvent.SUSPEND)
    await move(provider, "app-stopped", ClientEvent.RESUME_LIVE)
    assert (await come_along(provider, "app-beside", tokens)).json()["error"] == "invalid_request"


async def test_the_audit_says_which_grants_a_change_ended(provider: Provider) -> None:
    client = await provider.add_client("told-of", sector="first")
    marks = []
    for sector in ("first", "second"):
        marks.append(provider.now() + CACHE_LIFE)
        await move_to(provider, client, sector)
        provider.clock.advance(60)
    for event in (ClientEvent.SUSPEND, ClientEvent.RESUME, ClientEvent.SUBMIT, ClientEvent.SUSPEND, ClientEvent.RETIRE):
        marks.append(provider.now())
        await move(provider, client, event)
    told = [json.loads(e["details"]) for e in await provider.read_events("client_changed") if e["client_id"] == client]
    ends = [False, True, True, True, False, True, True]
    assert [details.get("grants_from") for details in told] == [m.isoformat() if end else None for m, end in zip(marks, ends, strict=True)]


async def test_a_stop_is_no_sign_out_and_a_sign_out_is_told_of_while_it_lasts(provider: Provider) -> None:
    logout = LogoutAddresses(backchannel_logout_uri="https://department.example/backchannel")
    client = await provider.add_client("stopped-and-told", grant_types=CODE, logout=logout)
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens(client, cookies)

    async def read_deliveries() -> list[str]:
        statement = "SELECT channel, state FROM logout_deliveries WHERE client_id = $1"
        return [f"{row['channel']} {row['state']}" for row in await provider.services.platform.database.fetch(statement, client)]

    await move(provider, client, ClientEvent.SUSPEND)
    assert await read_deliveries() == [], "the person stays signed in"
    web = Web(provider)
    web.client.cookies.update(cookies)
    await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["id_token"]}))
    assert await read_deliveries() == ["back waiting"]


async def test_a_short_stop_takes_nothing_back_of_a_move_just_before(provider: Provider) -> None:
    client = await provider.add_client("moved-and-stopped", sector="there")

    async def read_mark() -> object:
        rows = await provider.services.platform.database.fetch("SELECT grants_from FROM clients WHERE client_id = $1", client)
        return rows[0]["grants_from"]

    until = provider.now() + CACHE_LIFE
    await move_to(provider, client, "elsewhere")
    assert await read_mark() == until
    await move(provider, client, ClientEvent.SUSPEND)
    await move(provider, client, ClientEvent.RESUME_LIVE)
    assert await read_mark() == until
    provider.clock.advance(CACHE_LIFE.total_seconds())
    await move(provider, client, ClientEvent.SUSPEND)
    assert await read_mark() == provider.now() - timedelta(seconds=1)


async def test_what_is_redeemed_while_the_stop_is_being_written_is_over_too(provider: Provider) -> None:
    await provider.add_client("racing", grant_types=CODE)
    held = await provider.get_tokens("racing", await provider.open_session(await provider.add_person()), scope="openid offline_access")
    await move(provider, "racing", ClientEvent.SUSPEND)
    await provider.execute("UPDATE grants SET created_at = $1 WHERE client_id = 'racing'", provider.clock())  # by a clock that is ahead
    provider.clock.advance(1)
    await move(provider, "racing", ClientEvent.RESUME_LIVE)
    assert await refresh(provider, "racing", held["refresh_token"]) == 400
