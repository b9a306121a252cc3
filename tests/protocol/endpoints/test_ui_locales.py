"""However a client hands over its request, it chooses the language of the pages (OpenID Connect Core §3.1.2.1)."""

from urllib.parse import urlencode

import pytest

from idp.protocol.rules.client_metadata import ClientKeys
from tests.protocol.endpoints.test_pushed_requests import make_request
from tests.support.client_keys import make_client_key, make_request_object, write_key_set
from tests.support.provider import ISSUER, Provider
from tests.support.web import Web

KEY = make_client_key()
ELSEWHERE = ("posted", "pushed", "signed", "signed and pushed")
"""Where the address does not tell the parameters."""


async def hand_over(provider: Provider, way: str, **wishes: str) -> dict[str, str]:
    """Return what the browser is sent with for a request that is handed over in this way."""
    client = "of-tongues"
    if client not in provider.secrets:
        await provider.add_client(client, keys=ClientKeys(jwks=write_key_set(KEY)))
    request = make_request(**wishes)
    if "signed" in way:
        request = {"request": KEY.sign(make_request_object(client, ISSUER, provider.now(), request))}
    if "pushed" in way:
        request = {"request_uri": (await provider.post("/par", request, client)).json()["request_uri"]}
    return {"client_id": client, **request}


async def ask(provider: Provider, web: Web, way: str, beside: str = "", **wishes: str) -> str:
    """Open the first page of a request; ``beside`` stands in the address as well."""
    request = await hand_over(provider, way, **wishes)
    if way == "posted":
        own = {"sec-fetch-site": "same-origin"}
        answer = await web.client.post(f"/authorize?{beside}", data=request, headers=own)
    else:
        answer = await web.client.get(f"/authorize?{urlencode(request)}&{beside}")
    said = [value for value in answer.headers.get_list("set-cookie") if "language=" in value]
    assert beside or len(said) <= 1, said
    return (await web.get(answer.headers["location"])).text


@pytest.mark.parametrize("way", ["plain", *ELSEWHERE])
async def test_the_language_of_a_request_goes_before_cookie_and_browser_and_lasts(provider: Provider, way: str) -> None:
    web = Web(provider, language="zh-CN")
    assert '<html lang="en"' in await ask(provider, web, way, ui_locales="fr-CA en")
    assert '<html lang="en"' in await ask(provider, web, way), "the cookie of the last choice"
    assert '<html lang="zh-CN"' in await ask(provider, web, way, ui_locales="zh-CN")
    assert '<html lang="zh-CN"' in await ask(provider, web, way, ui_locales="fr"), "a language that we lack chooses nothing"


@pytest.mark.parametrize("way", ELSEWHERE)
async def test_lang_in_the_address_goes_before_what_the_request_says_elsewhere(provider: Provider, way: str) -> None:
    assert '<html lang="zh-CN"' in await ask(provider, Web(provider), way, "lang=zh-CN", ui_locales="en")
    assert '<html lang="en"' in await ask(provider, Web(provider), way, "ui_locales=zh-CN", ui_locales="en"), "what was vouched for counts"
