"""What nobody proved to be anybody for may cost: flows of one network, flows of another kind, and who asks too often."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlencode

import httpx2
import pytest
import pytest_asyncio

from idp.protocol.rules.client import AuthMethod
from tests.support.provider import REDIRECT_URI, Provider, run_provider
from tests.support.web import Web, find_code


def ask(client: str) -> str:
    query = {
        "client_id": client,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "A" * 43,
        "code_challenge_method": "S256",
    }
    return f"/authorize?{urlencode(query)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    limits = {"IDP_SIGN_IN__FLOWS_PER_NETWORK_AND_MINUTE": "4", "IDP_SIGN_IN__FAILURES_PER_NETWORK": "3"}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("bounds"), **limits) as running:
        yield running


async def test_who_begins_too_many_flows_waits_and_is_told_how_long(provider: Provider) -> None:
    await provider.add_client("bounded")
    greedy, neighbour = Web(provider, "192.0.2.70"), Web(provider, "192.0.2.71")
    for path in (ask("bounded"), ask("bounded"), "/", "/"):
        assert (await greedy.client.get(path)).status_code == 303
    for path in (ask("bounded"), "/"):
        page = await greedy.client.get(path)
        assert (page.status_code, find_code(page)) == (429, "too_many_flows")
        assert page.headers["retry-after"] == "60"
    assert (await neighbour.get(ask("bounded"))).status_code == 200
    provider.clock.advance(60)
    assert (await greedy.get(ask("bounded"))).status_code == 200


@pytest.mark.parametrize("path", ["/authorize", "/sign-out"])
async def test_one_network_has_only_so_much_kept_for_it(provider: Provider, path: str) -> None:
    provider.clock.advance(60)
    greedy, neighbour = Web(provider, "192.0.2.80"), Web(provider, "192.0.2.81")
    small, large = {"client_id": "x"}, {"client_id": "x", **{f"further_{number}": "x" * 2_000 for number in range(9)}}
    for form in (small, large):  # the second one counts as three
        assert (await greedy.client.post(path, data=form)).status_code == 303
    for form in (small, large):
        page = await greedy.client.post(path, data=form)
        assert (page.status_code, find_code(page)) == (429, "too_many_flows")
        assert page.headers["retry-after"] == "60"
    assert (await neighbour.client.post(path, data=large)).status_code == 303
    provider.clock.advance(60)
    assert (await greedy.client.post(path, data=small)).status_code == 303


@pytest.mark.parametrize("path", ["/sign-in", "/consent", "/continue", "/stayed"])
@pytest.mark.parametrize("begun", ["/", "/sign-out", "authorize"])
async def test_a_flow_of_another_kind_is_none(provider: Provider, begun: str, path: str) -> None:
    if "kinds" not in provider.secrets:
        await provider.add_client("kinds")
    web = Web(provider)
    provider.clock.advance(60)
    if begun == "/sign-out":  # only whoever is signed in is asked
        (cookie,) = (await provider.open_session(await provider.add_person())).items()
        web.client.cookies.set(*cookie, domain="127.0.0.1")
    await web.get(ask("kinds") if begun == "authorize" else begun)
    fields = web.fields()
    own = {"/": ("/sign-in", "/continue"), "authorize": ("/sign-in", "/continue", "/consent"), "/sign-out": ("/stayed",)}[begun]
    page = await web.client.get(f"{path}?i={fields['i']}")
    if path in own:
        assert page.status_code in (200, 303)
    else:
        assert (page.status_code, find_code(page)) == (410, "interaction_expired")
    if path in ("/sign-in", "/consent") and path not in own:
        answers = {**fields, "decision": "allow", "identifier": "x", "password": "y", "step": fields.get("step", "0")}
        page = await web.client.post(path, data=answers)
        assert (page.status_code, find_code(page)) == (410, "interaction_expired")
    if begun != "/sign-out":
        page = await web.client.post("/sign-out", data={**fields, "decision": "leave"})
        assert (page.status_code, find_code(page)) == (410, "interaction_expired")


async def test_who_fails_to_be_a_client_is_recorded_with_the_place(provider: Provider) -> None:
    await provider.add_client("guarded")
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI}
    assert (await provider.post("/token", form, "guarded", "a-wrong-secret")).status_code == 401
    assert (await provider.post("/introspect", {"token": "x"}, "guarded", "a-wrong-secret")).status_code == 401
    assert (await provider.post("/token", {**form, "client_id": "guarded"})).status_code == 401
    assert (await provider.post("/token", {**form, "client_id": "unknown"})).status_code == 401
    events = [e for e in await provider.read_events("client_refused") if e["client_id"] == "guarded"]
    reasons = [json.loads(e["details"])["reason"].partition(" for ")[0] for e in events]
    assert sorted(reasons) == ["registered", "wrong secret", "wrong secret"]
    assert {(e["result"], e["actor"]) for e in events} == {("refused", "visitor")}
    assert all(e["sealed_place"] and e["request_id"] for e in events)
    assert not [e for e in await provider.read_events("client_refused") if e["client_id"] != "guarded"]
    assert "a-wrong-secret" not in repr(events)


async def test_a_network_that_is_refused_too_often_is_answered_alike_and_leaves_no_more_rows(provider: Provider) -> None:
    await provider.add_client("flooded")
    await provider.add_client("flooded-app", auth_method=AuthMethod.NONE)
    landing = await provider.authorize("flooded", await provider.open_session(await provider.add_person()))
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI}
    ways: dict[str, Callable[[Web], Awaitable[httpx2.Response]]] = {
        "authorization_refused": lambda web: web.client.get(ask("flooded").replace("type=code", "type=token")),
        "token_refused": lambda web: web.client.post("/token", data={**form, "client_id": "flooded-app"}),
        "client_refused": lambda web: web.client.post("/token", data=form, auth=("flooded", "wrong")),
    }
    for number, (kind, refuse) in enumerate(ways.items()):
        # One network for all: what it sends of one kind hides nothing of another.
        flood, neighbour = Web(provider, "192.0.2.90"), Web(provider, f"192.0.2.{190 + number}")
        rows, limits = len(await provider.read_events(kind)), len(await provider.read_events("refusals_unrecorded"))
        answers = [await refuse(flood) for _ in range(4 + 5)]
        assert len({(answer.status_code, answer.headers.get("location"), answer.text) for answer in answers}) == 1
        assert len(await provider.read_events(kind)) == rows + 4
        told = await provider.read_events("refusals_unrecorded")
        assert len(told) == limits + 1
        assert [json.loads(e["details"])["next"] for e in told if e["sealed_place"]].count(kind) == 1
        assert {json.loads(e["details"])["recorded"] for e in told} == {4}
        # Neighbours are recorded, and so is everything that is not refused.
        await refuse(neighbour)
        assert len(await provider.read_events(kind)) == rows + 5
    issued = len(await provider.read_events("token_issued"))
    good = {**form, "code": landing.code, "code_verifier": landing.verifier}
    answer = await flood.client.post("/token", data=good, auth=("flooded", provider.secrets["flooded"]))
    assert answer.status_code == 200, answer.text
    assert len(await provider.read_events("token_issued")) == issued + 1
    provider.clock.advance(60)
    await refuse(flood)
    assert len(await provider.read_events("client_refused")) == rows + 6


async def test_a_flood_of_neighbours_hides_nothing_that_a_person_is_refused(provider: Provider) -> None:
    await provider.add_client("asking-often")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    flood = Web(provider, "192.0.2.95")
    for _ in range(4 + 2):
        await flood.client.get(ask("asking-often").replace("type=code", "type=token"))
    for name, value in cookies.items():
        flood.client.cookies.set(name, value, domain="127.0.0.1")
    for _ in range(4 + 2):
        answer = await flood.client.get(f"{ask('asking-often')}&prompt=none&max_age=0")
        assert "error=login_required" in answer.headers["location"]
    for kind, rows in (("authorization_refused", 4), ("refusals_unrecorded", 1)):
        assert [e["person_id"] for e in await provider.read_events(kind)].count(person.person_id) == rows


async def test_one_password_for_many_people_is_stopped_at_its_network_and_nobody_else_is(provider: Provider) -> None:
    await provider.add_client("sprayed")
    people = [await provider.add_person() for _ in range(5)]
    spray, neighbour = Web(provider, "192.0.2.80"), Web(provider, "192.0.2.81")
    await spray.get(ask("sprayed"))
    statuses = [(await spray.submit("/sign-in", identifier=p.document, password="a wrong one")).status_code for p in people]
    assert statuses == [422, 422, 422, 429, 429]
    assert (await neighbour.sign_in(people[4], ask("sprayed"))).status_code == 200
    details = [json.loads(e["details"]) for e in await provider.read_events("sign_in_failed")]
    assert [d["reason"] for d in details].count("locked") == 1
