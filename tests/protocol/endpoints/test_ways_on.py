"""Nobody is left on a page without a way on, and the department has its name in the language of the page."""

import re
from html import unescape
from urllib.parse import urlencode

from idp.protocol.rules.client import Basis, Entitlement
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import BACK, REDIRECT_URI, Provider
from tests.support.web import Web, find_code


def ask(client: str, redirect_uri: str = REDIRECT_URI, **changes: str) -> str:
    """Return an authorization address."""
    parameters = {"client_id": client, "redirect_uri": redirect_uri, "response_type": "code", "scope": "openid"}
    return "/authorize?" + urlencode({**parameters, "code_challenge": CHALLENGE, "code_challenge_method": "S256", **changes})


async def test_error_pages_name_the_department_in_the_language_of_the_page(provider: Provider) -> None:
    await provider.add_client("named", name="命名部门（样例）", name_en="Named department (sample)")
    for language, name, other in (("zh-CN", "命名部门", "Named"), ("en", "Named department", "命名部门")):
        page = await Web(provider, language=language).get(ask("named", redirect_uri="https://evil.example/"))
        assert name in page.text
        assert other not in page.text
        assert 'id="back" href="https://department.example/"' in page.text, "never to the address that was sent"
        assert "evil.example" not in page.text.replace("evil.example%2F", "")


async def test_who_goes_back_after_signing_in_is_led_on_to_the_department(provider: Provider) -> None:
    await provider.add_client("onward", name="前行部门（样例）", name_en="Onward department (sample)")
    web = Web(provider)
    await web.get(ask("onward"))
    i = web.fields()["i"]
    await web.sign_in(await provider.add_person(), ask("onward"))
    await web.get(f"/continue?i={i}")
    assert web.left_to is not None, "the first tab goes on by itself"
    for language, label in (("zh-CN", "到前行部门（样例）继续"), ("en", "Continue at Onward department (sample)")):
        page = await web.get(f"/sign-in?i={i}&lang={language}")
        assert find_code(page) == "interaction_finished"
        assert f'id="back" href="{BACK}">{label}</a>' in page.text


async def test_an_answer_about_consent_that_was_sent_twice_is_told_with_the_way_on(provider: Provider) -> None:
    await provider.add_client("twice", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    web = Web(provider)
    await web.sign_in(await provider.add_person(), ask("twice", scope="openid profile"))
    fields = web.fields()
    assert (await web.client.post("/consent", data={**fields, "decision": "allow"})).status_code == 303
    page = await web.client.post("/consent", data={**fields, "decision": "allow"})
    assert (page.status_code, find_code(page)) == (409, "step_repeated")
    way = re.search(r'id="back" href="([^"]+)">继续</a>', page.text)
    assert way is not None
    await web.get(unescape(way[1]))
    assert web.left_to is not None
    assert "code=" in web.left_to
