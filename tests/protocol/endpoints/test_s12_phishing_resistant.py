"""S12: where a phishing-resistant sign-in is asked, nothing weaker leads there, and who has no passkey is told what to do."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio

from idp.kernel.ids import decode_base64url
from idp.kernel.levels import Acr, Factor
from tests.support.account import list_forms, read_cookies
from tests.support.passkeys import (
    VERIFIER,
    add_holder,
    add_passkey,
    make_authenticator,
    open_browser,
    read_answer,
    run_named_provider,
    use_passkey,
    write_request,
)
from tests.support.provider import PASSWORD, REDIRECT_URI, Provider
from tests.support.web import Web


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_named_provider(service_dsn, folder) as running:
        yield running


async def redeem(provider: Provider, client_id: str, web: Web) -> dict[str, Any]:
    """Redeem the code that the department got; return the claims of the ID Token."""
    form = {"grant_type": "authorization_code", "code": read_answer(web)["code"], "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    answer = await provider.post("/token", form, client_id)
    assert answer.status_code == 200, answer.text
    claims: dict[str, Any] = json.loads(decode_base64url(answer.json()["id_token"].split(".")[1]))
    return claims


async def without(web: Web, page: httpx2.Response) -> httpx2.Response:
    """Press the button that goes on, or back, without a passkey."""
    form = next(one for one in list_forms(page) if one.get("ask") == "without")
    return await web._follow(await web.client.post("/sign-in", data=form))


async def test_s12_who_is_signed_in_by_text_message_uses_the_passkey_and_nothing_weaker(provider: Provider) -> None:
    client = await provider.add_client("s12")
    person, device = await add_holder(provider)
    web = await open_browser(provider, person)
    page = await web.get(write_request(client, acr_values="phr"))
    assert page.url.path == "/sign-in"
    assert 'name="password"' not in page.text
    assert 'name="identifier"' not in page.text
    assert "way=code" not in page.text
    assert [form["ask"] for form in list_forms(page)] == ["passkey", "without"]
    page = await use_passkey(web, device)
    claims = await redeem(provider, client, web)
    assert claims["acr"] == "phr"
    assert set(claims["amr"]) >= {"swk", "user", "mfa"}
    assert "hwk" not in claims["amr"], "nobody attested that the key is in hardware"
    again = await web.get(write_request(client, acr_values="phr"))
    assert again.status_code == 303, "the passkey counts as long as the sign-in lives"
    assert (await redeem(provider, client, web))["acr"] == "phr"


@pytest.mark.parametrize("step", ["password", "code first", "code", "secret", "resend"])
async def test_s12_no_form_of_a_weaker_way_is_taken(provider: Provider, step: str) -> None:
    client = await provider.add_client(f"s12-forged-{step.replace(' ', '-')}")
    person, _ = await add_holder(provider)
    web = await open_browser(provider, person)
    page = await web.get(write_request(client, acr_values="phr"))
    forged = {
        "password": {"ask": "", "identifier": person.document, "password": PASSWORD},
        "code first": {"ask": "code", "identifier": person.document},
        "code": {"ask": "", "code": "123456"},
        "secret": {"ask": "secret", "password": PASSWORD},
        "resend": {"ask": "", "resend": "1"},
    }[step]
    refused = await web._follow(await web.client.post("/sign-in", data={**list_forms(page)[0], **forged}))
    assert refused.status_code == 409
    page = await web.get(f"/continue?i={list_forms(page)[0]['i']}")
    assert [form["ask"] for form in list_forms(page)] == ["passkey", "without"], "the flow still asks for the passkey"


async def test_s12_what_is_proved_in_another_tab_opens_nothing_here(provider: Provider) -> None:
    client = await provider.add_client("s12-tab")
    person, _ = await add_holder(provider)
    web = await open_browser(provider, person, Factor.PASSWORD)
    page = await web.get(write_request(client, acr_values="phr"))
    flow = list_forms(page)[0]["i"]
    for ways in ((Factor.SMS,), (Factor.PASSWORD, Factor.SMS)):
        other = await open_browser(provider, person, *ways)
        web.client.cookies.update(read_cookies(other))
        page = await web.get(f"/continue?i={flow}")
        assert page.url.path == "/sign-in"


async def test_s12_a_stranger_finds_only_the_passkey_and_signs_in_with_it(provider: Provider) -> None:
    client = await provider.add_client("s12-stranger", minimum_acr=Acr.SUBSTANTIAL)
    _, device = await add_holder(provider)
    web = Web(provider)
    page = await web.get(write_request(client, acr_values="phr"))
    assert [form["ask"] for form in list_forms(page)] == ["passkey", "without"]
    await use_passkey(web, device)
    assert (await redeem(provider, client, web))["acr"] == "phr"


async def test_s12_another_persons_passkey_is_refused_until_the_account_is_changed(provider: Provider) -> None:
    client = await provider.add_client("s12-other")
    person, _ = await add_holder(provider)
    _, theirs = await add_holder(provider)
    web = await open_browser(provider, person)
    page = await web.get(write_request(client, acr_values="phr"))
    page = await use_passkey(web, theirs)
    assert page.status_code == 422
    assert "属于其他账号" in page.text
    provider.clock.advance(1)
    await web.get(f"/sign-in?i={list_forms(page)[0]['i']}&again=1")
    await use_passkey(web, theirs)
    assert "code" in read_answer(web)


async def test_s12_a_wish_without_a_passkey_ends_in_the_true_lower_class(provider: Provider) -> None:
    client = await provider.add_client("s12-wish")
    without_one = await open_browser(provider, await provider.add_person())
    await without_one.get(write_request(client, acr_values="phr"))
    assert (await redeem(provider, client, without_one))["acr"] == Acr.SUBSTANTIAL
    holder, _ = await add_holder(provider)
    declines = await open_browser(provider, holder)
    page = await declines.get(write_request(client, acr_values="phr"))
    await without(declines, page)
    assert (await redeem(provider, client, declines))["acr"] == Acr.SUBSTANTIAL
    person = await provider.add_person()
    stranger = Web(provider)
    page = await without(stranger, await stranger.get(write_request(client, acr_values="phr")))
    assert page.url.path == "/sign-in"
    form = list_forms(page)[0]
    page = await stranger._follow(
        await stranger.client.post("/sign-in", data={**form, "identifier": person.document, "password": PASSWORD})
    )
    assert (await redeem(provider, client, stranger))["acr"] == Acr.LOW


@pytest.mark.parametrize("demand", ["essential", "minimum"])
async def test_s12_what_is_insisted_on_is_never_lowered(provider: Provider, demand: str) -> None:
    minimum = Acr.HIGH if demand == "minimum" else Acr.LOW
    client = await provider.add_client(f"s12-{demand}", minimum_acr=minimum)
    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": ["phr"]}}})
    request = write_request(client, **({"claims": claims} if demand == "essential" else {}))
    person = await provider.add_person(ial=4)
    web = await open_browser(provider, person)
    page = await web.get(request)
    assert page.url.path == "/sign-in"
    assert "/account/passkeys" in page.text, "where to add one"
    page = await without(web, page)
    assert page.status_code == 403
    assert "需要通行密钥" in page.text
    back = page.text.split('id="back" href="')[1].split('"')[0]
    assert parse_qs(urlsplit(back.replace("&amp;", "&")).query)["error"] == ["unmet_authentication_requirements"]
    device = make_authenticator()
    await add_passkey(await open_browser(provider, person), device)
    page = await web.get(request)
    await use_passkey(web, device)
    assert (await redeem(provider, client, web))["acr"] == ("phr" if demand == "essential" else Acr.HIGH)


async def test_s12_a_passkey_that_is_added_on_the_way_is_used_on_the_page_that_asked(provider: Provider) -> None:
    client = await provider.add_client("s12-way", minimum_acr=Acr.HIGH)
    person, device = await provider.add_person(ial=4), make_authenticator()
    web = await open_browser(provider, person)
    page = await web.get(write_request(client))
    flow = list_forms(page)[0]["i"]
    await add_passkey(web, device)
    await web.get(f"/continue?i={flow}")
    await use_passkey(web, device)
    assert (await redeem(provider, client, web))["acr"] == Acr.HIGH


async def test_s12_silently_it_is_login_required(provider: Provider) -> None:
    client = await provider.add_client("s12-silent")
    person, _ = await add_holder(provider)
    web = await open_browser(provider, person)
    await web.get(write_request(client, acr_values="phr", prompt="none"))
    assert read_answer(web)["error"] == "login_required"


async def test_prompt_login_and_an_old_sign_in_ask_for_the_passkey_again(provider: Provider) -> None:
    client = await provider.add_client("s12-login")
    person, device = await add_holder(provider)
    web = await open_browser(provider, person, Factor.PASSKEY)
    for more in ({"prompt": "login"}, {"max_age": "0"}):
        provider.clock.advance(5)
        page = await web.get(write_request(client, acr_values="phr", **more))
        assert [form["ask"] for form in list_forms(page)] == ["passkey", "without"]
        await use_passkey(web, device)
        claims = await redeem(provider, client, web)
        assert claims["auth_time"] == int(provider.now().timestamp())
