"""Tokens for other resource servers: whose subject they show to whom, and what ends them (RFC 8693, RFC 8707, protocol.md §2)."""

import base64
import json
from typing import Any

import pytest

from idp.protocol.rules.client_metadata import LogoutAddresses, RequestDemands, TokenFormat
from idp.protocol.rules.registration_metadata import change_client
from idp.protocol.rules.token_exchange import TokenType
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.sector_subjects import SectorSubjects
from tests.protocol.endpoints.test_app_entry import EXCHANGE
from tests.support.provider import SESSION, Provider, Somebody
from tests.support.web import Web

MAY = ("authorization_code", EXCHANGE)


async def exchange(provider: Provider, client_id: str, token: str, resource: str) -> str:
    """Return what a token is exchanged for."""
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": TokenType.ACCESS_TOKEN.value, "resource": resource}
    answer = await provider.post("/token", form, client_id)
    assert answer.status_code == 200, answer.text
    exchanged: str = answer.json()["access_token"]
    return exchanged


async def ask(provider: Provider, client_id: str, token: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await provider.post("/introspect", {"token": token}, client_id)).json()
    return answer


async def find_subject(provider: Provider, client_id: str, cookies: dict[str, str]) -> str:
    """Return the person's subject at a client, by its UserInfo."""
    tokens = await provider.get_tokens(client_id, cookies, scope="openid")
    subject: str = (await provider.read_userinfo(tokens["access_token"])).json()["sub"]
    return subject


async def test_neither_side_of_an_exchange_learns_the_subject_of_the_other(provider: Provider) -> None:
    api = "https://archive.example/sides"
    told = LogoutAddresses(backchannel_logout_uri="https://department.example/logout")
    await provider.add_client("archive-sides", resources=(api,))
    await provider.add_client("broker-sides", grant_types=MAY, requests=RequestDemands(allowed_resources=(api,)), logout=told)
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens("broker-sides", cookies)
    own = await find_subject(provider, "broker-sides", cookies)
    provider.clock.advance(5)
    exchanged = await exchange(provider, "broker-sides", tokens["access_token"], api)
    seen = await ask(provider, "broker-sides", exchanged)
    assert (seen["active"], seen["aud"], "sub" in seen) == (True, api, False), "its own token, but a name of another sector"
    theirs = (await ask(provider, "archive-sides", exchanged))["sub"]
    assert theirs == await find_subject(provider, "archive-sides", cookies) != own
    web = Web(provider)
    web.client.cookies.set(SESSION, cookies[SESSION])
    await web.get("/sign-out")
    await web.submit("/sign-out", decision="sign-out")
    rows = await provider.services.platform.database.fetch("SELECT subject FROM logout_deliveries WHERE client_id = 'broker-sides'")
    assert [row["subject"] for row in rows] == [own]


async def test_who_only_exchanged_a_token_is_told_of_no_sign_out(provider: Provider) -> None:
    first, second = "https://one.example/told", "https://two.example/told"
    told = LogoutAddresses(backchannel_logout_uri="https://department.example/logout")
    await provider.add_client("two-told", resources=(second,))
    may = RequestDemands(allowed_resources=(second,))
    await provider.add_client("one-told", resources=(first,), grant_types=(EXCHANGE,), redirect_uris=(), requests=may, logout=told)
    await provider.add_client("app-told", requests=RequestDemands(allowed_resources=(first,)), logout=told)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    token = (await provider.get_tokens("app-told", cookies, resource=first))["access_token"]
    exchanged = await exchange(provider, "one-told", token, second)
    assert (await ask(provider, "two-told", exchanged))["active"] is True
    async with provider.services.platform.database.transaction() as tx:
        for lineage in await provider.services.sessions.list_lineages(person.person_id):
            await provider.services.sessions.end_lineage(tx, lineage, "signed out")
    rows = await provider.services.platform.database.fetch("SELECT client_id FROM logout_deliveries WHERE person_id = $1", person.person_id)
    assert [row["client_id"] for row in rows] == ["app-told"], "the resource server was given no ID Token"


@pytest.mark.parametrize("form", TokenFormat)
async def test_a_resource_server_reads_the_subject_of_its_own_sector(provider: Provider, form: TokenFormat) -> None:
    name = f"rs-{form.value}"
    api = f"https://{name}.example/api"
    await provider.add_client(name, resources=(api,), access_token_format=form)
    await provider.add_client(f"at-{name}", requests=RequestDemands(allowed_resources=(api,)))
    cookies = await provider.open_session(await provider.add_person())
    own = await find_subject(provider, f"at-{name}", cookies)
    tokens = await provider.get_tokens(f"at-{name}", cookies, resource=api)
    seen = await ask(provider, name, tokens["access_token"])
    assert seen["sub"] == await find_subject(provider, name, cookies) != own
    if form is TokenFormat.JWT:
        payload = tokens["access_token"].split(".")[1]
        assert json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"] == seen["sub"]
    assert "sub" not in await ask(provider, f"at-{name}", tokens["access_token"])


@pytest.mark.parametrize("form", TokenFormat)
async def test_within_a_sector_nothing_is_looked_up(provider: Provider, form: TokenFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"same-{form.value}"
    api = f"https://{name}.example/api"
    await provider.add_client(name, resources=(api,), sector=name, access_token_format=form)
    await provider.add_client(f"at-{name}", sector=name, requests=RequestDemands(allowed_resources=(api,)))
    cookies = await provider.open_session(await provider.add_person())
    own = await find_subject(provider, f"at-{name}", cookies)
    monkeypatch.delattr(SectorSubjects, "find")
    tokens = await provider.get_tokens(f"at-{name}", cookies, resource=api)
    assert (await ask(provider, name, tokens["access_token"]))["sub"] == own
    assert (await ask(provider, f"at-{name}", (await provider.get_tokens(f"at-{name}", cookies))["access_token"]))["sub"] == own


async def move(provider: Provider, client_id: str, sector: str) -> None:
    """Put a client into another sector."""
    clients = provider.services.clients
    async with provider.services.platform.database.transaction() as tx:
        client = await clients.read(tx, client_id)
        assert client is not None
        await clients.replace(tx, change_client(client, {"sector": sector}), actor="test")


@pytest.mark.parametrize("form", TokenFormat)
async def test_who_moves_to_another_sector_brings_no_subject_of_the_one_before(
    provider: Provider, form: TokenFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"moved-{form.value}"
    api, client = f"https://{name}.example/api", f"at-{name}"
    await provider.add_client(name, resources=(api,), sector=f"{name}-new", access_token_format=form)
    given: dict[str, Any] = {"sector": f"{name}-old", "grant_types": ("authorization_code", "refresh_token")}
    await provider.add_client(client, requests=RequestDemands(allowed_resources=(api,)), **given)
    cookies = await provider.open_session(await provider.add_person())
    old = await find_subject(provider, client, cookies)
    asked = {"scope": "openid offline_access", "resource": api}
    tokens = await provider.get_tokens(client, cookies, **asked)
    landing = await provider.authorize(client, cookies, **asked)
    monkeypatch.setattr(ClientDirectory, "forget", lambda *_: None)
    await move(provider, client, f"{name}-new")
    late = await provider.get_tokens(client, cookies, **asked)  # a process that has not heard of it yet
    provider.clock.advance(6)
    for token in (tokens["access_token"], late["access_token"]):
        assert await ask(provider, name, token) == {"active": False}
    form_again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await provider.post("/token", form_again, client)).json()["error"] == "invalid_grant"
    assert (await provider.redeem(client, landing)).json()["error"] == "invalid_grant", "a code of the sector before"
    fresh = (await provider.get_tokens(client, cookies, **asked))["access_token"]
    seen = (await ask(provider, name, fresh))["sub"]
    assert seen == await find_subject(provider, name, cookies) != old


async def test_other_changes_of_a_client_end_nothing(provider: Provider) -> None:
    client = await provider.add_client("stays-in-its-sector", sector="stays")
    tokens = await provider.get_tokens(client, await provider.open_session(await provider.add_person()))
    await move(provider, client, "stays")
    provider.clock.advance(6)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200


async def make_line(provider: Provider, name: str) -> tuple[Somebody, list[str], dict[str, str]]:
    """Return a person and three tokens, each exchanged for the next: the first of ``app-…``, then of two services; and their readers."""
    apis = [f"https://{name}.example/{number}" for number in range(3)]
    for number in (0, 1):
        may = RequestDemands(allowed_resources=(apis[number + 1],))
        await provider.add_client(f"{name}-{number}", resources=(apis[number],), grant_types=(EXCHANGE,), redirect_uris=(), requests=may)
    await provider.add_client(f"{name}-2", resources=(apis[2],))
    await provider.add_client(f"app-{name}", requests=RequestDemands(allowed_resources=(apis[0],)))
    person = await provider.add_person()
    tokens = [(await provider.get_tokens(f"app-{name}", await provider.open_session(person), resource=apis[0]))["access_token"]]
    for number in (0, 1):
        tokens.append(await exchange(provider, f"{name}-{number}", tokens[-1], apis[number + 1]))
    readers = {token: f"{name}-{number}" for number, token in enumerate(tokens)}
    assert [(await ask(provider, readers[token], token))["active"] for token in tokens] == [True] * 3
    return person, tokens, readers


@pytest.mark.parametrize("ended", [0, 1, 2])
async def test_what_ends_takes_along_what_came_after_it(provider: Provider, ended: int) -> None:
    name = f"line{ended}"
    _, tokens, readers = await make_line(provider, name)
    owners = [f"app-{name}", f"{name}-0", f"{name}-1"]
    await provider.post("/revoke", {"token": tokens[ended]}, owners[ended])
    active = [(await ask(provider, readers[token], token))["active"] for token in tokens]
    assert active == [number < ended for number in range(3)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE clients SET status = 'suspended' WHERE client_id = 'app-' || $2 AND $1::uuid IS NOT NULL",
        "UPDATE people SET barred_from = ARRAY['app-' || $2::text] WHERE id = $1",
        "DELETE FROM grants WHERE client_id = 'app-' || $2 AND person_id = $1",
    ],
)
async def test_who_asked_first_must_still_be_allowed_to(provider: Provider, statement: str) -> None:
    name = f"first{len(statement)}"
    person, tokens, readers = await make_line(provider, name)
    await provider.execute(statement, person.person_id, name)
    assert not any([(await ask(provider, readers[token], token))["active"] for token in tokens])


async def test_what_a_service_asked_for_is_not_over_when_it_ends_its_own(provider: Provider) -> None:
    """An app's sign-in outlives the tokens that it exchanged."""
    api = "https://keeps.example/api"
    await provider.add_client("keeps-api", resources=(api,))
    may = RequestDemands(allowed_resources=(api,))
    given: dict[str, Any] = {"scopes": ("profile", "device_sso"), "grant_types": ("authorization_code", "refresh_token", EXCHANGE)}
    await provider.add_client("keeps", **given, requests=may)
    tokens = await provider.get_tokens("keeps", await provider.open_session(await provider.add_person()), scope="openid device_sso")
    exchanged = await exchange(provider, "keeps", tokens["access_token"], api)
    await provider.post("/revoke", {"token": exchanged}, "keeps")
    assert await ask(provider, "keeps-api", exchanged) == {"active": False}
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
