"""Another language or mode on a form that is half filled in: it is drawn again as it was typed, and nothing is checked."""

from idp.kernel.checks import CheckKind
from tests.support.provider import Provider
from tests.support.registering import Registering
from tests.support.web import Web

TYPED = {"name": "李", "document_kind": "passport", "id_number": "E 123", "phone": "138"}


async def test_the_first_step_is_drawn_again_as_it_was_typed(provider: Provider) -> None:
    web = Registering(provider, 400)
    await web.begin()
    page = await web.client.post("/register/identity?lang=en", data={**web.fields(), **TYPED, "redraw": "1"})
    assert page.status_code == 200
    assert '<html lang="en"' in page.text
    for text in ('value="李"', 'value="passport" selected', 'value="E 123"', 'value="138"'):
        assert text in page.text
    assert 'role="alert"' not in page.text, "nothing was checked"
    assert not any("draft" in cookie.name for cookie in web.client.cookies.jar), "nothing was begun"


async def test_the_items_are_drawn_again_and_nobody_is_asked(provider: Provider) -> None:
    web = Registering(provider, 401)
    await web.begin()
    await web.walk("items")
    before = len(provider.authorities.calls)
    form = {**web.fields(), "bank_card": web.person.bank_card, "social_security_card": "X", "redraw": "1"}
    page = await web.client.post("/register/items?elder=1", data=form)
    assert page.status_code == 200
    assert f'value="{web.person.bank_card}"' in page.text
    assert 'value="X"' in page.text
    assert 'class="elder"' in page.text
    assert 'role="alert"' not in page.text
    assert len(provider.authorities.calls) == before
    page = await web.client.post("/register/items", data={**form, "csrf": "x"})
    assert page.status_code == 403, "only this browser's own form is drawn again"


async def test_so_are_the_items_of_who_raises_the_level(provider: Provider) -> None:
    web = Registering(provider, 402)
    await web.begin()
    await web.walk("items")
    await web.prove(social_security_card=web.person.social_security_card, bank_card=web.person.bank_card)
    await web.take("password")
    await web.take("agreement")
    await web.get("/raise")
    before = provider.authorities.count_calls(CheckKind.PHONE.value)
    page = await web.client.post("/raise?lang=en", data={**web.fields(), "phone_check": "1", "redraw": "1"})
    assert page.status_code == 200
    assert '<html lang="en"' in page.text
    assert provider.authorities.count_calls(CheckKind.PHONE.value) == before


async def test_so_is_the_identifier_of_who_signs_in_and_never_a_secret(provider: Provider) -> None:
    web = Web(provider)
    await web.get("/")
    form = {**web.fields(), "identifier": "13800138", "password": "a secret that is not kept", "redraw": "1"}
    for ask in ("", "code"):
        page = await web.client.post("/sign-in?lang=en", data={**form, "ask": ask})
        assert page.status_code == 200
        assert '<html lang="en"' in page.text
        assert 'value="13800138"' in page.text
        assert ('name="password"' in page.text) == (not ask)
        assert "a secret" not in page.text
        assert 'role="alert"' not in page.text
    page = await web.client.post("/sign-in", data={**form, "identifier": "1" * 101})
    assert f'value="{"1" * 100}"' in page.text
    page = await web.client.post("/sign-in", data={**form, "csrf": "x"})
    assert page.status_code == 403
