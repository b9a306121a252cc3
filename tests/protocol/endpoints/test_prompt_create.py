"""``prompt=create``: the person comes to registration first, and back to the department in the same flow."""

from tests.support.account import open_account
from tests.support.passkeys import read_answer, write_request
from tests.support.provider import PASSWORD, Provider
from tests.support.web import Web


async def test_a_stranger_comes_to_registration_and_may_sign_in_instead(provider: Provider) -> None:
    client = await provider.add_client("create")
    person = await provider.add_person()
    web = Web(provider)
    page = await web.get(write_request(client, prompt="create"))
    assert page.url.path.startswith("/register"), page.url
    assert "部门create（样例）" in page.text
    flow = web.fields()["i"]
    await web.get(f"/sign-in?i={flow}")
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    assert "code" in read_answer(web)


async def test_who_is_signed_in_comes_to_registration_too(provider: Provider) -> None:
    client = await provider.add_client("create-signed-in")
    web = await open_account(provider, await provider.add_person())
    page = await web.get(write_request(client, prompt="create"))
    assert page.url.path.startswith("/register"), page.url


async def test_create_is_no_silent_request(provider: Provider) -> None:
    client = await provider.add_client("create-silent")
    web = Web(provider)
    await web.get(write_request(client, prompt="create none"))
    assert read_answer(web)["error"] == "invalid_request"
