"""Adding, using and removing passkeys: after two fresh factors, with a message, never the last way in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from idp.kernel.levels import Factor
from idp.people.rules.person import Status, StatusEvent
from sms.templates import find_template
from tests.support.account import list_forms, read_notices, read_own_events
from tests.support.passkeys import (
    ACCOUNT,
    add_holder,
    add_passkey,
    find_options,
    make_authenticator,
    open_browser,
    run_named_provider,
    use_passkey,
)
from tests.support.provider import PASSWORD, Provider
from tests.support.web import Web, find_code


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_named_provider(service_dsn, folder) as running:
        yield running


async def test_a_person_adds_a_passkey_and_signs_in_with_it_alone(provider: Provider) -> None:
    person, device = await provider.add_person(), make_authenticator()
    web = await open_browser(provider, person)
    await read_notices(provider)
    page = await add_passkey(web, device, "我的手机")
    assert "通行密钥已添加" in page.text
    assert "我的手机" in page.text
    (notice,) = await read_notices(provider)
    assert notice["template"] == "passkey_added"
    assert find_template(notice["template"], notice["parameters"]).pick(notice["parameters"])
    assert notice["phone"] == person.phone
    ((_, details),) = await read_own_events(provider, person, "passkey_added")
    assert details["synced"] is True
    other = Web(provider, address="198.51.100.9")
    await other.get("/")
    page = await use_passkey(other, device)
    assert page.url.path == "/"
    assert (await other.get(ACCOUNT)).status_code == 200
    history = await other.get("/account/history")
    assert "通行密钥" in history.text


async def test_the_page_asks_for_two_fresh_factors(provider: Provider) -> None:
    person = await provider.add_person()
    for web in (await open_browser(provider, person, Factor.PASSWORD), await open_browser(provider, person, ago=601)):
        provider.clock.advance(61)
        page = await web.get(ACCOUNT)
        assert [form["do"] for form in list_forms(page)] == ["confirm"]
        assert "data-passkey" not in page.text
        page = await web._follow(await web.client.post(ACCOUNT, data=list_forms(page)[0]))
        assert page.url.path == "/sign-in"
        assert web.page is not None
        if 'name="password"' in page.text:
            form = list_forms(page)[0]
            page = await web._follow(await web.client.post("/sign-in", data={**form, "identifier": person.document, "password": PASSWORD}))
        if 'name="code"' in page.text:
            page = await web.submit("/sign-in", code=await web.read_code())
        assert page.url.path == ACCOUNT
        assert [form["do"] for form in list_forms(page)] == ["add"]


async def test_who_has_a_passkey_confirms_with_it_alone(provider: Provider) -> None:
    person, device = await add_holder(provider)
    web = await open_browser(provider, person, ago=700)
    page = await web._follow(await web.client.post(ACCOUNT, data=list_forms(await web.get(ACCOUNT))[0]))
    page = await use_passkey(web, device)
    assert page.url.path == ACCOUNT
    assert [form["do"] for form in list_forms(page)] == ["remove", "add"]


async def test_a_stale_form_adds_and_removes_nothing(provider: Provider) -> None:
    person, _ = await add_holder(provider)
    web, device = await open_browser(provider, person), make_authenticator()
    page = await web.get(ACCOUNT)
    remove, add = list_forms(page)
    made = device.make(find_options(page))
    provider.clock.advance(601)
    for form in (remove, {**add, "name": "", "passkey": made}):
        page = await web._follow(await web.client.post(ACCOUNT, data=form))
        assert page.url.path == "/sign-in"
    assert await count(provider, person.person_id) == 1


async def test_forms_of_others_and_made_up_ones_do_nothing(provider: Provider) -> None:
    person, _ = await add_holder(provider)
    other, _ = await add_holder(provider)
    web = await open_browser(provider, person)
    theirs = list_forms(await (await open_browser(provider, other)).get(ACCOUNT))[0]
    mine = list_forms(await web.get(ACCOUNT))[0]
    page = await web._follow(await web.client.post(ACCOUNT, data={**mine, "handle": theirs["handle"]}))
    assert page.url.path == ACCOUNT
    assert find_code(await web._follow(await web.client.post(ACCOUNT, data={**mine, "csrf": theirs["csrf"]}))) == "form_forged"
    assert (await web._follow(await web.client.post(ACCOUNT, data={**mine, "do": "nothing"}))).url.path == ACCOUNT
    assert await count(provider, person.person_id) == await count(provider, other.person_id) == 1


async def test_a_made_up_answer_adds_nothing_and_the_page_says_so(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_browser(provider, person)
    add = list_forms(await web.get(ACCOUNT))[-1]
    for answer in ("", "{}", "[]", "x" * 19_000):
        page = await web._follow(await web.client.post(ACCOUNT, data={**add, "name": "x", "passkey": answer}))
        assert page.status_code == 422
        assert "通行密钥没有通过" in page.text
    assert await count(provider, person.person_id) == 0


async def test_removing_one_signs_out_everywhere_else_and_tells(provider: Provider) -> None:
    person, device = await add_holder(provider)
    elsewhere = Web(provider, address="198.51.100.9")
    await elsewhere.get("/")
    await use_passkey(elsewhere, device)
    web = await open_browser(provider, person)
    await read_notices(provider)
    remove = list_forms(await web.get(ACCOUNT))[0]
    page = await web._follow(await web.client.post(ACCOUNT, data=remove))
    assert "通行密钥已移除" in page.text
    assert [notice["template"] for notice in await read_notices(provider)] == ["passkey_removed"]
    assert (await elsewhere.get(ACCOUNT)).url.path == "/sign-in"
    page = await use_passkey(elsewhere, device)
    assert page.status_code == 422, "it is nobody's any more"
    assert await count(provider, person.person_id) == 0
    assert (await web._follow(await web.client.post(ACCOUNT, data=remove))).url.path == ACCOUNT, "a second time does nothing"


async def test_the_last_way_in_stays(provider: Provider) -> None:
    person, device = await add_holder(provider)
    await provider.execute("DELETE FROM passwords WHERE person_id = $1", person.person_id)
    await provider.execute("DELETE FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'", person.person_id)
    web = Web(provider)
    await web.get(ACCOUNT)
    page = await use_passkey(web, device)
    remove = list_forms(page)[0]
    page = await web._follow(await web.client.post(ACCOUNT, data=remove))
    assert page.status_code == 409
    assert "移除后您就没有办法登录了" in page.text
    assert await count(provider, person.person_id) == 1


async def test_a_banned_person_is_told_so_after_the_passkey(provider: Provider) -> None:
    person, device = await add_holder(provider)
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.BAN)
    web = Web(provider, address="198.51.100.9")
    await web.get("/")
    assert find_code(await use_passkey(web, device)) == "account_banned"


async def test_a_forged_answer_is_in_the_history_of_its_owner(provider: Provider) -> None:
    person, device = await add_holder(provider)
    web = Web(provider, address="198.51.100.9")
    await web.get("/")
    forged = make_authenticator()
    forged.credential_id, forged.user_handle = device.credential_id, device.user_handle
    page = await use_passkey(web, forged)
    assert page.status_code == 422
    assert "通行密钥没有通过核对" in page.text
    ((_, details),) = await read_own_events(provider, person, "sign_in_failed")
    assert (details["way"], details["reason"]) == ("passkey", "wrong")
    page = await use_passkey(web, device)
    assert page.url.path == "/"


async def test_one_answer_signs_in_once(provider: Provider) -> None:
    _, device = await add_holder(provider)
    web = Web(provider, address="198.51.100.9")
    page = await web.get("/")
    form = next(one for one in list_forms(page) if one.get("ask") == "passkey")
    answer = {**form, "passkey": device.use(find_options(page))}
    assert (await web._follow(await web.client.post("/sign-in", data=answer))).url.path == "/"
    again = await web._follow(await web.client.post("/sign-in", data=answer))
    assert find_code(again) in ("step_repeated", "interaction_finished")


async def test_the_passkey_is_asked_beside_the_code_too(provider: Provider) -> None:
    _, device = await add_holder(provider)
    web = Web(provider, address="198.51.100.9")
    page = await web.get("/")
    page = await web.get(f"/sign-in?i={list_forms(page)[0]['i']}&way=code")
    assert "sign_in_send_code" not in page.text
    assert (await use_passkey(web, device)).url.path == "/"


async def count(provider: Provider, person_id: object) -> int:
    """Return how many passkeys there are, as both tables say."""
    rows = await provider.services.platform.database.fetch(
        "SELECT p.passkeys, (SELECT count(*) FROM passkeys k WHERE k.person_id = p.id) AS kept FROM people p WHERE p.id = $1", person_id
    )
    assert rows[0]["passkeys"] == rows[0]["kept"]
    return int(rows[0]["kept"])
