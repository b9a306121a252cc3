"""How long ago somebody signed in at most, where the pages of the flow take time as well (OpenID Connect Core §3.1.2.1)."""

import json

from idp.kernel.ids import decode_base64url
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.passkeys import VERIFIER, read_answer, write_request
from tests.support.provider import PASSWORD, REDIRECT_URI, Provider
from tests.support.web import Web


async def test_max_age_leaves_time_to_read_the_consent_page(provider: Provider) -> None:
    await provider.add_client("patient", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    await provider.add_client("opener")
    web = Web(provider)
    await web.sign_in(await provider.add_person(), write_request("opener"))
    provider.clock.advance(5)
    await web.get(write_request("patient", scope="openid profile", max_age="10"))
    provider.clock.advance(60)
    await web.submit("/consent", decision="allow")
    assert "code" in read_answer(web)


async def test_max_age_runs_out_for_who_leaves_the_consent_page_open(provider: Provider) -> None:
    await provider.add_client("waiting", entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    person, web = await provider.add_person(), Web(provider)
    await web.sign_in(person, write_request("waiting", scope="openid profile", max_age="600"))
    provider.clock.advance(601)
    page = await web.submit("/consent", decision="allow")
    assert 'name="password"' in page.text, "the answer counts, and whoever gave it signs in again"
    await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
    form = {"grant_type": "authorization_code", "code": read_answer(web)["code"], "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    tokens = (await provider.post("/token", form, "waiting")).json()
    claims = json.loads(decode_base64url(tokens["id_token"].split(".")[1]))
    assert claims["auth_time"] == int(provider.clock().timestamp())
    assert len([e for e in await provider.read_events("consent_given") if e["person_id"] == person.person_id]) == 1
