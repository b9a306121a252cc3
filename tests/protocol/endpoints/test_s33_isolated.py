"""S33: an isolated application takes no sign-in of others, and leaving one leaves all."""

import pytest

from idp.kernel.levels import Acr
from tests.support.account import open_account, read_cookies
from tests.support.passkeys import read_answer, write_request
from tests.support.provider import PASSWORD, Provider
from tests.support.web import Web

KEEPS = ("authorization_code", "refresh_token")


async def test_s33_a_sign_in_of_others_does_not_count_and_ones_own_does(provider: Provider) -> None:
    isolated = await provider.add_client("s33", isolated=True)
    other = await provider.add_client("s33-other")
    person = await provider.add_person()
    web = await open_account(provider, person)
    await web.get(write_request(other))
    assert "code" in read_answer(web)
    await web.get(write_request(isolated, prompt="none"))
    assert read_answer(web)["error"] == "login_required"
    page = await web.get(write_request(isolated))
    assert 'name="password"' in page.text
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert "code" in read_answer(web)
    for more in ({}, {"prompt": "none"}):
        await web.get(write_request(isolated, **more))
        assert "code" in read_answer(web), "its own sign-in goes on counting"
    await web.get(write_request(other, prompt="none"))
    assert "code" in read_answer(web), "isolation is one-sided"


async def test_s33_two_isolated_applications_know_nothing_of_each_other(provider: Provider) -> None:
    clients = [await provider.add_client(f"s33-two-{number}", isolated=True) for number in range(2)]
    person = await provider.add_person()
    web = Web(provider)
    for client in clients:
        await web.get(write_request(client))
        await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
        assert "code" in read_answer(web)
        provider.clock.advance(1)
    for client in clients:
        await web.get(write_request(client, prompt="none"))
        assert "code" in read_answer(web)


async def test_s33_only_what_was_proved_for_it_is_told(provider: Provider) -> None:
    isolated = await provider.add_client("s33-level", isolated=True, minimum_acr=Acr.SUBSTANTIAL)
    person = await provider.add_person()
    web = Web(provider)
    other = await provider.add_client("s33-before", minimum_acr=Acr.SUBSTANTIAL)
    await web.sign_in(person, write_request(other))
    assert "code" in read_answer(web)
    provider.clock.advance(61)
    page = await web.get(write_request(isolated))
    assert 'name="password"' in page.text
    page = await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert 'name="code"' in page.text, "the code that was typed for another one does not count either"
    await web.submit("/sign-in", code=await web.read_code())
    assert "code" in read_answer(web)


@pytest.mark.parametrize("where", ["isolated", "other"])
async def test_s33_signing_out_is_global(provider: Provider, where: str) -> None:
    isolated = await provider.add_client(f"s33-out-{where}", isolated=True, grant_types=KEEPS)
    other = await provider.add_client(f"s33-out-{where}-other", grant_types=KEEPS)
    person = await provider.add_person()
    web = Web(provider)
    await web.get(write_request(isolated))
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    tokens = [await provider.get_tokens(client, read_cookies(web)) for client in (isolated, other)]
    hint = tokens[0 if where == "isolated" else 1]["id_token"]
    page = await web.get(f"/sign-out?id_token_hint={hint}")
    if 'name="csrf"' in page.text:
        await web.submit("/sign-out", decision="leave")
    for one in tokens:
        assert (await provider.read_userinfo(one["access_token"])).status_code == 401
    for client in (isolated, other):
        await web.get(write_request(client, prompt="none"))
        assert read_answer(web)["error"] == "login_required"


async def test_s33_a_lost_store_asks_to_sign_in_again(provider: Provider) -> None:
    isolated = await provider.add_client("s33-lost", isolated=True)
    person = await provider.add_person()
    web = Web(provider)
    await web.get(write_request(isolated))
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    await provider.execute("DELETE FROM transients")
    await web.get(write_request(isolated, prompt="none"))
    assert read_answer(web)["error"] == "login_required"
