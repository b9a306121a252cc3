"""The authorization code flow over HTTP: codes, tokens, claims, replays, refresh, introspection."""

import asyncio
import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.kernel.clock import SHANGHAI
from idp.kernel.levels import Factor
from idp.protocol.rules.client import AuthMethod, Basis, Entitlement
from idp.protocol.rules.client_metadata import RequestDemands
from tests.support.provider import BACK, ISSUER, REDIRECT_URI, Provider
from tests.support.waiting import wait_until

ALL_GRANTS = ("authorization_code", "refresh_token", "client_credentials")


async def verify_id_token(provider: Provider, token: str) -> dict[str, Any]:
    """Verify with an independent library against the published keys."""
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    return dict(jwt.decode(token, keys, algorithms=["ES256", "RS256"]).claims)


async def test_a_code_becomes_tokens_and_claims(provider: Provider) -> None:
    await provider.add_client("flow", entitlements=(Entitlement("登记", Basis.STATUTORY_DUTY, ("name", "phone_number")),))
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    landing = await provider.authorize("flow", cookies, scope="openid profile phone real_name")
    assert landing.parameters["state"] == "state-1"
    assert landing.parameters["iss"] == ISSUER
    response = await provider.redeem("flow", landing)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()
    assert tokens["token_type"] == "Bearer"
    assert "refresh_token" not in tokens
    claims = await verify_id_token(provider, tokens["id_token"])
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, "flow", "nonce-1")
    assert claims["acr"] == "urn:yizheng:acr:substantial"
    assert claims["amr"] == ["pwd", "sms", "mfa"]
    assert claims["auth_time"] == int(provider.now().timestamp())
    assert not {"name", "phone_number", "id_document", "person_id"} & claims.keys()
    userinfo = (await provider.read_userinfo(tokens["access_token"])).json()
    assert userinfo["sub"] == claims["sub"]
    assert userinfo["name"] == person.name
    assert userinfo["phone_number"] == person.phone
    assert userinfo["real_name_verified"] is True
    assert userinfo["ial"] == 3
    assert "gender" not in userinfo
    assert "phone_number_verified" not in userinfo


async def test_amr_tells_no_more_than_was_counted(provider: Provider) -> None:
    await provider.add_client("counted", scopes=("openid", "offline_access"))
    person, stale = await provider.add_person(), await provider.add_person(matched_days_ago=91)
    cookies = await provider.open_session(person)
    told = []
    for hours in (1, 25):
        await provider.execute(
            "UPDATE people SET recovered_at = $2 WHERE id = $1", person.person_id, provider.now() - timedelta(hours=hours)
        )
        tokens = await provider.get_tokens("counted", cookies)
        claims = await verify_id_token(provider, tokens["id_token"])
        told.append((claims["acr"].rsplit(":", 1)[1], len(claims["amr"]), "mfa" in claims["amr"]))
    assert told == [("low", 1, False), ("substantial", 3, True)]
    tokens = await provider.get_tokens("counted", await provider.open_session(stale))
    assert (await verify_id_token(provider, tokens["id_token"]))["amr"] == ["pwd"], "a code without a fresh match is no second factor"


async def test_the_match_of_a_frozen_phone_counts_for_no_one(provider: Provider) -> None:
    await provider.add_client("frozen")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    await provider.execute("UPDATE person_identifiers SET state = 'frozen' WHERE person_id = $1 AND kind = 'phone'", person.person_id)
    tokens = await provider.get_tokens("frozen", cookies)
    claims = await verify_id_token(provider, tokens["id_token"])
    assert (claims["acr"], claims["amr"]) == ("urn:yizheng:acr:low", ["pwd"])


async def test_rs256_by_registration(provider: Provider) -> None:
    await provider.add_client("rs256", id_token_algorithm="RS256")
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens("rs256", cookies)
    header = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[0] + "=="))
    assert header["alg"] == "RS256"
    assert (await verify_id_token(provider, tokens["id_token"]))["aud"] == "rs256"


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "x" * 43},
        {"redirect_uri": BACK},
        {"code": "AAAA"},
        {"code": ""},
    ],
)
async def test_a_code_that_does_not_fit_is_invalid_grant(provider: Provider, change: dict[str, str]) -> None:
    client = await provider.add_client(f"misfit-{len(provider.secrets)}")
    cookies = await provider.open_session(await provider.add_person())
    response = await provider.redeem(client, await provider.authorize(client, cookies), **change)
    assert response.status_code == 400
    assert response.json()["error"] == ("invalid_request" if change == {"code": ""} else "invalid_grant")


async def test_a_code_of_another_client_or_after_a_minute_is_invalid_grant(provider: Provider) -> None:
    await provider.add_client("own")
    await provider.add_client("thief")
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("own", cookies)
    assert (await provider.redeem("thief", landing)).json()["error"] == "invalid_grant"
    provider.clock.advance(60)
    assert (await provider.redeem("own", landing)).json()["error"] == "invalid_grant"


async def test_every_altered_character_of_a_code_is_refused(provider: Provider) -> None:
    await provider.add_client("altered")
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("altered", cookies)
    for at in range(0, len(landing.code), 17):
        other = "A" if landing.code[at] != "A" else "B"
        altered = landing.code[:at] + other + landing.code[at + 1 :]
        assert (await provider.redeem("altered", landing, code=altered)).json()["error"] == "invalid_grant"
    assert (await provider.redeem("altered", landing)).status_code == 200


async def test_a_code_used_twice_ends_its_grant(provider: Provider) -> None:
    await provider.add_client("replay", grant_types=ALL_GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("replay", cookies)
    tokens = (await provider.redeem("replay", landing)).json()
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    again = await provider.redeem("replay", landing)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    refreshed = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, "replay")
    assert refreshed.json()["error"] == "invalid_grant"
    assert [e["client_id"] for e in await provider.read_events("grant_ended")] == ["replay"]


async def test_of_a_hundred_simultaneous_redemptions_one_wins(provider: Provider) -> None:
    await provider.add_client("race")
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("race", cookies)
    responses = await asyncio.gather(*(provider.redeem("race", landing) for _ in range(100)))
    assert sorted(r.status_code for r in responses) == [200] + [400] * 99
    issued = [e for e in await provider.read_events("token_issued") if e["client_id"] == "race"]
    assert len(issued) == 1


async def test_a_ban_or_sign_out_between_code_and_token_issues_nothing(provider: Provider) -> None:
    await provider.add_client("between")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    landing = await provider.authorize("between", cookies)
    await provider.execute("UPDATE people SET status = 'banned' WHERE id = $1", person.person_id)
    assert (await provider.redeem("between", landing)).json()["error"] == "invalid_grant"
    other = await provider.add_person()
    cookies = await provider.open_session(other)
    landing = await provider.authorize("between", cookies)
    await provider.execute("UPDATE sessions SET ended_at = $2 WHERE person_id = $1", other.person_id, provider.now())
    assert (await provider.redeem("between", landing)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE people SET status = 'banned' WHERE id = $1",
        "UPDATE sessions SET ended_at = created_at WHERE person_id = $1",
        "UPDATE grants SET ended_at = created_at WHERE person_id = $1",
    ],
)
async def test_ban_logout_and_revocation_hold_at_once(provider: Provider, statement: str) -> None:
    client = await provider.add_client(f"at-once-{len(provider.secrets)}", grant_types=ALL_GRANTS)
    person = await provider.add_person()
    tokens = await provider.get_tokens(client, await provider.open_session(person))
    active = await provider.post("/introspect", {"token": tokens["access_token"]}, client)
    assert active.json()["active"] is True
    await provider.execute(statement, person.person_id)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    assert (await provider.post("/introspect", {"token": tokens["access_token"]}, client)).json() == {"active": False}
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await provider.post("/token", refresh, client)).json()["error"] == "invalid_grant"


async def test_an_access_token_ends_after_five_minutes(provider: Provider) -> None:
    await provider.add_client("expiry")
    tokens = await provider.get_tokens("expiry", await provider.open_session(await provider.add_person()))
    provider.clock.advance(299)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    provider.clock.advance(1)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def test_refresh_rotates_and_reuse_ends_the_grant(provider: Provider) -> None:
    await provider.add_client("rotate", grant_types=ALL_GRANTS)
    tokens = await provider.get_tokens("rotate", await provider.open_session(await provider.add_person()), scope="openid profile")

    async def refresh(token: str, **more: str) -> Any:
        return await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **more}, "rotate")

    second = (await refresh(tokens["refresh_token"])).json()
    claims = await verify_id_token(provider, second["id_token"])
    assert claims["sub"] == (await verify_id_token(provider, tokens["id_token"]))["sub"]
    assert "nonce" not in claims
    narrowed = (await refresh(second["refresh_token"], scope="openid")).json()
    assert narrowed["scope"] == "openid"
    assert set((await provider.read_userinfo(narrowed["access_token"])).json()) == {"sub"}
    assert (await refresh(narrowed["refresh_token"], scope="openid phone")).json()["error"] == "invalid_scope"
    reused = await refresh(tokens["refresh_token"])
    assert reused.json()["error"] == "invalid_grant"
    assert (await refresh(narrowed["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_refresh_repeats_the_scope_of_the_request_and_gets_what_that_got(provider: Provider) -> None:
    await provider.add_client("repeats", grant_types=ALL_GRANTS, scopes=("profile", "phone"))
    asked = "openid profile email unheard_of"
    tokens = await provider.get_tokens("repeats", await provider.open_session(await provider.add_person()), scope=asked)
    assert tokens["scope"] == "openid profile"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for beyond in (f"{asked} phone", "email"):
        assert (await provider.post("/token", {**form, "scope": beyond}, "repeats")).json()["error"] == "invalid_scope"
    again = (await provider.post("/token", {**form, "scope": asked}, "repeats")).json()
    assert again["scope"] == "openid profile"


async def test_a_refresh_that_gives_openid_up_gets_an_access_token_alone(provider: Provider) -> None:
    await provider.add_client("plain-oauth", grant_types=ALL_GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens("plain-oauth", cookies, scope="openid profile")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    narrowed = (await provider.post("/token", {**form, "scope": "profile"}, "plain-oauth")).json()
    assert narrowed["scope"] == "profile"
    assert "id_token" not in narrowed
    assert (await provider.read_userinfo(narrowed["access_token"])).status_code == 403
    whole = (await provider.post("/token", {**form, "refresh_token": narrowed["refresh_token"]}, "plain-oauth")).json()
    assert "id_token" in whole, "the grant has it still"


async def test_a_lost_successor_is_given_once_more_within_ten_seconds(provider: Provider) -> None:
    await provider.add_client("grace", grant_types=ALL_GRANTS)
    tokens = await provider.get_tokens("grace", await provider.open_session(await provider.add_person()))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await provider.post("/token", form, "grace")).status_code == 200
    provider.clock.advance(9)
    repeated = await provider.post("/token", form, "grace")
    assert repeated.status_code == 200
    successor = {"grant_type": "refresh_token", "refresh_token": repeated.json()["refresh_token"]}
    assert (await provider.post("/token", successor, "grace")).status_code == 200
    assert (await provider.post("/token", form, "grace")).json()["error"] == "invalid_grant"
    assert (await provider.post("/token", successor, "grace")).json()["error"] == "invalid_grant"


async def test_simultaneous_refreshes_of_a_confidential_client_share_one_successor(provider: Provider) -> None:
    await provider.add_client("refresh-race", grant_types=ALL_GRANTS)
    tokens = await provider.get_tokens("refresh-race", await provider.open_session(await provider.add_person()))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    responses = await asyncio.gather(*(provider.post("/token", form, "refresh-race") for _ in range(2)))
    assert [r.status_code for r in responses] == [200, 200]
    generations = await provider.services.platform.database.fetch("SELECT generation FROM grants WHERE client_id = 'refresh-race'")
    assert [row["generation"] for row in generations] == [1]


async def test_simultaneous_refreshes_of_a_public_client_end_the_grant(provider: Provider) -> None:
    await provider.add_client("public-race", auth_method=AuthMethod.NONE, grant_types=("authorization_code", "refresh_token"))
    landing = await provider.authorize("public-race", await provider.open_session(await provider.add_person()))
    code = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    tokens = (await provider.post("/token", {**code, "client_id": "public-race"})).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "public-race"}
    responses = await asyncio.gather(*(provider.post("/token", form) for _ in range(2)))
    assert sorted(r.status_code for r in responses) == [200, 400]
    winner = next(r.json() for r in responses if r.status_code == 200)
    again = await provider.post("/token", {**form, "refresh_token": winner["refresh_token"]})
    assert again.json()["error"] == "invalid_grant"
    assert (await provider.read_userinfo(winner["access_token"])).status_code == 401


async def test_a_code_that_comes_again_after_its_minute_still_ends_its_grant(provider: Provider) -> None:
    await provider.add_client("late-replay")
    landing = await provider.authorize("late-replay", await provider.open_session(await provider.add_person()))
    tokens = (await provider.redeem("late-replay", landing)).json()
    provider.clock.advance(61)
    assert (await provider.redeem("late-replay", landing)).json()["error"] == "invalid_grant"
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def test_state_and_nonce_of_2000_chinese_characters_stay_intact(provider: Provider) -> None:
    await provider.add_client("long")
    long = "省" * 2000
    landing = await provider.authorize("long", await provider.open_session(await provider.add_person()), state=long, nonce=long)
    assert landing.parameters["state"] == long
    tokens = (await provider.redeem("long", landing)).json()
    assert json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))["nonce"] == long


async def test_offline_access_outlives_the_session(provider: Provider) -> None:
    await provider.add_client("offline", grant_types=ALL_GRANTS)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    bound = await provider.get_tokens("offline", cookies)
    lasting = await provider.get_tokens("offline", cookies, scope="openid offline_access")
    await provider.execute("UPDATE sessions SET ended_at = $2 WHERE person_id = $1", person.person_id, provider.now())
    answers = []
    for tokens in (bound, lasting):
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        answers.append((await provider.post("/token", form, "offline")).status_code)
    assert answers == [400, 200]


async def test_client_credentials_and_their_introspection(provider: Provider) -> None:
    allowed = RequestDemands(allowed_resources=("https://machines.example/api",))
    await provider.add_client("machine", grant_types=("client_credentials",), redirect_uris=(), requests=allowed)
    await provider.add_client("stranger", grant_types=("client_credentials",), redirect_uris=())
    await provider.add_client("api", grant_types=("client_credentials",), redirect_uris=(), resources=("https://machines.example/api",))
    tokens = (
        await provider.post("/token", {"grant_type": "client_credentials", "resource": "https://machines.example/api"}, "machine")
    ).json()
    assert set(tokens) == {"access_token", "token_type", "expires_in"}
    for caller, active in (("machine", True), ("api", True), ("stranger", False)):
        answer = (await provider.post("/introspect", {"token": tokens["access_token"]}, caller)).json()
        assert answer["active"] is active
    scoped = await provider.post("/token", {"grant_type": "client_credentials", "scope": "profile"}, "machine")
    assert (scoped.status_code, scoped.json()["scope"]) == (200, ""), "never another scope without a word"
    assert "scope" not in tokens
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 403
    assert (await provider.post("/introspect", {"token": "garbage"}, "api")).json() == {"active": False}
    assert (await provider.post("/introspect", {}, "api")).json()["error"] == "invalid_request"


async def test_wrong_client_authentication_says_nothing_more(provider: Provider) -> None:
    await provider.add_client("secretive", grant_types=("client_credentials",), redirect_uris=())
    await provider.add_client("posting", grant_types=("client_credentials",), redirect_uris=(), auth_method=AuthMethod.SECRET_POST)
    form = {"grant_type": "client_credentials"}
    answers = [
        await provider.post("/token", form, "secretive", "wrong"),
        await provider.browser.post("/token", data=form, auth=("nobody", "x")),
        await provider.post("/token", {**form, "client_id": "secretive", "client_secret": "wrong"}),
        await provider.post("/token", {**form, "client_id": "secretive"}),
        await provider.post("/token", form),
        await provider.post("/token", form, "posting", "wrong"),
        await provider.post("/token", form, "posting", ""),
        await provider.post("/token", form, "secretive", ""),
        await provider.browser.post("/token", data=form, headers={"authorization": "Basic %%%"}),
    ]
    assert {r.status_code for r in answers} == {401}
    assert len({r.text for r in answers}) == 1
    assert all(r.headers["www-authenticate"].startswith("Basic ") for r in answers)
    for name in ("secretive", "posting"):
        right = await provider.post("/token", {**form, "client_id": name, "client_secret": provider.secrets[name]})
        assert right.status_code == 200
        assert (await provider.post("/token", form, name)).status_code == 200


async def test_a_public_client_redeems_without_a_secret_but_never_introspects(provider: Provider) -> None:
    await provider.add_client("public", auth_method=AuthMethod.NONE, grant_types=("authorization_code", "refresh_token"))
    landing = await provider.authorize("public", await provider.open_session(await provider.add_person()))
    form = {"grant_type": "authorization_code", "code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    tokens = await provider.post("/token", {**form, "client_id": "public"})
    assert tokens.status_code == 200
    bare = {"grant_type": "refresh_token", "refresh_token": tokens.json()["refresh_token"]}
    assert (await provider.browser.post("/token", data=bare, auth=("public", ""))).status_code == 200, "an empty secret is none"
    introspected = await provider.post("/introspect", {"token": tokens.json()["access_token"], "client_id": "public"})
    assert introspected.json()["error"] == "invalid_client"
    shown = await provider.browser.post("/introspect", data={"token": tokens.json()["access_token"]}, auth=("public", ""))
    assert shown.json()["error"] == "invalid_client"


async def test_a_suspended_client_is_refused_everywhere_at_once(provider: Provider) -> None:
    await provider.add_client("suspended", grant_types=ALL_GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens("suspended", cookies)
    await provider.execute("UPDATE clients SET status = 'suspended', version = version + 1 WHERE client_id = 'suspended'")
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401

    async def noticed() -> bool:
        client = await provider.services.directory.find("suspended")
        return client is not None and client.status == "suspended"

    # The provider's clock stands still, so nothing but the notice makes it read the client again.
    await wait_until(noticed)
    landing = await provider.authorize("suspended", cookies)
    assert landing.response.status_code == 403
    assert (await provider.post("/token", {"grant_type": "client_credentials"}, "suspended")).json()["error"] == "invalid_client"


async def test_a_withdrawn_consent_stops_the_next_release(provider: Provider) -> None:
    await provider.add_client("withdrawn", entitlements=(Entitlement("提取", Basis.CONSENT, ("name",)),))
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    await provider.execute(
        "INSERT INTO consents (person_id, client_id, purpose, version, claims, given_at) VALUES ($1, 'withdrawn', '提取', 1, 'name', $2)",
        person.person_id,
        provider.now(),
    )
    tokens = await provider.get_tokens("withdrawn", cookies, scope="openid profile")
    assert (await provider.read_userinfo(tokens["access_token"])).json()["name"] == person.name
    await provider.execute("UPDATE consents SET withdrawn_at = $2 WHERE person_id = $1", person.person_id, provider.now())
    assert "name" not in (await provider.read_userinfo(tokens["access_token"])).json()


async def test_s57_a_statutory_duty_asks_no_page_and_stands_in_the_history(provider: Provider) -> None:
    await provider.add_client("duty", entitlements=(Entitlement("不动产登记", Basis.STATUTORY_DUTY, ("name",)),))
    person = await provider.add_person()
    tokens = await provider.get_tokens("duty", await provider.open_session(person), scope="openid profile")
    await provider.read_userinfo(tokens["access_token"])
    released = [e for e in await provider.read_events("claims_released") if e["person_id"] == person.person_id]
    assert [e["client_id"] for e in released] == ["duty"]
    details = json.loads(released[0]["details"])
    assert details["purposes"] == "不动产登记"
    assert details["bases"] == "statutory_duty"
    assert "name" in details["claims"].split()
    assert person.name not in released[0]["details"]


async def test_s20_one_sector_one_sub_and_different_sectors_different_subs(provider: Provider) -> None:
    await provider.add_client("a1", sector="住建")
    await provider.add_client("a2", sector="住建")
    await provider.add_client("b1", sector="人社")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    subs = {}
    for client in ("a1", "a2", "b1"):
        subs[client] = (await verify_id_token(provider, (await provider.get_tokens(client, cookies))["id_token"]))["sub"]
    assert subs["a1"] == subs["a2"] != subs["b1"]
    again = await provider.open_session(person)
    assert (await verify_id_token(provider, (await provider.get_tokens("b1", again))["id_token"]))["sub"] == subs["b1"]


async def test_s56_tokens_of_two_sectors_share_nothing_that_correlates(provider: Provider) -> None:
    """Two sectors' tokens for one person share only the issuer, levels, the protocol's own words and the data that was asked for.

    ``auth_time`` may be equal: within one session it is one instant, and OpenID Connect Core §2 wants that instant for ``max_age``.
    """
    for client in ("sector-x", "sector-y"):
        await provider.add_client(client, grant_types=ALL_GRANTS)
    cookies = await provider.open_session(await provider.add_person())
    seen: list[dict[str, Any]] = []
    for client in ("sector-x", "sector-y"):
        tokens = await provider.get_tokens(client, cookies, nonce=f"nonce-{client}", scope="openid profile real_name")
        claims = await verify_id_token(provider, tokens["id_token"])
        introspection = (await provider.post("/introspect", {"token": tokens["access_token"]}, client)).json()
        userinfo = (await provider.read_userinfo(tokens["access_token"])).json()
        seen.append({**introspection, **userinfo, **claims, **{k: tokens[k] for k in ("access_token", "refresh_token", "id_token")}})
        provider.clock.advance(7)
    shared = {name for name in seen[0] if seen[0][name] == seen[1].get(name)}
    asked = {"locale", "updated_at", "real_name_verified", "ial"}
    assert shared <= {"iss", "acr", "amr", "active", "token_type", "scope", "auth_time"} | asked
    assert asked <= shared, "they are released without an entitlement, so they must not tell one person from another"
    updated_at = datetime.fromtimestamp(seen[0]["updated_at"], SHANGHAI)
    assert (updated_at.hour, updated_at.minute, updated_at.second) == (0, 0, 0), "a day, not the second of an update"
    for value in ("sub", "sid", "aud", "access_token", "refresh_token"):
        assert seen[0][value] != seen[1][value]


async def test_s16_step_up_page_or_login_required(provider: Provider) -> None:
    await provider.add_client("step-up")
    cookies = await provider.open_session(await provider.add_person(), Factor.PASSWORD)
    wanted = "urn:yizheng:acr:substantial"
    page = await provider.authorize("step-up", cookies, acr_values=wanted)
    assert page.location.startswith("/continue?i=")
    silent = await provider.authorize("step-up", cookies, acr_values=wanted, prompt="none")
    assert silent.parameters["error"] == "login_required"
    assert silent.parameters["state"] == "state-1"


async def test_s39_two_hundred_and_fifty_applications_need_no_page(provider: Provider) -> None:
    cookies = await provider.open_session(await provider.add_person())
    subs = set()
    for number in range(250):
        client = await provider.add_client(f"app-{number}")
        tokens = await provider.get_tokens(client, cookies)
        payload = tokens["id_token"].split(".")[1]
        subs.add(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])
    assert len(subs) == 250


async def test_metadata_and_keys_are_served(provider: Provider) -> None:
    document = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert document == (await provider.browser.get("/.well-known/oauth-authorization-server")).json()
    assert document["issuer"] == ISSUER
    assert document["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]
    keys = (await provider.browser.get("/jwks.json")).json()["keys"]
    assert {k["alg"] for k in keys} == {"ES256", "RS256"}
    assert not any({"d", "p", "q"} & k.keys() for k in keys)


async def test_s27_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_the_end(provider: Provider) -> None:
    await provider.add_client("rolling")
    person = await provider.add_person()
    platform = provider.services.platform

    async def sign_on() -> tuple[str, str]:
        token = (await provider.get_tokens("rolling", await provider.open_session(person)))["id_token"]
        return token, json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]

    old_token, old_kid = await sign_on()
    new_kid = await platform.key_rotation.rotate("ES256", "test")
    await platform.ring.reload()
    published = {k["kid"] for k in (await provider.browser.get("/jwks.json")).json()["keys"]}
    assert {old_kid, new_kid} <= published
    assert (await sign_on())[1] == old_kid
    provider.clock.advance(platform.settings.keys.pending_seconds)
    await platform.key_rotation.advance()
    await platform.ring.reload()
    assert (await sign_on())[1] == new_kid
    assert (await verify_id_token(provider, old_token))["aud"] == "rolling"
    provider.clock.advance(platform.settings.keys.retiring_seconds)
    await platform.key_rotation.advance()
    await platform.ring.reload()
    assert old_kid not in {k["kid"] for k in (await provider.browser.get("/jwks.json")).json()["keys"]}
