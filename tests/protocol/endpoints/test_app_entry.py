"""App entry: an app's own sign-in, other apps of the device (Native SSO), web views with front tickets (S58); token exchange (RFC 8693)."""

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlencode

from idp.kernel.clock import read_system_random
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Acr
from idp.protocol.endpoints.front_ticket import FrontTicketPage
from idp.protocol.rules.client import ApplicationType, AuthMethod, Basis, Entitlement
from idp.protocol.rules.client_metadata import About, RequestDemands
from idp.protocol.rules.token_exchange import TokenType
from tests.support.provider import BACK, SESSION, Provider, Somebody
from tests.support.web import Web, find_code

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
DAY = 86_400
VERIFIER = encode_base64url(read_system_random(32))
CHALLENGE = encode_base64url(hashlib.sha256(VERIFIER.encode()).digest())


async def add_app(provider: Provider, client_id: str, **changes: Any) -> str:
    """Register an app with a server behind it, whose web view may enter at ``land``."""
    given = {
        "grant_types": ("authorization_code", "refresh_token", EXCHANGE),
        "scopes": ("profile", "real_name", "device_sso"),
        "sector": "app",
        "requests": RequestDemands(front_ticket_targets=("land-front",)),
    }
    return await provider.add_client(client_id, **{**given, **changes})


async def sign_in_app(provider: Provider, client_id: str, person: Somebody) -> dict[str, Any]:
    """Return the app's tokens after the person let it in with a browser."""
    return await provider.get_tokens(client_id, await provider.open_session(person), scope="openid real_name device_sso")


async def ask_for_ticket(provider: Provider, client_id: str, access_token: str, **changes: str) -> Any:
    """Exchange the app's token for a ticket of this device."""
    form = {
        "grant_type": EXCHANGE,
        "subject_token": access_token,
        "subject_token_type": TokenType.ACCESS_TOKEN.value,
        "requested_token_type": TokenType.FRONT_TICKET.value,
        "audience": "land-front",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return await provider.post("/token", form, client_id)


def enter(ticket: str, verifier: str = VERIFIER) -> str:
    """Return the address that a web view opens."""
    return "/enter?" + urlencode({"ticket": ticket, "code_verifier": verifier})


async def test_an_apps_sign_in_outlives_the_browsers_and_ends_from_the_persons_list(provider: Provider) -> None:
    await add_app(provider, "app-long", name="浙里办（样例）")
    person = await provider.add_person()
    tokens = await sign_in_app(provider, "app-long", person)
    provider.clock.advance(5 * DAY)
    refreshed = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, "app-long")
    assert refreshed.status_code == 200, refreshed.text
    access_token = refreshed.json()["access_token"]
    assert (await provider.read_userinfo(access_token)).status_code == 200
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(person))[SESSION])
    page = await web.get("/account/sessions")
    assert "浙里办（样例）" in page.text
    await web.submit("/account/sessions", others="1")
    assert (await provider.read_userinfo(access_token)).status_code == 401
    again = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": refreshed.json()["refresh_token"]}, "app-long")
    assert again.json()["error"] == "invalid_grant"


async def test_the_app_is_not_let_in_once_the_browser_signed_out(provider: Provider) -> None:
    await add_app(provider, "app-late")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    landing = await provider.authorize("app-late", cookies, scope="openid device_sso")
    await provider.execute("UPDATE sessions SET ended_at = now(), ended_reason = 'signed out' WHERE person_id = $1", person.person_id)
    assert (await provider.redeem("app-late", landing)).json()["error"] == "invalid_grant"
    rows = await provider.services.platform.database.fetch(
        "SELECT count(*) AS n FROM sessions WHERE person_id = $1 AND ended_at IS NULL", person.person_id
    )
    assert rows[0]["n"] == 0


async def test_a_replayed_code_leaves_no_sign_in_behind(provider: Provider) -> None:
    await add_app(provider, "app-replayed")
    person = await provider.add_person()
    landing = await provider.authorize("app-replayed", await provider.open_session(person), scope="openid device_sso")
    answers = await asyncio.gather(*(provider.redeem("app-replayed", landing) for _ in range(4)))
    assert sorted(a.status_code for a in answers).count(200) <= 1
    rows = await provider.services.platform.database.fetch(
        "SELECT count(*) AS n FROM sessions WHERE person_id = $1 AND ended_at IS NULL AND app_client_id IS NOT NULL", person.person_id
    )
    assert rows[0]["n"] <= 1


async def test_another_app_of_the_sector_comes_along_with_the_device_secret(provider: Provider) -> None:
    public = {"auth_method": AuthMethod.NONE, "application_type": ApplicationType.NATIVE, "redirect_uris": ("gov.example.app:/callback",)}
    await add_app(provider, "app-first")
    await add_app(provider, "app-second", **public)
    person = await provider.add_person()
    tokens = await sign_in_app(provider, "app-first", person)
    form = {
        "grant_type": EXCHANGE,
        "client_id": "app-second",
        "audience": "http://127.0.0.1:8000",
        "subject_token": tokens["id_token"],
        "subject_token_type": TokenType.ID_TOKEN.value,
        "actor_token": tokens["device_secret"],
        "actor_token_type": TokenType.DEVICE_SECRET.value,
        "scope": "openid real_name",
    }
    answer = (await provider.post("/token", form)).json()
    assert answer["issued_token_type"] == TokenType.ACCESS_TOKEN.value
    assert (await provider.read_userinfo(answer["access_token"])).json()["real_name_verified"] is True
    assert answer["id_token"]
    assert answer["device_secret"] == tokens["device_secret"]
    for wrong in (
        {"actor_token": "x" * 80},
        {"subject_token": (await provider.get_tokens("app-first", await provider.open_session(person)))["id_token"]},
    ):
        refused = await provider.post("/token", {**form, **wrong})
        assert refused.json()["error"] == "invalid_request", wrong


async def test_an_app_of_another_sector_stays_outside(provider: Provider) -> None:
    await add_app(provider, "app-ours")
    await add_app(provider, "app-theirs", sector="elsewhere")
    tokens = await sign_in_app(provider, "app-ours", await provider.add_person())
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["id_token"],
        "subject_token_type": TokenType.ID_TOKEN.value,
        "actor_token": tokens["device_secret"],
        "actor_token_type": TokenType.DEVICE_SECRET.value,
    }
    assert (await provider.post("/token", form, "app-theirs")).json()["error"] == "unauthorized_client"


async def test_s58_a_front_ticket_opens_a_web_session_once_without_a_page(provider: Provider) -> None:
    await provider.add_client("land-front", about=About(initiate_login_uri="https://department.example/login"))
    await add_app(provider, "app-s58")
    person = await provider.add_person()
    signed_in_at = provider.now()
    tokens = await sign_in_app(provider, "app-s58", person)
    provider.clock.advance(120)
    answer = (await ask_for_ticket(provider, "app-s58", tokens["access_token"])).json()
    assert (answer["issued_token_type"], answer["token_type"], answer["expires_in"]) == (TokenType.FRONT_TICKET.value, "N_A", 60)
    view = Web(provider)
    landed = await view.client.get(enter(answer["access_token"]))
    assert landed.status_code == 303
    assert landed.headers["location"].startswith("https://department.example/login?iss=")
    # The department's own request is then answered without a page, with the original level and time.
    code = await provider.authorize("land-front", {SESSION: view.client.cookies[SESSION]}, prompt="none")
    claims = await provider.redeem("land-front", code)
    assert claims.status_code == 200
    read = provider.services.platform.ring.verify(claims.json()["id_token"], "JWT")
    assert read["auth_time"] == int(signed_in_at.timestamp())
    assert read["acr"] == "urn:yizheng:acr:substantial"
    again = await Web(provider).client.get(enter(answer["access_token"]))
    assert (again.status_code, find_code(again)) == (403, "ticket_refused")


async def test_s58_a_ticket_is_refused_late_elsewhere_and_from_another_site(provider: Provider) -> None:
    await provider.add_client("land-front-2")
    await add_app(provider, "app-s58-late", requests=RequestDemands(front_ticket_targets=("land-front-2",)))
    person = await provider.add_person()
    tokens = await sign_in_app(provider, "app-s58-late", person)

    async def make() -> str:
        answer = await ask_for_ticket(provider, "app-s58-late", tokens["access_token"], audience="land-front-2")
        ticket: str = answer.json()["access_token"]
        return ticket

    elsewhere = await make()
    assert find_code(await Web(provider).client.get(enter(elsewhere, "x" * 43))) == "ticket_refused"
    assert (await Web(provider).client.get(enter(elsewhere))).status_code == 303, "a wrong guess does not spend it"
    crossed = await make()
    page = await Web(provider).client.get(enter(crossed), headers={"sec-fetch-site": "cross-site"})
    assert find_code(page) == "ticket_refused"
    late = await make()
    provider.clock.advance(60)
    assert find_code(await Web(provider).client.get(enter(late))) == "ticket_refused"


async def test_s58_of_simultaneous_uses_one_enters(provider: Provider) -> None:
    await provider.add_client("land-front-3")
    await add_app(provider, "app-s58-race", requests=RequestDemands(front_ticket_targets=("land-front-3",)))
    tokens = await sign_in_app(provider, "app-s58-race", await provider.add_person())
    ticket = (await ask_for_ticket(provider, "app-s58-race", tokens["access_token"], audience="land-front-3")).json()["access_token"]
    answers = await asyncio.gather(*(Web(provider).client.get(enter(ticket)) for _ in range(6)))
    assert sorted(a.status_code for a in answers) == [303, 403, 403, 403, 403, 403]


async def test_somebody_else_is_not_pushed_out(provider: Provider) -> None:
    await provider.add_client("land-front-4")
    await add_app(provider, "app-s58-other", requests=RequestDemands(front_ticket_targets=("land-front-4",)))
    tokens = await sign_in_app(provider, "app-s58-other", await provider.add_person())
    ticket = (await ask_for_ticket(provider, "app-s58-other", tokens["access_token"], audience="land-front-4")).json()["access_token"]
    view = Web(provider)
    theirs = (await provider.open_session(await provider.add_person()))[SESSION]
    view.client.cookies.set(SESSION, theirs)
    page = await view.client.get(enter(ticket))
    assert find_code(page) == "another_person_here"
    assert view.client.cookies[SESSION] == theirs


async def test_signing_out_in_the_web_view_signs_the_app_out(provider: Provider) -> None:
    await provider.add_client("land-front-5")
    await add_app(provider, "app-s58-out", requests=RequestDemands(front_ticket_targets=("land-front-5",)))
    tokens = await sign_in_app(provider, "app-s58-out", await provider.add_person())
    ticket = (await ask_for_ticket(provider, "app-s58-out", tokens["access_token"], audience="land-front-5")).json()["access_token"]
    view = Web(provider)
    await view.client.get(enter(ticket))
    await view.get("/sign-out")
    await view.submit("/sign-out", decision="sign-out")
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def test_only_the_apps_own_sign_in_and_targets_make_tickets(provider: Provider) -> None:
    await provider.add_client("land-front-6")
    await add_app(provider, "app-own", requests=RequestDemands(front_ticket_targets=("land-front-6",)))
    await add_app(provider, "app-foreign", requests=RequestDemands(front_ticket_targets=("land-front-6",)))
    tokens = await sign_in_app(provider, "app-own", await provider.add_person())
    foreign = await ask_for_ticket(provider, "app-foreign", tokens["access_token"], audience="land-front-6")
    assert foreign.json()["error"] == "invalid_request"
    nowhere = await ask_for_ticket(provider, "app-own", tokens["access_token"], audience="app-foreign")
    assert nowhere.json()["error"] == "invalid_target"
    over = await ask_for_ticket(provider, "app-own", "x" * 60, audience="land-front-6")
    assert over.json()["error"] == "invalid_request"


async def test_an_access_token_is_exchanged_for_another_resource_server(provider: Provider) -> None:
    await provider.add_client("archive", resources=("https://archive.example/api",), sector="archive")
    await provider.add_client(
        "broker",
        grant_types=("authorization_code", EXCHANGE),
        requests=RequestDemands(allowed_resources=("https://archive.example/api",)),
    )
    person = await provider.add_person()
    tokens = await provider.get_tokens("broker", await provider.open_session(person), scope="openid profile real_name")
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["access_token"],
        "subject_token_type": TokenType.ACCESS_TOKEN.value,
        "resource": "https://archive.example/api",
        "scope": "real_name",
    }
    answer = (await provider.post("/token", form, "broker")).json()
    assert (answer["issued_token_type"], answer["token_type"]) == (TokenType.ACCESS_TOKEN.value, "Bearer")
    assert "id_token" not in answer
    assert "refresh_token" not in answer
    assert answer["expires_in"] <= tokens["expires_in"]
    seen = (await provider.post("/introspect", {"token": answer["access_token"]}, "archive")).json()
    assert (seen["active"], seen["aud"], seen["scope"], seen["client_id"]) == (True, "https://archive.example/api", "real_name", "broker")
    userinfo = (await provider.read_userinfo(tokens["access_token"])).json()
    assert seen["sub"] != userinfo["sub"], "another sector, another subject"
    assert (await provider.read_userinfo(answer["access_token"])).status_code == 403
    for wrong, error in (
        ({"resource": "https://elsewhere.example/api"}, "invalid_target"),
        ({"scope": "identity"}, "invalid_scope"),
        ({"subject_token": "x" * 60}, "invalid_request"),
    ):
        assert (await provider.post("/token", {**form, **wrong}, "broker")).json()["error"] == error
    await provider.execute("UPDATE people SET status = 'banned' WHERE id = $1", person.person_id)
    assert (await provider.post("/introspect", {"token": answer["access_token"]}, "archive")).json() == {"active": False}


async def test_a_stranger_cannot_exchange(provider: Provider) -> None:
    await provider.add_client("owner-of-token", redirect_uris=("https://department.example/callback",))
    await provider.add_client(
        "stranger", grant_types=(EXCHANGE,), requests=RequestDemands(allowed_resources=("https://archive.example/api",))
    )
    tokens = await provider.get_tokens("owner-of-token", await provider.open_session(await provider.add_person()))
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["access_token"],
        "subject_token_type": TokenType.ACCESS_TOKEN.value,
        "resource": "https://archive.example/api",
    }
    assert (await provider.post("/token", form, "stranger")).json()["error"] == "invalid_request"
    assert (await provider.post("/token", form, "owner-of-token")).json()["error"] == "unauthorized_client"


async def test_what_a_page_would_ask_the_next_app_asks_with_a_page(provider: Provider) -> None:
    await add_app(provider, "app-known", sector="one")
    await add_app(
        provider, "app-asking", sector="one", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),), minimum_acr=Acr.SUBSTANTIAL
    )
    person = await provider.add_person()
    tokens = await sign_in_app(provider, "app-known", person)
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["id_token"],
        "subject_token_type": TokenType.ID_TOKEN.value,
        "actor_token": tokens["device_secret"],
        "actor_token_type": TokenType.DEVICE_SECRET.value,
        "scope": "openid profile",
    }
    assert (await provider.post("/token", form, "app-asking")).json()["error"] == "consent_required"
    await provider.execute("UPDATE people SET ial = 2 WHERE id = $1", person.person_id)
    assert (await provider.post("/token", {**form, "scope": "openid"}, "app-asking")).json()["error"] == "login_required"
    await provider.execute("UPDATE people SET ial = 3, barred_from = '{app-asking}' WHERE id = $1", person.person_id)
    assert (await provider.post("/token", {**form, "scope": "openid"}, "app-asking")).json()["error"] == "access_denied"
    assert (await provider.post("/token", {**form, "scope": "openid"}, "app-known")).status_code == 200


async def test_a_ticket_brings_no_ended_sign_in_back_to_life(provider: Provider) -> None:
    await provider.add_client("land-front-7")
    await add_app(
        provider,
        "app-offline",
        scopes=("real_name", "device_sso", "offline_access"),
        requests=RequestDemands(front_ticket_targets=("land-front-7",)),
    )
    person = await provider.add_person()
    tokens = await provider.get_tokens(
        "app-offline", await provider.open_session(person), scope="openid real_name device_sso offline_access"
    )
    ticket = (await ask_for_ticket(provider, "app-offline", tokens["access_token"], audience="land-front-7")).json()["access_token"]
    await provider.execute("UPDATE sessions SET ended_at = now(), ended_reason = 'expired' WHERE person_id = $1", person.person_id)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200, "offline access outlives the sign-in"
    page = await Web(provider).client.get(enter(ticket))
    assert find_code(page) == "ticket_refused"


async def test_an_earlier_sign_in_of_the_web_view_ends_when_the_apps_takes_its_place(provider: Provider) -> None:
    await provider.add_client("land-front-8")
    await provider.add_client("land-before")
    await add_app(provider, "app-replacing", requests=RequestDemands(front_ticket_targets=("land-front-8",)))
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    before = await provider.get_tokens("land-before", cookies)
    tokens = await sign_in_app(provider, "app-replacing", person)
    ticket = (await ask_for_ticket(provider, "app-replacing", tokens["access_token"], audience="land-front-8")).json()["access_token"]
    view = Web(provider)
    view.client.cookies.set(SESSION, cookies[SESSION])
    assert (await view.client.get(enter(ticket))).status_code == 303
    assert (await provider.read_userinfo(before["access_token"])).status_code == 401, "nothing is left that a sign-out would not end"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200


def test_where_real_people_are_a_page_beside_ours_sends_nobody_in(provider: Provider) -> None:
    tickets: Any = None
    pages: Any = None
    assert b"same-site" not in FrontTicketPage(pages, tickets, from_near=False).sites
    assert b"same-site" in FrontTicketPage(pages, tickets, from_near=True).sites
    assert b"cross-site" not in FrontTicketPage(pages, tickets, from_near=True).sites


async def test_an_app_signs_out_with_its_own_id_token(provider: Provider) -> None:
    await add_app(provider, "app-leaving")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    tokens = await provider.get_tokens("app-leaving", cookies, scope="openid real_name device_sso")
    web = Web(provider)
    web.client.cookies.set(SESSION, cookies[SESSION])
    left = await web.client.get("/sign-out?" + urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK}))
    assert left.headers["location"].startswith((BACK, "/signed-out")), "the person is not asked: the app proved to mean its own sign-in"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    rows = await provider.services.platform.database.fetch(
        "SELECT count(*) AS n FROM sessions WHERE person_id = $1 AND ended_at IS NULL", person.person_id
    )
    assert rows[0]["n"] == 0, "neither the app's sign-in nor the browser's goes on"


async def test_a_hint_of_somebody_else_ends_nothing_of_theirs_unasked(provider: Provider) -> None:
    await add_app(provider, "app-staying")
    tokens = await sign_in_app(provider, "app-staying", await provider.add_person())
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(await provider.add_person()))[SESSION])
    page = await web.get("/sign-out?" + urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK}))
    assert 'name="decision"' in page.text, "the person is asked"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200


async def test_the_metadata_says_that_apps_may_come_along(provider: Provider) -> None:
    assert (await provider.browser.get("/.well-known/openid-configuration")).json()["native_sso_supported"] is True
