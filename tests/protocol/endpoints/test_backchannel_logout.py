"""Departments are told on their own servers that a sign-in ended: whom, when, with what, how often, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from idp.kernel.audit_events import Place
from idp.kernel.ids import decode_base64url
from idp.logout import build_logout_delivery
from idp.people.rules.person import Status, StatusEvent
from idp.platform.outbox import Outcome
from idp.protocol.rules.client_metadata import ClientKeys, LogoutAddresses, ResponseProtection
from idp.protocol.rules.logout import EVENT
from idp.sign_in.rules.session import hash_session_id
from tests.protocol.endpoints.test_code_flow import verify_id_token
from tests.support.client_keys import make_client_key, write_key_set
from tests.support.conformance import serve_document
from tests.support.logout import LogoutAddress, deliver_logouts, listen_for_logouts, read_logout_token
from tests.support.provider import BACK, ISSUER, SESSION, Provider, Somebody, run_provider
from tests.support.web import Web

ENCRYPTED = ResponseProtection(id_token_encrypted_response_alg="RSA-OAEP-256")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider that may ask this machine."""
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_provider(service_dsn, folder, IDP_FETCHING__LOOPBACK="true") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def told() -> AsyncIterator[LogoutAddress]:
    """A department's logout address."""
    async with listen_for_logouts() as address:
        yield address


async def add_told(provider: Provider, client_id: str, address: LogoutAddress | str, **changes: Any) -> str:
    uri = address if isinstance(address, str) else address.address
    return await provider.add_client(client_id, logout=LogoutAddresses(backchannel_logout_uri=uri), **changes)


async def read_deliveries(provider: Provider, client_id: str) -> list[dict[str, Any]]:
    rows = await provider.services.platform.database.fetch(
        "SELECT channel, state, reason FROM logout_deliveries WHERE client_id = $1 ORDER BY created_at", client_id
    )
    return [dict(row) for row in rows]


async def sign_out(provider: Provider, cookies: dict[str, str], hint: str, **further: str) -> Any:
    web = Web(provider)
    web.client.cookies.update(cookies)
    return await web.client.get("/sign-out?" + urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BACK, **further}))


async def test_every_department_of_a_sign_in_gets_one_signed_logout_token(provider: Provider, told: LogoutAddress) -> None:
    await add_told(provider, "first", told)
    await add_told(provider, "second", told, id_token_algorithm="RS256")
    await add_told(provider, "never-visited", told)
    cookies = await provider.open_session(await provider.add_person())
    tokens = {name: await provider.get_tokens(name, cookies) for name in ("first", "second")}
    again = await provider.get_tokens("first", cookies)
    page = await sign_out(provider, cookies, tokens["first"]["id_token"])
    assert page.headers["location"] == BACK
    assert told.requests == [], "nobody waits for the departments"
    attempts = await deliver_logouts(provider)
    assert [attempt.outcome for attempt in attempts] == [Outcome.DELIVERED] * 2
    assert {line for line, _, _ in told.requests} == {"POST /backchannel-logout HTTP/1.1"}
    assert {headers["content-type"] for _, headers, _ in told.requests} == {"application/x-www-form-urlencoded"}
    read = [await read_logout_token(provider, token) for token in told.tokens]
    by_client = {claims["aud"]: (header, claims) for header, claims in read}
    assert set(by_client) == {"first", "second"}
    for name, algorithm in (("first", "ES256"), ("second", "RS256")):
        header, claims = by_client[name]
        assert (header["typ"], header["alg"]) == ("logout+jwt", algorithm)
        assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"}, "no nonce, above all"
        assert claims["iss"] == ISSUER
        assert claims["events"] == {EVENT: {}}
        assert claims["iat"] == int(provider.now().timestamp())
        assert 0 < claims["exp"] - claims["iat"] <= 120
        issued = await verify_id_token(provider, tokens[name]["id_token"])
        assert (claims["sub"], claims["sid"]) == (issued["sub"], issued["sid"])
    assert by_client["first"][1]["jti"] != by_client["second"][1]["jti"]
    assert by_client["first"][1]["sid"] != by_client["second"][1]["sid"]
    assert (await verify_id_token(provider, again["id_token"]))["sid"] == by_client["first"][1]["sid"]
    assert await read_deliveries(provider, "first") == [{"channel": "back", "state": "told", "reason": "status_200"}]
    assert {event["client_id"] for event in await provider.read_events("logout_told")} >= {"first", "second"}
    assert await deliver_logouts(provider) == []


async def test_whose_id_tokens_are_encrypted_gets_encrypted_logout_tokens(provider: Provider, told: LogoutAddress) -> None:
    key = make_client_key("RSA-OAEP-256")
    async with serve_document("application/json") as published:
        published.body = write_key_set(key).encode()
        await add_told(provider, "sealed", told, keys=ClientKeys(jwks_uri=published.address), responses=ENCRYPTED)
        cookies = await provider.open_session(await provider.add_person())
        hint = key.open((await provider.get_tokens("sealed", cookies))["id_token"])
        await sign_out(provider, cookies, hint)
        delivery = build_logout_delivery(provider.services.platform)
        published.status = 503
        assert [attempt.outcome for attempt in await deliver_logouts(provider, delivery)] == [Outcome.RETRIED]
        assert await read_deliveries(provider, "sealed") == [{"channel": "back", "state": "waiting", "reason": "no_key"}]
        assert told.requests == [], "nothing in clear"
        published.status = 200
        provider.clock.advance(60)
        assert [attempt.outcome for attempt in await deliver_logouts(provider, delivery)] == [Outcome.DELIVERED]
    (token,) = told.tokens
    header = json.loads(decode_base64url(token.split(".")[0]))
    assert (header["iss"], header["aud"], header["cty"]) == (ISSUER, "sealed", "JWT")
    inner, claims = await read_logout_token(provider, key.open(token))
    assert (inner["typ"], claims["aud"]) == ("logout+jwt", "sealed")


async def test_without_a_key_that_fits_nothing_is_told_in_clear(provider: Provider, told: LogoutAddress) -> None:
    key = make_client_key("RSA-OAEP-256")
    await add_told(provider, "unfit", told, keys=ClientKeys(jwks=write_key_set(key)), responses=ENCRYPTED)
    cookies = await provider.open_session(await provider.add_person())
    hint = key.open((await provider.get_tokens("unfit", cookies))["id_token"])
    await change_client(provider, "unfit", keys=ClientKeys(jwks=write_key_set(make_client_key("ES256"))))
    await sign_out(provider, cookies, hint)
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.RETRIED]
    assert told.requests == []
    assert await read_deliveries(provider, "unfit") == [{"channel": "back", "state": "waiting", "reason": "no_key"}]
    await change_client(provider, "unfit", keys=ClientKeys(jwks=write_key_set(key)))
    provider.clock.advance(2)
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.DELIVERED]
    assert told.tokens[0].count(".") == 4


async def test_the_token_is_made_when_it_is_sent(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "late", told)
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens(client, cookies)
    await sign_out(provider, cookies, tokens["id_token"])
    provider.clock.advance(3_000)
    await deliver_logouts(provider)
    _, claims = await read_logout_token(provider, told.tokens[0])
    assert claims["iat"] == int(provider.now().timestamp())


@pytest.mark.parametrize("how", ["ban", "freeze", "close", "elsewhere", "others", "another person", "recovery"])
async def test_whatever_ends_a_sign_in_for_good_is_told(provider: Provider, told: LogoutAddress, how: str) -> None:
    client = await add_told(provider, f"ends-{how.replace(' ', '-')}", told)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    issued = await verify_id_token(provider, (await provider.get_tokens(client, cookies))["id_token"])
    await end(provider, person, cookies, how)
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.DELIVERED]
    _, claims = await read_logout_token(provider, told.tokens[0])
    assert (claims["sub"], claims["sid"]) == (issued["sub"], issued["sid"])


async def end(provider: Provider, person: Somebody, cookies: dict[str, str], how: str) -> None:
    """End a person's sign-in as the services do it that own each way."""
    services = provider.services
    session = await services.sessions.read(cookies[SESSION])
    assert session is not None
    events = {
        "ban": [(Status.ACTIVE, StatusEvent.BAN)],
        "freeze": [(Status.ACTIVE, StatusEvent.FREEZE)],
        "close": [(Status.ACTIVE, StatusEvent.ASK_TO_CLOSE), (Status.CLOSING, StatusEvent.CLOSE)],
    }
    async with services.platform.database.transaction() as tx:
        if how in events:
            for before, event in events[how]:
                await services.people.change_status(tx, person.person_id, before, event)
        elif how == "elsewhere":
            await services.sessions.end_lineage(tx, session.lineage, "ended elsewhere")
        elif how == "others":
            await services.sessions.end_others(tx, person.person_id, b"another", "password changed")
        elif how == "recovery":
            await services.people.note_recovery(tx, person.person_id, "recovered")
        else:
            other = await provider.add_person()
            await services.sessions.open(tx, other.person_id, session.proved, None, Place(), replaces=session)


async def test_a_step_up_and_an_idle_session_are_no_end(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "goes-on", told)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    await provider.get_tokens(client, cookies)
    services = provider.services
    session = await services.sessions.read(cookies[SESSION])
    assert session is not None
    async with services.platform.database.transaction() as tx:
        await services.sessions.open(tx, person.person_id, session.proved, None, Place(), replaces=session, keep_total=True)
    provider.clock.advance(1_900)
    assert await deliver_logouts(provider) == []
    assert await read_deliveries(provider, client) == []


async def test_a_sign_in_that_ends_twice_is_told_once(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "twice", told)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    await asyncio.gather(*(sign_out(provider, cookies, hint) for _ in range(3)))
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.BAN)
    notices = provider.services.logout_notices
    session = hash_session_id(cookies[SESSION])
    async with provider.services.platform.database.transaction() as tx:
        await notices.add(tx, person.person_id, [session])
    assert len(await deliver_logouts(provider)) == 1
    assert len(told.requests) == 1


async def test_an_ending_that_is_undone_tells_nobody(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "undone", told)
    cookies = await provider.open_session(await provider.add_person())
    await provider.get_tokens(client, cookies)

    async def end_and_fail() -> None:
        async with provider.services.platform.database.transaction() as tx:
            await provider.services.sessions.end_lineage(tx, hash_session_id(cookies[SESSION]), "signed out")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await end_and_fail()
    assert await deliver_logouts(provider) == []
    assert await read_deliveries(provider, client) == []


@pytest.mark.parametrize("status", [500, 503, 429, 302, 0])
async def test_a_department_in_trouble_is_asked_again_until_it_answers(provider: Provider, told: LogoutAddress, status: int) -> None:
    client = await add_told(provider, f"trouble-{status}", told)
    cookies = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    told.status = status
    await sign_out(provider, cookies, hint)
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.RETRIED]
    (row,) = await read_deliveries(provider, client)
    assert row["state"] == "waiting"
    assert row["reason"] in {f"status_{status}", "redirect", "broken"}
    assert await deliver_logouts(provider) == [], "not at once"
    provider.clock.advance(2)
    told.status = 204
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.DELIVERED]
    assert await read_deliveries(provider, client) == [{"channel": "back", "state": "told", "reason": "status_204"}]
    first, second = [(await read_logout_token(provider, token))[1] for token in told.tokens]
    assert first["jti"] != second["jti"]
    assert second["iat"] > first["iat"]


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_refusal_is_final_and_recorded(provider: Provider, told: LogoutAddress, status: int) -> None:
    client = await add_told(provider, f"refuses-{status}", told)
    cookies = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    told.status = status
    await sign_out(provider, cookies, hint)
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.FAILED]
    assert await read_deliveries(provider, client) == [{"channel": "back", "state": "untold", "reason": f"status_{status}"}]
    (event,) = [e for e in await provider.read_events("logout_untold") if e["client_id"] == client]
    assert json.loads(event["details"]) == {"channel": "back", "reason": f"status_{status}"}
    assert event["result"] == "refused"


async def test_telling_ends_when_its_time_is_up(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "silent", told)
    cookies = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    told.status = 500
    await sign_out(provider, cookies, hint)
    delivery = build_logout_delivery(provider.services.platform)
    for _ in range(12):
        await deliver_logouts(provider, delivery)
        assert await delivery.give_up_overdue() == 0
        provider.clock.advance(3_599)
    provider.clock.advance(20)
    assert [attempt.outcome for attempt in await deliver_logouts(provider, delivery)] == [Outcome.EXPIRED]
    assert await delivery.give_up_overdue() == 1
    assert await delivery.give_up_overdue() == 0
    assert await read_deliveries(provider, client) == [{"channel": "back", "state": "untold", "reason": "status_500"}]
    assert [e["client_id"] for e in await provider.read_events("logout_untold")].count(client) == 1
    assert len(told.requests) == 12


async def test_a_department_that_does_not_answer_is_left_alone_for_a_while(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "resting", told)
    delivery = build_logout_delivery(provider.services.platform)
    told.status = 500
    for _ in range(5):
        cookies = await provider.open_session(await provider.add_person())
        await sign_out(provider, cookies, (await provider.get_tokens(client, cookies))["id_token"])
        await deliver_logouts(provider, delivery)
    assert len(told.requests) == 3, "after three failures nobody knocks any more"
    told.status = 200
    provider.clock.advance(61)
    await deliver_logouts(provider, delivery)
    provider.clock.advance(600)
    await deliver_logouts(provider, delivery)
    assert {row["state"] for row in await read_deliveries(provider, client)} == {"told"}


async def test_an_address_that_may_not_be_asked_is_never_asked(provider: Provider) -> None:
    client = await add_told(provider, "inward", "https://department.example:22/logout")
    cookies = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    await sign_out(provider, cookies, hint)
    attempts = await deliver_logouts(provider)
    assert await read_deliveries(provider, client) == [{"channel": "back", "state": "untold", "reason": "port"}]
    assert [attempt.outcome for attempt in attempts] == [Outcome.FAILED]


async def test_where_a_department_is_told_is_read_when_it_is_told(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "moved", "https://department.example:22/old")
    cookies = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    await sign_out(provider, cookies, hint)
    await change_client(provider, client, logout=LogoutAddresses(backchannel_logout_uri=told.address))
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.DELIVERED]
    gone = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, gone))["id_token"]
    await sign_out(provider, gone, hint)
    await change_client(provider, client, logout=LogoutAddresses())
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.FAILED]
    assert {row["reason"] for row in await read_deliveries(provider, client)} == {"status_200", "no_address"}


async def change_client(provider: Provider, client_id: str, **changes: Any) -> None:
    services = provider.services
    client = await services.directory.find(client_id)
    assert client is not None
    async with services.platform.database.transaction() as tx:
        await services.clients.replace(tx, replace(client, **changes), actor="test")
    services.directory.forget(client_id)


async def test_a_department_without_an_address_is_recorded_as_untold(provider: Provider) -> None:
    client = await provider.add_client("mute")
    cookies = await provider.open_session(await provider.add_person())
    hint = (await provider.get_tokens(client, cookies))["id_token"]
    await sign_out(provider, cookies, hint)
    assert await read_deliveries(provider, client) == [{"channel": "none", "state": "untold", "reason": "no_address"}]
    (event,) = [e for e in await provider.read_events("logout_untold") if e["client_id"] == client]
    assert json.loads(event["details"]) == {"channel": "none", "reason": "no_address"}


async def test_an_offline_grant_outlives_the_sign_out_that_its_department_is_told_of(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "offline", told, grant_types=("authorization_code", "refresh_token"))
    cookies = await provider.open_session(await provider.add_person())
    kept = await provider.get_tokens(client, cookies, scope="openid offline_access", prompt="consent")
    bound = await provider.get_tokens(client, cookies)
    await sign_out(provider, cookies, bound["id_token"])
    await deliver_logouts(provider)
    assert len(told.requests) == 1, "one lineage, one token, however many grants"
    answers = [
        await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client)
        for tokens in (kept, bound)
    ]
    assert [answer.status_code for answer in answers] == [200, 400]


async def test_what_ended_long_ago_is_forgotten(provider: Provider, told: LogoutAddress) -> None:
    client = await add_told(provider, "forgotten", told)
    cookies = await provider.open_session(await provider.add_person())
    await sign_out(provider, cookies, (await provider.get_tokens(client, cookies))["id_token"])
    delivery = build_logout_delivery(provider.services.platform)
    await deliver_logouts(provider, delivery)
    assert not await delivery.forget()
    assert len(await read_deliveries(provider, client)) == 1
    provider.clock.advance(90 * 86_400 + 1)
    while await delivery.forget():
        pass
    assert await read_deliveries(provider, client) == []
