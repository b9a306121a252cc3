"""S49 on the whole provider: transients emptied, in PostgreSQL and in Redis; nobody is signed out, no lock opens, nothing works twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from idp.kernel.levels import Acr
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import PASSWORD, REDIRECT_URI, SESSION, Provider, run_provider
from tests.support.web import Web, find_code

COUNTS = """
    SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM grants) AS grants, (SELECT count(*) FROM consents) AS consents
"""


@dataclass
class Emptied:
    """A provider and the way its transients are lost."""

    provider: Provider
    empty: Callable[[], Awaitable[None]]

    async def count(self) -> dict[str, Any]:
        """Return how many sessions, grants and consents there are."""
        return dict((await self.provider.services.platform.database.fetch(COUNTS))[0])


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["postgres", pytest.param("redis", marks=pytest.mark.redis)], ids=["postgres", "redis"]
)
async def emptied(
    request: pytest.FixtureRequest, service_dsn: str, owner_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Emptied]:
    """The provider on each of the two stores; the key file stays the same, as it is the same database."""
    folder = tmp_path_factory.getbasetemp() / "s49"
    folder.mkdir(exist_ok=True)
    environ = {}
    if request.param == "redis":
        environ = {"IDP_TRANSIENTS__STORE": "redis", "IDP_TRANSIENTS__REDIS_URL": request.getfixturevalue("redis_url")}

    async def empty() -> None:
        if request.param == "redis":
            async with Redis.from_url(environ["IDP_TRANSIENTS__REDIS_URL"]) as redis:
                assert await redis.dbsize() > 0, "there is something to lose"
                await redis.flushall()
            return
        owner = await asyncpg.connect(owner_dsn)
        try:
            assert await owner.fetchval("SELECT count(*) FROM transients") > 0, "there is something to lose"
            await owner.execute("TRUNCATE transients")
        finally:
            await owner.close()

    async with run_provider(service_dsn, folder, **environ) as provider:
        suffix = request.param
        people = await provider.services.platform.database.fetch("SELECT count(*) AS n FROM people")
        provider.made = people[0]["n"]
        for client, changes in (
            ("low", {}),
            ("high", {"minimum_acr": Acr.SUBSTANTIAL}),
            ("consent", {"entitlements": (Entitlement("登记", Basis.CONSENT, ("name",)),)}),
        ):
            await provider.add_client(f"{client}-{suffix}", grant_types=("authorization_code", "refresh_token"), **changes)
        yield Emptied(provider, empty)


def ask(emptied: Emptied, client: str, **changes: str) -> str:
    """Return an authorization address of the department of that kind."""
    (client_id,) = [name for name in emptied.provider.secrets if name.startswith(client)]
    parameters = {
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid profile",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return "/authorize?" + urlencode(parameters)


def read_left(web: Web) -> dict[str, str]:
    """Return what the department got."""
    assert web.left_to is not None, web.page and web.page.text
    return {name: values[0] for name, values in parse_qs(urlsplit(web.left_to).query).items()}


async def test_s49_whoever_is_signed_in_stays_signed_in(emptied: Emptied) -> None:
    web = Web(emptied.provider, "192.0.2.20")
    await web.sign_in(await emptied.provider.add_person(), ask(emptied, "high"))
    assert "code" in read_left(web)
    await web.get(ask(emptied, "consent"))  # leaves a flow behind, so that there is something to lose
    await emptied.empty()
    await web.get(ask(emptied, "high", prompt="none"))
    assert "code" in read_left(web)
    page = await web.get("/")
    assert (page.status_code, page.url.path) == (200, "/")


async def test_s49_a_locked_way_stays_locked(emptied: Emptied) -> None:
    victim = await emptied.provider.add_person()
    guesser = Web(emptied.provider, "192.0.2.30")
    await guesser.get(ask(emptied, "low"))
    for _ in range(40):
        page = await guesser.client.post("/sign-in", data={**guesser.fields(), "identifier": victim.document, "password": "wrong"})
        emptied.provider.clock.advance(10)
        if find_locks(page.text):
            break
    assert find_locks(page.text), page.text
    await emptied.empty()
    again = Web(emptied.provider, "192.0.2.30")
    await again.get(ask(emptied, "low"))
    page = await again.submit("/sign-in", identifier=victim.document, password=PASSWORD)
    assert page.status_code == 429
    assert find_locks(page.text)
    assert again.client.cookies.get(SESSION) is None
    elsewhere = Web(emptied.provider, "198.51.100.31")
    await elsewhere.sign_in(victim, ask(emptied, "low"))
    assert "code" in read_left(elsewhere), "the lock is of that way in that network"


def find_locks(text: str) -> bool:
    """Tell whether the page says that this way is locked for some minutes (sign_in_locked)."""
    return "密码登录已暂停" in text


async def test_s49_a_redeemed_code_is_refused_and_still_ends_its_grant(emptied: Emptied) -> None:
    provider = emptied.provider
    (client,) = [name for name in provider.secrets if name.startswith("low")]
    cookies = await provider.open_session(await provider.add_person())
    await Web(provider).get(ask(emptied, "low"))
    landing = await provider.authorize(client, cookies)
    tokens = (await provider.redeem(client, landing)).json()
    before = await emptied.count()
    await emptied.empty()
    again = await provider.redeem(client, landing)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert await emptied.count() == before
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await provider.post("/token", refresh, client)).json()["error"] == "invalid_grant"


async def test_s49_a_used_refresh_token_is_still_used(emptied: Emptied) -> None:
    provider = emptied.provider
    (client,) = [name for name in provider.secrets if name.startswith("low")]
    tokens = await provider.get_tokens(client, await provider.open_session(await provider.add_person()))
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    successor = (await provider.post("/token", refresh, client)).json()
    provider.clock.advance(11)
    await Web(provider).get(ask(emptied, "low"))
    await emptied.empty()
    assert (await provider.post("/token", refresh, client)).json()["error"] == "invalid_grant"
    refresh["refresh_token"] = successor["refresh_token"]
    assert (await provider.post("/token", refresh, client)).status_code == 400, "reuse ended the grant"


@pytest.mark.parametrize("stage", ["password", "code", "consent"])
async def test_s49_a_sign_in_under_way_says_start_again_and_leaves_nothing_half(emptied: Emptied, stage: str) -> None:
    provider = emptied.provider
    person = await provider.add_person()
    web = Web(provider, f"192.0.2.{ {'password': 40, 'code': 41, 'consent': 42}[stage] }")
    path, typed = "/sign-in", {"identifier": person.document, "password": PASSWORD}
    await web.get(ask(emptied, "consent" if stage == "consent" else "high"))
    if stage != "password":
        await web.submit("/sign-in", **typed)
    if stage == "code":
        typed = {"code": await web.read_code()}
    if stage == "consent":
        path, typed = "/consent", {"decision": "allow"}
        assert web.page is not None
        assert "登记" in web.page.text
    before = await emptied.count()
    fields = web.fields()
    await emptied.empty()
    answers = [await web.client.post(path, data={**fields, **typed}), await web.client.get(f"/continue?i={fields['i']}")]
    for answer in answers:
        assert (answer.status_code, find_code(answer)) == (410, "interaction_expired")
        assert "重新" in answer.text, "the page says how to go on"
    assert await emptied.count() == before
    provider.clock.advance(61)
    fresh = Web(provider, f"192.0.2.{ {'password': 50, 'code': 51, 'consent': 52}[stage] }")
    await fresh.sign_in(person, ask(emptied, "high"))
    assert "code" in read_left(fresh), "starting again works"


async def test_s49_a_used_sms_code_is_not_used_twice(emptied: Emptied) -> None:
    provider = emptied.provider
    person = await provider.add_person()
    web = Web(provider, "192.0.2.60")
    await web.get(ask(emptied, "high"))
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    fields, code = web.fields(), await web.read_code()
    await web.submit("/sign-in", code=code)
    assert "code" in read_left(web)
    before = await emptied.count()
    await Web(provider).get(ask(emptied, "low"))
    await emptied.empty()
    page = await web.client.post("/sign-in", data={**fields, "code": code})
    assert (page.status_code, find_code(page)) == (410, "interaction_expired")
    # And in a flow of its own, where the same person is asked for another code:
    provider.clock.advance(61)
    thief = Web(provider, "192.0.2.61")
    await thief.get(ask(emptied, "high"))
    await thief.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert thief.page is not None
    assert 'name="code"' in thief.page.text
    fresh = await thief.read_code()
    page = await thief.submit("/sign-in", code=code)
    assert page.status_code == 422 or code == fresh
    assert thief.client.cookies.get(SESSION) is None
    assert await emptied.count() == before
