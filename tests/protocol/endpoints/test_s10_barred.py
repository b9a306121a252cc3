"""S10: a person who is barred from one department signs in everywhere else; there nothing goes on, at once."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from idp.commands.application_bans import build_bans
from idp.platform.outbox import Outcome
from idp.protocol.rules.client_metadata import LogoutAddresses
from idp.protocol.services.application_bans import AlreadySo, ApplicationBans, NobodyThere, NoSuchClient
from sms.templates import find_template
from tests.protocol.endpoints.test_code_flow import verify_id_token
from tests.support.account import read_notices, read_own_events
from tests.support.logout import LogoutAddress, deliver_logouts, listen_for_logouts, read_logout_token
from tests.support.provider import SESSION, Provider, Somebody, run_provider

REASON = "违反政务服务诚信管理规定"
KEEPS = ("authorization_code", "refresh_token")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider that may ask this machine."""
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), IDP_FETCHING__LOOPBACK="true") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def told() -> AsyncIterator[LogoutAddress]:
    """The logout address of two departments."""
    async with listen_for_logouts() as address:
        yield address


def make_bans(provider: Provider) -> ApplicationBans:
    return build_bans(provider.services)


async def test_s10_at_the_department_nothing_goes_on_and_everywhere_else_everything_does(provider: Provider) -> None:
    here = await provider.add_client("s10-here", grant_types=KEEPS)
    there = await provider.add_client("s10-there", grant_types=KEEPS)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    at_here = await provider.get_tokens(here, cookies)
    at_there = await provider.get_tokens(there, cookies)
    offline = await provider.get_tokens(here, cookies, scope="openid offline_access")
    waiting = await provider.authorize(here, cookies)
    assert await make_bans(provider).ban(person.document, here, "case 2026-17", REASON, actor="officer") == 2
    assert (await provider.read_userinfo(at_here["access_token"])).status_code == 401
    assert (await provider.post("/introspect", {"token": at_here["access_token"]}, here)).json() == {"active": False}
    for tokens in (at_here, offline):
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert (await provider.post("/token", form, here)).json()["error"] == "invalid_grant"
    assert (await provider.redeem(here, waiting)).json()["error"] == "invalid_grant", "a code of before is worth nothing"
    assert (await provider.read_userinfo(at_there["access_token"])).status_code == 200
    assert (await provider.authorize(there, cookies)).code


async def test_s10_the_person_is_told_by_a_page_and_the_department_by_access_denied(provider: Provider) -> None:
    here = await provider.add_client("s10-told")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    await make_bans(provider).ban(person.document, here, "case 2026-18", REASON, actor="officer")
    landing = await provider.authorize(here, cookies)
    assert landing.location.startswith("/continue?i=")
    browser = next(value for name, value in landing.response.headers.multi_items() if name == "set-cookie" and "browser" in value)
    jar = "; ".join([browser.partition(";")[0], *(f"{name}={value}" for name, value in cookies.items())])
    page = await provider.browser.get(landing.location, headers={"cookie": jar})
    assert page.status_code == 403
    assert 'data-code="barred_here"' in page.text
    assert "error=access_denied" in page.text
    silent = await provider.authorize(here, cookies, prompt="none")
    assert silent.parameters["error"] == "access_denied"


async def test_s10_it_is_audited_told_by_message_and_ended(provider: Provider) -> None:
    here = await provider.add_client("s10-notice", name="示例省医疗保障局（样例）")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    bans = make_bans(provider)
    await read_notices(provider)
    await bans.ban(person.document, here, "case 2026-19", REASON, actor="officer")
    (told,) = await read_notices(provider)
    assert (told["phone"], told["template"]) == (person.phone, "application_barred")
    picked = find_template(told["template"], told["parameters"]).pick(told["parameters"])
    assert (picked["department"], picked["reason"]) == ("示例省医疗保障局（样例）", REASON)
    with pytest.raises(AlreadySo):
        await bans.ban(person.document, here, "case 2026-19", REASON, actor="officer")
    await bans.unban(person.phone, here, "case 2026-20", actor="officer")
    assert [notice["template"] for notice in await read_notices(provider)] == ["application_unbarred"]
    assert (await provider.authorize(here, cookies)).code
    events = await read_own_events(provider, person, "application_ban_changed")
    assert sorted((details["event"], details["reference"]) for _, details in events) == [
        ("banned", "case 2026-19"),
        ("unbanned", "case 2026-20"),
    ]
    assert all(REASON not in str(details) for _, details in events)
    with pytest.raises(AlreadySo):
        await bans.unban(person.phone, here, "case 2026-21", actor="officer")


async def test_s10_two_bans_and_one_that_ends(provider: Provider) -> None:
    clients = [await provider.add_client(f"s10-two-{number}") for number in range(2)]
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    for client in clients:
        await make_bans(provider).ban(person.document, client, "case 2026-22", REASON, actor="officer")
    await make_bans(provider).unban(person.document, clients[0], "case 2026-23", actor="officer")
    assert (await provider.authorize(clients[0], cookies, prompt="none")).code
    assert (await provider.authorize(clients[1], cookies, prompt="none")).parameters["error"] == "access_denied"


async def test_slips_change_nothing(provider: Provider) -> None:
    person = await provider.add_person()
    with pytest.raises(NoSuchClient):
        await make_bans(provider).ban(person.document, "nobodys", "case 2026-24", REASON, actor="officer")
    with pytest.raises(NobodyThere):
        await make_bans(provider).ban("35010219900307999X", await provider.add_client("s10-slip"), "case", REASON, actor="officer")


async def test_s10_a_grant_that_a_race_left_behind_counts_for_nothing(provider: Provider) -> None:
    here = await provider.add_client("s10-race", grant_types=KEEPS)
    person = await provider.add_person()
    tokens = await provider.get_tokens(here, await provider.open_session(person))
    await provider.execute("UPDATE people SET barred_from = ARRAY[$2::text] WHERE id = $1", person.person_id, here)
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    assert (await provider.post("/introspect", {"token": tokens["access_token"]}, here)).json() == {"active": False}
    refreshing = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await provider.post("/token", refreshing, here)).json()["error"] == "invalid_grant"


async def sign_on_twice(provider: Provider, told: LogoutAddress, name: str) -> tuple[Somebody, dict[str, str], list[str]]:
    """Return a person with one sign-in that two departments know, and these."""
    uris = LogoutAddresses(backchannel_logout_uri=told.address)
    clients = [await provider.add_client(f"s10-{name}-{place}", logout=uris) for place in ("here", "there")]
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    for client in clients:
        await provider.get_tokens(client, cookies)
    return person, cookies, clients


async def end_sign_in(provider: Provider, cookies: dict[str, str]) -> None:
    """End a sign-in as its person does."""
    session = await provider.services.sessions.read(cookies[SESSION])
    assert session is not None
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_lineage(tx, session.lineage, "signed out")


async def list_audiences(provider: Provider, told: LogoutAddress) -> list[str]:
    """Deliver what waits; return the departments that were told."""
    told.requests.clear()
    await deliver_logouts(provider)
    return sorted([(await read_logout_token(provider, token))[1]["aud"] for token in told.tokens])


async def test_s10_the_department_is_told_that_the_sign_in_ended_there_and_no_other_is(provider: Provider, told: LogoutAddress) -> None:
    person, cookies, (here, there) = await sign_on_twice(provider, told, "told-here")
    issued = await verify_id_token(provider, (await provider.get_tokens(here, cookies))["id_token"])
    elsewhere = await provider.open_session(person)
    await provider.get_tokens(there, elsewhere)
    await make_bans(provider).ban(person.document, here, "case 2026-25", REASON, actor="officer")
    assert told.requests == [], "it waits in the outbox until the ban holds"
    assert [attempt.outcome for attempt in await deliver_logouts(provider)] == [Outcome.DELIVERED]
    _, claims = await read_logout_token(provider, told.tokens[0])
    assert (claims["aud"], claims["sub"], claims["sid"]) == (here, issued["sub"], issued["sid"])
    events = [event for event in await provider.read_events("logout_told") if event["person_id"] == person.person_id]
    assert [event["client_id"] for event in events] == [here], "the outcome stays"
    assert (await provider.authorize(there, cookies)).code, "the sign-in itself goes on"


async def test_s10_a_department_that_cannot_be_told_stands_in_the_audit(provider: Provider) -> None:
    here = await provider.add_client("s10-deaf")
    person = await provider.add_person()
    await provider.get_tokens(here, await provider.open_session(person))
    await make_bans(provider).ban(person.document, here, "case 2026-26", REASON, actor="officer")
    ((_, details),) = await read_own_events(provider, person, "logout_untold")
    assert details == {"channel": "none", "reason": "no_address"}


@pytest.mark.parametrize("again", [True, False], ids=["signed-on-again", "never-again"])
async def test_s10_at_the_end_of_the_sign_in_whoever_knows_of_it_by_then_is_told(
    provider: Provider, told: LogoutAddress, again: bool
) -> None:
    person, cookies, (here, there) = await sign_on_twice(provider, told, "again" if again else "never")
    bans = make_bans(provider)
    await bans.ban(person.document, here, "case 2026-27", REASON, actor="officer")
    assert await list_audiences(provider, told) == [here]
    provider.clock.advance(1)
    await bans.unban(person.document, here, "case 2026-28", actor="officer")
    if again:
        await provider.get_tokens(here, cookies)
    await end_sign_in(provider, cookies)
    assert await list_audiences(provider, told) == ([here, there] if again else [there])
    await end_sign_in_again(provider, person)
    assert await list_audiences(provider, told) == []


async def end_sign_in_again(provider: Provider, person: Somebody) -> None:
    """End what has ended."""
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_all(tx, person.person_id, "again")
