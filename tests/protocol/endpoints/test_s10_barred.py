"""S10: a person who is barred from one department signs in everywhere else; there nothing goes on, at once."""

import pytest

from idp.protocol.services.application_bans import AlreadySo, ApplicationBans, NobodyThere, NoSuchClient
from idp.sign_in.services.account_notices import AccountNotices
from sms.templates import find_template
from tests.support.account import read_notices, read_own_events
from tests.support.provider import Provider

REASON = "违反政务服务诚信管理规定"
KEEPS = ("authorization_code", "refresh_token")


def make_bans(provider: Provider) -> ApplicationBans:
    services, platform = provider.services, provider.services.platform
    notices = AccountNotices(platform.outbox, platform.clock)
    return ApplicationBans(
        platform.database, services.directory, services.people, notices, platform.audit_log, platform.clock, platform.random
    )


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
