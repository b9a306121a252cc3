"""Changing the password: proved like at a sign-in, refused like at a registration, everything else signed out."""

import asyncio

import pytest

from idp.authenticators.rules.password_policy import Personal
from sms.templates import find_template
from tests.support.account import find_bare, list_forms, open_account, read_cookies, read_notices, read_own_events
from tests.support.provider import PASSWORD, SESSION, Provider, Somebody
from tests.support.web import Web, find_code

PATH = "/account/password"
NEW = "seven quiet herons 58"


async def change(web: Web, current: str = PASSWORD, chosen: str = NEW) -> object:
    """Open the form, send it, and stay where it leads."""
    form = list_forms(await web.get(PATH))[0]
    return await web._follow(await web.client.post(PATH, data={**form, "current_password": current, "password": chosen}))


async def can_sign_in(provider: Provider, person: Somebody, password: str) -> bool:
    web = Web(provider, address="198.51.100.9")
    await web.get("/")
    page = await web.submit("/sign-in", identifier=person.document, password=password)
    return page.url.path == "/"


async def test_the_new_password_counts_and_everything_else_is_signed_out(provider: Provider) -> None:
    client = await provider.add_client("password-change", grant_types=("authorization_code", "refresh_token"))
    person = await provider.add_person()
    web, other = await open_account(provider, person, PATH), await open_account(provider, person, "/")
    mine = await provider.get_tokens(client, read_cookies(web))
    theirs = await provider.get_tokens(client, read_cookies(other))
    offline = await provider.get_tokens(client, read_cookies(other), scope="openid offline_access")
    before = web.client.cookies[SESSION]
    await read_notices(provider)
    page = await change(web)
    assert "密码已修改" in page.text  # type: ignore[attr-defined]
    assert "138****" in page.text  # type: ignore[attr-defined]
    assert list(find_bare(page.text, person)) == []  # type: ignore[attr-defined]
    assert (await web.get("/account")).url.path == "/account"
    assert web.client.cookies[SESSION] != before
    copied = Web(provider)
    copied.client.cookies.set(SESSION, before)
    assert 'name="password"' in (await copied.get("/account")).text
    assert 'name="password"' in (await other.get("/account")).text
    assert (await provider.read_userinfo(mine["access_token"])).status_code == 200
    for tokens in (theirs, offline):
        assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    assert not await can_sign_in(provider, person, PASSWORD)
    assert await can_sign_in(provider, person, NEW)
    assert await read_own_events(provider, person, "password_changed", "session_ended", "grant_ended") == [
        ("grant_ended", {"reason": "password changed", "grants": 2}),
        ("password_changed", {"way": "account", "sessions": 1}),
        ("session_ended", {"reason": "password changed", "sessions": 1}),
    ]
    notices = await read_notices(provider)
    assert [(n["phone"], n["template"]) for n in notices] == [(person.phone, "password_changed")]
    parameters = notices[0]["parameters"]
    assert find_template("password_changed", parameters).pick(parameters) == parameters
    assert list(find_bare(str(parameters), person)) == []


async def test_a_wrong_current_password_changes_nothing_and_is_told_beside_its_field(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    page = await web.client.post(PATH, data={**form, "current_password": "wrong-wrong", "password": NEW})
    assert page.status_code == 422
    assert 'id="current_password-error"' in page.text
    for secret in ("wrong-wrong", NEW):
        assert secret not in page.text
    assert await can_sign_in(provider, person, PASSWORD)
    events = await read_own_events(provider, person, "sign_in_failed", "password_changed")
    assert events == [("sign_in_failed", {"way": "password", "reason": "wrong", "attempt": 1, "purpose": "password_change"})]
    assert "修改密码时，当前密码不正确" in (await web.get("/account/history")).text


@pytest.mark.parametrize("chosen", ["short", "x" * 129, PASSWORD, "password123", "12345678", "own data", "", " " * 9])
async def test_a_bad_new_password_changes_nothing(provider: Provider, chosen: str) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    chosen = person.document if chosen == "own data" else chosen
    page = await web.client.post(PATH, data={**form, "current_password": PASSWORD, "password": chosen})
    assert page.status_code == 422
    assert 'id="password-error"' in page.text
    assert not chosen.strip() or chosen not in page.text
    assert await read_own_events(provider, person, "password_changed", "session_ended") == []
    assert await can_sign_in(provider, person, PASSWORD)


async def test_what_may_be_chosen_is_told_only_to_who_knows_the_current_password(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0]  # type: ignore[arg-type]
    answers = set()
    for chosen in (person.document, "11010119900307" + person.document[14:], person.phone[3:]):
        page = await web.client.post(PATH, data={**form, "current_password": "wrong-wrong", "password": chosen})
        answers.add((page.status_code, 'id="password-error"' in page.text))
    assert answers == {(422, False)}


async def test_guessing_is_slowed_down_and_locked_as_at_the_sign_in(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0] | {"current_password": "wrong-wrong", "password": NEW}  # type: ignore[arg-type]
    for attempt in range(1, 11):
        page = await web.client.post(PATH, data=form)
        assert page.status_code == (429 if attempt == 10 else 422), attempt
        if 5 <= attempt < 10:
            delayed = await web.client.post(PATH, data=form)
            assert delayed.status_code == 429
            provider.clock.advance(int(delayed.headers["retry-after"]) + 1)
    page = await web.client.post(PATH, data={**form, "current_password": PASSWORD})
    assert page.status_code == 429
    assert "密码登录已暂停" in page.text
    kinds = [kind for kind, _ in await read_own_events(provider, person, "sign_in_failed", "sign_in_locked", "password_changed")]
    assert kinds.count("sign_in_locked") == 1
    assert "password_changed" not in kinds
    # The sign-in counts by what is typed there, so its form stays open.
    assert await can_sign_in(provider, person, PASSWORD)


async def test_of_forms_sent_together_one_changes_the_password(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0] | {"current_password": PASSWORD}  # type: ignore[arg-type]
    await read_notices(provider)
    pages = await asyncio.gather(*(web.client.post(PATH, data={**form, "password": f"{NEW} {n}"}) for n in range(3)))
    assert sorted(page.status_code for page in pages)[0] == 303
    assert sum(page.status_code == 303 and "done=" in page.headers["location"] for page in pages) == 1
    assert len(await read_own_events(provider, person, "password_changed")) == 1
    assert len(await read_notices(provider)) == 1


async def test_a_form_of_before_the_change_is_not_counted_as_a_wrong_password(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    old = list_forms(web.page)[0] | {"current_password": PASSWORD, "password": NEW}  # type: ignore[arg-type]
    provider.clock.advance(1)
    await change(web)
    page = await web.client.post(PATH, data=old)
    assert (page.status_code, find_code(page)) == (409, "step_repeated")
    assert await read_own_events(provider, person, "sign_in_failed") == []


async def test_a_password_that_was_set_meanwhile_by_another_way_is_not_overwritten(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    form = list_forms(web.page)[0] | {"current_password": PASSWORD, "password": NEW}  # type: ignore[arg-type]
    passwords = provider.services.passwords
    choose = passwords.choose

    async def set_meanwhile(password: str, personal: Personal) -> str:
        await provider.execute("UPDATE passwords SET changed_at = changed_at + interval '1 s' WHERE person_id = $1", person.person_id)
        return await choose(password, personal)

    monkeypatch.setattr(passwords, "choose", set_meanwhile)
    page = await web.client.post(PATH, data=form)
    assert (page.status_code, find_code(page)) == (409, "step_repeated")
    assert await read_own_events(provider, person, "password_changed", "session_ended") == []
    assert await can_sign_in(provider, person, PASSWORD)


async def test_the_page_that_says_done_is_shown_to_who_did_it(provider: Provider) -> None:
    person = await provider.add_person()
    web = await open_account(provider, person, PATH)
    page = await change(web)
    address = str(page.url)  # type: ignore[attr-defined]
    assert "Your password is changed" in (await web.get(address + "&lang=en")).text
    stranger = await open_account(provider, await provider.add_person(), PATH)
    assert "密码已修改" not in (await stranger.get(address)).text
