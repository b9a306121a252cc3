"""S13: an application that wants it asks once, of who is signed in already, whether to go on with this account; no other does."""

from idp.kernel.levels import Acr
from idp.people.rules.masking import mask_name
from tests.support.account import list_forms, open_account, read_cookies
from tests.support.passkeys import read_answer, write_request
from tests.support.provider import PASSWORD, Provider
from tests.support.web import Web, find_code


async def test_s13_the_page_comes_once_and_not_on_the_next_visit(provider: Provider) -> None:
    asks = await provider.add_client("s13-asks", confirms_sign_on=True)
    plain = await provider.add_client("s13-plain")
    person = await provider.add_person()
    web = await open_account(provider, person)
    await web.get(write_request(plain))
    assert "code" in read_answer(web), "no page where none is asked for"
    page = await web.get(write_request(asks))
    assert page.url.path == "/confirm"
    assert mask_name(person.name) in page.text
    assert person.name not in page.text
    await web.submit("/confirm")
    assert "code" in read_answer(web)
    await web.get(write_request(asks))
    assert "code" in read_answer(web), "once"
    await web.get(write_request(asks, prompt="none"))
    assert "code" in read_answer(web)


async def test_s13_another_sign_in_is_asked_again(provider: Provider) -> None:
    asks = await provider.add_client("s13-again", confirms_sign_on=True)
    person = await provider.add_person()
    for _ in range(2):
        web = await open_account(provider, person)
        assert (await web.get(write_request(asks))).url.path == "/confirm"
        await web.submit("/confirm")
        assert "code" in read_answer(web)


async def test_s13_who_signs_in_for_the_application_is_not_asked_in_addition(provider: Provider) -> None:
    asks = await provider.add_client("s13-fresh", confirms_sign_on=True)
    person = await provider.add_person()
    web = Web(provider)
    await web.get(write_request(asks))
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert "code" in read_answer(web)
    await web.get(write_request(asks))
    assert "code" in read_answer(web)


async def test_s13_silently_an_interaction_is_required(provider: Provider) -> None:
    asks = await provider.add_client("s13-silent", confirms_sign_on=True)
    web = await open_account(provider, await provider.add_person())
    await web.get(write_request(asks, prompt="none"))
    assert read_answer(web)["error"] == "interaction_required"


async def test_s13_another_account_may_be_chosen(provider: Provider) -> None:
    asks = await provider.add_client("s13-switch", confirms_sign_on=True)
    person, other = await provider.add_person(), await provider.add_person()
    web = await open_account(provider, person)
    page = await web.get(write_request(asks))
    provider.clock.advance(1)
    flow = list_forms(page)[0]["i"]
    page = await web.get(f"/sign-in?i={flow}&again=1")
    assert 'name="identifier"' in page.text
    await web.submit("/sign-in", identifier=other.document, password=PASSWORD)
    assert "code" in read_answer(web)
    await web.get(write_request(asks))
    assert "code" in read_answer(web), "who signed in for it is who it is meant to be"


async def test_s13_a_form_about_somebody_else_confirms_nothing(provider: Provider) -> None:
    asks = await provider.add_client("s13-forged", confirms_sign_on=True)
    web = await open_account(provider, await provider.add_person())
    page = await web.get(write_request(asks))
    form = list_forms(page)[0]
    other = await open_account(provider, await provider.add_person())
    web.client.cookies.update(read_cookies(other))
    page = await web._follow(await web.client.post("/confirm", data=form))
    assert page.url.path == "/confirm", "the page shows who is here now"
    assert list_forms(page)[0]["shown"] != form["shown"]
    stale = await web._follow(await web.client.post("/confirm", data={**form, "step": "0"}))
    assert find_code(stale) == "step_repeated"
    forged = await web._follow(await web.client.post("/confirm", data={**form, "csrf": "x"}))
    assert find_code(forged) == "form_forged"


async def test_s13_what_one_person_confirmed_counts_for_no_other(provider: Provider) -> None:
    asks = await provider.add_client("s13-switched", confirms_sign_on=True)
    first = await open_account(provider, await provider.add_person())
    second = await open_account(provider, await provider.add_person())
    page = await first.get(write_request(asks))
    answer = await first.client.post("/confirm", data=list_forms(page)[0])
    first.client.cookies.update(read_cookies(second))
    page = await first.get(answer.headers["location"])
    assert page.url.path == "/confirm", "another tab signed somebody else in"
    await first.submit("/confirm")
    assert "code" in read_answer(first)


async def test_s13_who_signed_in_for_it_is_not_who_is_here_now(provider: Provider) -> None:
    asks = await provider.add_client("s13-switched-later", confirms_sign_on=True)
    web = Web(provider)
    page = await web.get(write_request(asks))
    flow = list_forms(page)[0]
    person = await provider.add_person()
    answer = await web.client.post("/sign-in", data={**flow, "identifier": person.document, "password": PASSWORD})
    web.client.cookies.update(read_cookies(await open_account(provider, await provider.add_person())))
    page = await web.get(answer.headers["location"])
    assert page.url.path == "/confirm"


async def test_select_account_asks_every_time_and_proves_nothing_anew(provider: Provider) -> None:
    client = await provider.add_client("s13-select")
    web = await open_account(provider, await provider.add_person())
    for _ in range(2):
        page = await web.get(write_request(client, prompt="select_account"))
        assert page.url.path == "/confirm"
        await web.submit("/confirm")
        assert "code" in read_answer(web)


async def test_s13_too_little_is_asked_after_the_account(provider: Provider) -> None:
    asks = await provider.add_client("s13-more", confirms_sign_on=True, minimum_acr=Acr.SUBSTANTIAL)
    web = await open_account(provider, await provider.add_person())
    page = await web.get(write_request(asks))
    assert page.url.path == "/confirm"
    page = await web.submit("/confirm")
    assert 'name="code"' in page.text
    await web.submit("/sign-in", code=await web.read_code())
    assert "code" in read_answer(web)


async def test_s13_a_lost_store_asks_once_more(provider: Provider) -> None:
    asks = await provider.add_client("s13-lost", confirms_sign_on=True)
    web = await open_account(provider, await provider.add_person())
    await web.get(write_request(asks))
    await web.submit("/confirm")
    await provider.execute("DELETE FROM transients")
    assert (await web.get(write_request(asks))).url.path == "/confirm"
