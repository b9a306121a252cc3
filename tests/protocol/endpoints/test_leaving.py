"""A flow ends once: of its requests one is answered and recorded, and an end that could not be recorded is none."""

import asyncio
from urllib.parse import urlencode

import pytest

from idp.platform.ledger import Ledger, LedgerFull
from idp.protocol.rules.client import Basis, Entitlement
from tests.protocol.endpoints.test_app_entry import add_app
from tests.protocol.endpoints.test_decoupled import CIBA, ask, poll, sign_in_here
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import REDIRECT_URI, Provider
from tests.support.web import Web

QUERY = {
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "scope": "openid profile",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


async def answer_consent(provider: Provider, client: str, decision: str) -> tuple[Web, str]:
    """Return a browser that answered the consent page, and the address at which its flow goes on."""
    await provider.add_client(client, entitlements=(Entitlement("查询", Basis.CONSENT, ("name",)),))
    web = Web(provider)
    await web.sign_in(await provider.add_person(), f"/authorize?{urlencode({'client_id': client, **QUERY})}")
    answered = await web.client.post("/consent", data={**web.fields(), "decision": decision})
    assert answered.status_code == 303
    return web, answered.headers["location"]


async def count_rows(provider: Provider, client: str) -> int:
    """Return how many ends of flows of this client are recorded."""
    rows = [e for kind in ("authorized", "authorization_refused") for e in await provider.read_events(kind)]
    return [e["client_id"] for e in rows].count(client)


@pytest.mark.parametrize(("decision", "told"), [("allow", "?code="), ("deny", "?error=access_denied")])
async def test_of_requests_of_one_flow_that_leave_together_one_is_recorded(provider: Provider, decision: str, told: str) -> None:
    web, way_on = await answer_consent(provider, f"crowded-{decision}", decision)
    pages = await asyncio.gather(*(web.client.get(way_on) for _ in range(5)))
    assert sorted(page.status_code for page in pages) == [200, 410, 410, 410, 410]
    assert [told in page.text for page in pages].count(True) == 1
    assert await count_rows(provider, f"crowded-{decision}") == 1


@pytest.mark.parametrize(("decision", "told"), [("allow", "?code="), ("deny", "?error=access_denied")])
async def test_a_flow_whose_end_could_not_be_recorded_goes_on(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, decision: str, told: str
) -> None:
    web, way_on = await answer_consent(provider, f"halted-{decision}", decision)

    async def refuse(*_: object) -> None:
        raise LedgerFull

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record", refuse)
        page = await web.client.get(way_on)
    assert page.status_code == 503
    assert told not in page.text
    page = await web.client.get(way_on)
    assert page.status_code == 200
    assert told in page.text
    assert await count_rows(provider, f"halted-{decision}") == 1


async def test_an_approval_whose_grant_could_not_be_written_is_good_for_another_try(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await provider.add_client("halted-counter", grant_types=(CIBA,))
    person = await provider.add_person()
    begun = (await ask(provider, "halted-counter", login_hint=person.document)).json()["auth_req_id"]
    web = await sign_in_here(provider, person)
    await web.get("/account/requests")
    await web.submit("/account/requests")
    await web.submit("/approve", answer="approve")

    async def refuse(*_: object) -> None:
        raise LedgerFull

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "redeem", refuse)
        assert (await poll(provider, "halted-counter", CIBA, auth_req_id=begun)).status_code == 503
    assert (await poll(provider, "halted-counter", CIBA, auth_req_id=begun)).status_code == 200
    assert (await poll(provider, "halted-counter", CIBA, auth_req_id=begun)).json()["error"] == "invalid_grant", "once"


async def test_an_app_whose_grant_could_not_be_written_is_not_signed_in(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_app(provider, "halted-app")
    landing = await provider.authorize(
        "halted-app", await provider.open_session(await provider.add_person()), scope="openid offline_access device_sso"
    )

    async def refuse(*_: object) -> None:
        raise LedgerFull

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "redeem", refuse)
        assert (await provider.redeem("halted-app", landing)).status_code == 503
    assert [e["client_id"] for e in await provider.read_events("session_ended")].count("halted-app") == 1
    assert (await provider.redeem("halted-app", landing)).status_code == 200
