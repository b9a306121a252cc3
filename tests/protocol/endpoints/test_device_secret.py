"""What a device secret is worth once something is wrong with the sign-in of the app that it came from (Native SSO 1.0, RFC 9700 §4.14)."""

from typing import Any

from idp.protocol.rules.client_metadata import LogoutAddresses, RequestDemands
from idp.protocol.rules.token_exchange import TokenType
from tests.protocol.endpoints.test_app_entry import EXCHANGE, add_app, ask_for_ticket, enter, sign_in_app
from tests.support.provider import SESSION, Provider
from tests.support.web import Web

OFFLINE = ("profile", "real_name", "device_sso", "offline_access")


async def come_along(provider: Provider, client_id: str, tokens: dict[str, Any], scope: str = "openid") -> Any:
    """Exchange an app's ID Token and device secret for tokens of another app."""
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["id_token"],
        "subject_token_type": TokenType.ID_TOKEN.value,
        "actor_token": tokens["device_secret"],
        "actor_token_type": TokenType.DEVICE_SECRET.value,
        "scope": scope,
    }
    return await provider.post("/token", form, client_id)


async def refresh(provider: Provider, client_id: str, tokens: dict[str, Any]) -> Any:
    return await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client_id)


async def sign_out(provider: Provider, cookie: str) -> None:
    web = Web(provider)
    web.client.cookies.set(SESSION, cookie)
    await web.get("/sign-out")
    await web.submit("/sign-out", decision="sign-out")


async def test_a_code_used_twice_ends_the_sign_in_and_all_that_came_from_it(provider: Provider) -> None:
    told = LogoutAddresses(backchannel_logout_uri="https://department.example/logout")
    await add_app(provider, "twice", logout=told)
    await add_app(provider, "twice-offline", scopes=OFFLINE)
    landing = await provider.authorize("twice", await provider.open_session(await provider.add_person()), scope="openid device_sso")
    tokens = (await provider.redeem("twice", landing)).json()
    sibling = (await come_along(provider, "twice-offline", tokens, "openid offline_access")).json()
    assert (await provider.redeem("twice", landing)).json()["error"] == "invalid_grant"
    assert (await come_along(provider, "twice", tokens)).json()["error"] == "invalid_request"
    assert (await provider.read_userinfo(sibling["access_token"])).status_code == 401, "offline, but by a secret that was stolen"
    rows = await provider.services.platform.database.fetch("SELECT state FROM logout_deliveries WHERE client_id = 'twice'")
    assert [row["state"] for row in rows] == ["waiting"]


async def test_a_code_used_twice_is_noticed_after_the_browser_signed_out(provider: Provider) -> None:
    await add_app(provider, "late-twice")
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("late-twice", cookies, scope="openid device_sso")
    tokens = (await provider.redeem("late-twice", landing)).json()
    await sign_out(provider, cookies[SESSION])
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200, "the sign-in of the app is its own"
    assert (await provider.redeem("late-twice", landing)).json()["error"] == "invalid_grant"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    assert (await come_along(provider, "late-twice", tokens)).json()["error"] == "invalid_request"


async def test_a_refresh_token_used_twice_ends_the_sign_in_of_the_app(provider: Provider) -> None:
    await add_app(provider, "reused")
    await add_app(provider, "reused-too")
    tokens = await sign_in_app(provider, "reused", await provider.add_person())
    assert (await refresh(provider, "reused", tokens)).status_code == 200
    provider.clock.advance(60)
    assert (await refresh(provider, "reused", tokens)).json()["error"] == "invalid_grant"
    assert (await come_along(provider, "reused-too", tokens)).json()["error"] == "invalid_request"


async def test_an_app_that_gives_its_tokens_back_signs_out_those_that_came_along(provider: Provider) -> None:
    await add_app(provider, "gives")
    await add_app(provider, "gives-too")
    tokens = await sign_in_app(provider, "gives", await provider.add_person())
    along = (await come_along(provider, "gives-too", tokens)).json()
    assert (await provider.post("/revoke", {"token": tokens["refresh_token"]}, "gives")).status_code == 200
    assert (await come_along(provider, "gives-too", tokens)).json()["error"] == "invalid_request"
    assert (await provider.read_userinfo(along["access_token"])).status_code == 401


async def test_a_department_in_the_web_view_does_not_sign_the_app_out(provider: Provider) -> None:
    await provider.add_client("land-view", grant_types=("authorization_code", "refresh_token"))
    await add_app(provider, "viewing", requests=RequestDemands(front_ticket_targets=("land-view",)))
    tokens = await sign_in_app(provider, "viewing", await provider.add_person())
    view = Web(provider)
    ticket = (await ask_for_ticket(provider, "viewing", tokens["access_token"], audience="land-view")).json()["access_token"]
    await view.client.get(enter(ticket))
    theirs = await provider.get_tokens("land-view", {SESSION: view.client.cookies[SESSION]})
    await provider.post("/revoke", {"token": theirs["refresh_token"]}, "land-view")
    assert (await provider.read_userinfo(theirs["access_token"])).status_code == 401
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    assert (await come_along(provider, "viewing", tokens)).status_code == 200


async def test_an_app_that_may_not_act_brings_no_other_in(provider: Provider) -> None:
    await add_app(provider, "stopped")
    await add_app(provider, "stopped-too")
    person = await provider.add_person()
    tokens = await sign_in_app(provider, "stopped", person)
    assert (await come_along(provider, "stopped-too", tokens)).status_code == 200
    for stop, again in (
        ("UPDATE people SET barred_from = '{stopped}' WHERE id = $1", "UPDATE people SET barred_from = NULL WHERE id = $1"),
        (
            "UPDATE clients SET status = 'suspended' WHERE client_id = 'stopped' AND $1::uuid IS NOT NULL",
            "UPDATE clients SET status = 'sandbox' WHERE client_id = 'stopped' AND $1::uuid IS NOT NULL",
        ),
        (
            "UPDATE grants SET ended_at = now() WHERE client_id = 'stopped' AND person_id = $1",
            "UPDATE grants SET ended_at = NULL WHERE client_id = 'stopped' AND person_id = $1",
        ),
    ):
        await provider.execute(stop, person.person_id)
        assert (await come_along(provider, "stopped-too", tokens)).json()["error"] == "invalid_request", stop
        await provider.execute(again, person.person_id)
        assert (await come_along(provider, "stopped-too", tokens)).status_code == 200, again


async def test_who_never_refreshes_is_not_offline_by_coming_along(provider: Provider) -> None:
    await add_app(provider, "refreshes", scopes=OFFLINE)
    await add_app(provider, "never-refreshes", scopes=OFFLINE, grant_types=("authorization_code", EXCHANGE))
    tokens = await sign_in_app(provider, "refreshes", await provider.add_person())
    assert (await come_along(provider, "never-refreshes", tokens, "openid offline_access")).json()["scope"] == "openid"
    assert (await come_along(provider, "refreshes", tokens, "openid offline_access")).json()["scope"] == "openid offline_access"


async def test_a_sign_in_that_ended_makes_no_ticket_though_its_grant_is_offline(provider: Provider) -> None:
    await provider.add_client("land-ended")
    await add_app(provider, "offline", scopes=OFFLINE, requests=RequestDemands(front_ticket_targets=("land-ended",)))
    person = await provider.add_person()
    tokens = await provider.get_tokens("offline", await provider.open_session(person), scope="openid device_sso offline_access")
    assert (await ask_for_ticket(provider, "offline", tokens["access_token"], audience="land-ended")).status_code == 200
    await provider.execute("UPDATE sessions SET ended_at = now(), ended_reason = 'expired' WHERE person_id = $1", person.person_id)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    refused = await ask_for_ticket(provider, "offline", tokens["access_token"], audience="land-ended")
    assert refused.json()["error"] == "invalid_request"


async def test_what_was_exchanged_makes_no_ticket_of_anothers_sign_in(provider: Provider) -> None:
    api = "https://ticket.example/api"
    await provider.add_client("land-exchanged")
    await provider.add_client("ticket-api-2", resources=(api + "2",))
    may = RequestDemands(front_ticket_targets=("land-exchanged",), allowed_resources=(api + "2",))
    await provider.add_client("ticket-api", resources=(api,), grant_types=(EXCHANGE,), redirect_uris=(), requests=may)
    await provider.add_client("asking", requests=RequestDemands(allowed_resources=(api,)))
    token = (await provider.get_tokens("asking", await provider.open_session(await provider.add_person()), resource=api))["access_token"]
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": TokenType.ACCESS_TOKEN.value, "resource": api + "2"}
    exchanged = (await provider.post("/token", form, "ticket-api")).json()["access_token"]
    assert (await ask_for_ticket(provider, "ticket-api", exchanged, audience="land-exchanged")).json()["error"] == "invalid_request"
