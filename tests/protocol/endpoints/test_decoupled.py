"""Kiosks (RFC 8628) and counters (CIBA): begin, answer on the person's own device, collect once."""

import asyncio
import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from idp.http.cookies import CookieNames
from idp.kernel.clock import read_system_random
from idp.kernel.levels import Acr, Factor
from idp.people.services.directory import People
from idp.platform.outbox import deliver_due
from idp.protocol.rules.client import AuthMethod, BadRegistration, Basis, Entitlement
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import BackchannelAuthentication, ClientKeys
from idp.protocol.rules.decoupled_request import Answer, Approval, Kind
from idp.protocol.services.decoupled_requests import DecoupledRequests, HeldRequest
from tests.support.account import open_account
from tests.support.provider import ISSUER, PASSWORD, SESSION, Provider, Somebody
from tests.support.web import Web, find_code

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"
IDLE = 120
BROWSER = CookieNames(ISSUER, "").browser


async def begin_at_terminal(provider: Provider, client_id: str, scope: str = "openid", wanted: str = "") -> dict[str, str]:
    """Begin as the endpoint does for a terminal that proved its key."""
    platform = provider.services.platform
    requests = DecoupledRequests(platform.transients, platform.clock, platform.random)
    request = await requests.begin(Kind.DEVICE, client_id, tuple(scope.split()), 600, 5, message="政务大厅1号机（样例）", wanted=wanted)
    return {"device_code": request.id, "user_code": request.user_code}


async def poll(provider: Provider, client_id: str, grant: str, **form: str) -> Any:
    """Poll as the other device does, after the interval."""
    provider.clock.advance(6)
    return await provider.post("/token", {"grant_type": grant, **form}, client_id)


async def sign_in_here(provider: Provider, person: Somebody, *factors: Factor) -> Web:
    """Return the browser of somebody who is signed in."""
    web = Web(provider)
    web.client.cookies.set(SESSION, (await provider.open_session(person, *factors))[SESSION])
    return web


async def test_a_terminal_gets_tokens_once_after_the_person_agreed(provider: Provider) -> None:
    await provider.add_client("kiosk", grant_types=(DEVICE,), name="自助终端（样例）", auth_method=AuthMethod.PRIVATE_KEY_JWT)
    person = await provider.add_person()
    begun = await begin_at_terminal(provider, "kiosk", "openid real_name")
    waiting = await poll(provider, "kiosk", DEVICE, device_code=begun["device_code"])
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    web = await sign_in_here(provider, person)
    await web.get("/device")
    page = await web.submit("/device", user_code=begun["user_code"].lower())
    assert "自助终端（样例）" in page.text
    assert "政务大厅1号机（样例）" in page.text
    assert f"{begun['user_code'][:4]}-{begun['user_code'][4:]}" in page.text
    done = await web.submit("/approve", answer="approve")
    assert "approve_yes" not in done.text
    assert re.search(r"<h1>.*已同意", done.text)
    answer = await poll(provider, "kiosk", DEVICE, device_code=begun["device_code"])
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert tokens["expires_in"] == 600
    assert "refresh_token" not in tokens
    assert (await provider.read_userinfo(tokens["access_token"])).json()["real_name_verified"] is True
    again = await poll(provider, "kiosk", DEVICE, device_code=begun["device_code"])
    assert again.json()["error"] == "invalid_grant"
    assert [e["person_id"] for e in await provider.read_events("request_approved")][-1] == person.person_id


async def test_a_terminals_grant_ends_when_nobody_uses_it_or_the_account_is_closed_to_sign_in(provider: Provider) -> None:
    await provider.add_client("idle-kiosk", grant_types=(DEVICE,))
    for ends in ("idle", "banned"):
        person = await provider.add_person()
        begun = await begin_at_terminal(provider, "idle-kiosk", "openid real_name")
        web = await sign_in_here(provider, person)
        await web.get("/device")
        await web.submit("/device", user_code=begun["user_code"])
        await web.submit("/approve", answer="approve")
        tokens = (await poll(provider, "idle-kiosk", DEVICE, device_code=begun["device_code"])).json()
        for _ in range(3):  # used again and again it stays
            provider.clock.advance(IDLE - 1)
            assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
        if ends == "banned":
            await provider.execute("UPDATE people SET status = 'banned' WHERE id = $1", person.person_id)
        else:
            provider.clock.advance(IDLE)
        assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def test_a_person_may_say_no(provider: Provider) -> None:
    await provider.add_client("refused-kiosk", grant_types=(DEVICE,))
    begun = await begin_at_terminal(provider, "refused-kiosk")
    web = await sign_in_here(provider, await provider.add_person())
    await web.get("/device")
    await web.submit("/device", user_code=begun["user_code"])
    await web.submit("/approve", answer="deny")
    answer = await poll(provider, "refused-kiosk", DEVICE, device_code=begun["device_code"])
    assert answer.json()["error"] == "access_denied"


@pytest.mark.parametrize("together", [False, True])
async def test_an_approval_after_a_denial_is_recorded_nowhere(provider: Provider, together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    client = f"denied-kiosk-{together}".lower()
    consent = Entitlement("查询（样例）", Basis.CONSENT, ("name",))
    await provider.add_client(client, grant_types=(DEVICE,), entitlements=(consent,))
    begun = await begin_at_terminal(provider, client, "openid profile")
    person = await provider.add_person()
    first, second = [await sign_in_here(provider, person) for _ in range(2)]
    for web in (first, second):
        await web.get("/device")
        await web.submit("/device", user_code=begun["user_code"])
    answer = DecoupledRequests.answer

    async def answer_late(self: DecoupledRequests, held: HeldRequest, what: Answer, approval: Approval | None = None) -> bool:
        assert await answer(self, held, Answer.DENY)
        return await answer(self, held, what, approval)

    if together:
        monkeypatch.setattr(DecoupledRequests, "answer", answer_late)
    else:
        await first.submit("/approve", answer="deny")
    page = await second.submit("/approve", answer="approve")
    assert "已同意" not in page.text
    told = await poll(provider, client, DEVICE, device_code=begun["device_code"])
    assert told.json()["error"] == "access_denied"
    recorded = [
        kind for kind in ("request_approved", "consent_given") for e in await provider.read_events(kind) if e["client_id"] == client
    ]
    assert recorded == []
    assert await provider.services.platform.database.fetch("SELECT FROM consents WHERE client_id = $1", client) == []


async def test_another_client_cannot_collect(provider: Provider) -> None:
    await provider.add_client("owner-kiosk", grant_types=(DEVICE,))
    await provider.add_client("thief-kiosk", grant_types=(DEVICE, CIBA))
    begun = await begin_at_terminal(provider, "owner-kiosk")
    assert (await poll(provider, "thief-kiosk", DEVICE, device_code=begun["device_code"])).json()["error"] == "invalid_grant"
    assert (await poll(provider, "thief-kiosk", CIBA, auth_req_id=begun["device_code"])).json()["error"] == "invalid_grant"


async def test_impatience_is_told_and_the_end_too(provider: Provider) -> None:
    await provider.add_client("hasty-kiosk", grant_types=(DEVICE,))
    begun = await begin_at_terminal(provider, "hasty-kiosk")
    await poll(provider, "hasty-kiosk", DEVICE, device_code=begun["device_code"])
    at_once = await provider.post("/token", {"grant_type": DEVICE, "device_code": begun["device_code"]}, "hasty-kiosk")
    assert at_once.json()["error"] == "slow_down"
    provider.clock.advance(600)
    assert (await poll(provider, "hasty-kiosk", DEVICE, device_code=begun["device_code"])).json()["error"] == "expired_token"


async def test_a_wrong_code_finds_nothing_and_many_find_nothing_for_a_while(provider: Provider) -> None:
    web = Web(provider, address="198.51.100.77")
    await web.get("/device")
    for typed in ("BCDF-GHJK", "", "123"):
        page = await web.client.post("/device", data={**web.fields(), "user_code": typed})
        assert page.status_code == 422
        assert 'id="user_code-error"' in page.text
    for _ in range(provider.services.platform.settings.sign_in.failures_per_network):
        await web.client.post("/device", data={**web.fields(), "user_code": "BCDF-GHJK"})
    page = await web.client.post("/device", data={**web.fields(), "user_code": "BCDF-GHJK"})
    assert (page.status_code, find_code(page)) == (429, "device_tries_limited")
    assert 'id="device" href="/device"' in page.text


async def test_another_language_keeps_the_code_and_looks_nothing_up(provider: Provider) -> None:
    web = Web(provider, address="198.51.100.79")
    await web.get("/device")
    for _ in range(provider.services.platform.settings.sign_in.failures_per_network + 1):
        page = await web.client.post("/device?lang=en", data={**web.fields(), "user_code": "bcdf ghjk", "redraw": "1"})
    assert page.status_code == 200
    assert 'lang="en"' in page.text
    assert 'value="bcdf ghjk"' in page.text


async def test_a_strangers_page_types_no_code(provider: Provider) -> None:
    await provider.add_client("posted-kiosk", grant_types=(DEVICE,))
    begun = await begin_at_terminal(provider, "posted-kiosk")
    web = await sign_in_here(provider, await provider.add_person())
    await web.get("/device")
    form = {**web.fields(), "user_code": begun["user_code"]}
    bare, known = Web(provider), web.client.cookies[BROWSER]
    strange = Web(provider)
    await strange.get("/device")
    for browser, data, headers in (
        (bare, {"user_code": begun["user_code"]}, {"sec-fetch-site": "cross-site"}),  # SameSite: no cookie comes with it
        (bare, {**form, "csrf": ""}, {}),
        (web, {"user_code": begun["user_code"]}, {}),
        (web, form, {"sec-fetch-site": "cross-site"}),
        (web, form, {"sec-fetch-site": "same-site"}),
        (web, {**form, **strange.fields()}, {}),
    ):
        page = await browser.client.post("/device", data=data, headers=headers)
        assert (page.status_code, find_code(page)) == (403, "device_form_forged")
        assert begun["user_code"] not in page.text
        assert 'id="back" href="/device"' in page.text, "the person may type it"
        assert "set-cookie" not in page.headers, "no flow of the visitor loses its browser"
    assert web.client.cookies[BROWSER] == known
    page = await web.submit("/device", user_code=begun["user_code"])
    assert page.url.path == "/approve"


async def test_a_client_that_needs_more_than_another_device_is_told_does_not_begin(provider: Provider) -> None:
    jwks = ClientKeys(jwks=json.dumps({"keys": [KEY.as_dict(private=False)]}))
    await provider.add_client(
        "high-kiosk", grant_types=(DEVICE, CIBA), minimum_acr=Acr.HIGH, auth_method=AuthMethod.PRIVATE_KEY_JWT, keys=jwks
    )
    await provider.add_client("open-kiosk", grant_types=(DEVICE, CIBA), auth_method=AuthMethod.PRIVATE_KEY_JWT, keys=jwks)
    person = await provider.add_person(ial=4)

    async def begin(client_id: str, path: str, **form: str) -> Any:
        now = int(provider.now().timestamp())
        claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": read_system_random(12).hex()}
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt.encode({"alg": "ES256", "kid": "counter-1"}, claims, KEY)}
        hint = {"login_hint": person.document} if path == "/bc-authorize" else {}
        return await provider.post(path, {"scope": "openid", **hint, **proof, **form})

    def essential(*values: str) -> dict[str, str]:
        return {"claims": json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})}

    for path in ("/device_authorization", "/bc-authorize"):
        answer = await begin("high-kiosk", path)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        for values in ((Acr.HIGH,), (Acr.PHR, Acr.PHRH), ("strange",)):
            answer = await begin("open-kiosk", path, **essential(*values))
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert (await begin("open-kiosk", path, **essential(Acr.HIGH, Acr.SUBSTANTIAL))).status_code == 200
        assert (await begin("open-kiosk", path, claims='{"id_token":{"acr":{"values":["phr"]}}}')).status_code == 200
        assert (await begin("open-kiosk", path, claims='{"id_token":{"acr":null}}')).status_code == 200
    await provider.services.afterwards.settle()


async def test_a_client_that_came_to_need_more_is_not_asked_for(provider: Provider) -> None:
    await provider.add_client("raised-kiosk", grant_types=(DEVICE,), minimum_acr=Acr.HIGH)
    begun = await begin_at_terminal(provider, "raised-kiosk")
    web = await sign_in_here(provider, await provider.add_person(ial=4), Factor.PASSKEY)
    await web.get("/device")
    page = await web.submit("/device", user_code=begun["user_code"])
    assert page.status_code == 422
    assert "没有终端在等待这个代码" in page.text


@pytest.mark.parametrize("wanted", ["", Acr.HIGH.value, "phr", "phrh"])
async def test_a_passkey_is_worth_substantial_elsewhere_and_is_not_told(provider: Provider, wanted: str) -> None:
    client = f"passkey-kiosk{wanted.rpartition(':')[2]}"
    await provider.add_client(client, grant_types=(DEVICE,))
    begun = await begin_at_terminal(provider, client, wanted=wanted)
    web = await sign_in_here(provider, await provider.add_person(ial=4), Factor.PASSWORD, Factor.PASSKEY)
    await web.get("/device")
    page = await web.submit("/device", user_code=begun["user_code"])
    assert page.url.path == "/approve", page.text
    await web.submit("/approve", answer="approve")
    token = (await poll(provider, client, DEVICE, device_code=begun["device_code"])).json()["id_token"]
    claims = provider.services.platform.ring.verify(token, "JWT")
    assert (claims["acr"], claims["amr"]) == (Acr.SUBSTANTIAL.value, ["pwd"])


async def test_an_isolated_terminals_person_signs_in_for_it(provider: Provider) -> None:
    await provider.add_client("isolated-kiosk", grant_types=(DEVICE,), isolated=True)
    person = await provider.add_person()
    web = await open_account(provider, person)
    for signs_in in (True, False):
        begun = await begin_at_terminal(provider, "isolated-kiosk")
        provider.clock.advance(1)
        await web.get("/device")
        page = await web.submit("/device", user_code=begun["user_code"])
        if signs_in:
            assert 'name="password"' in page.text, "what was proved for others does not count"
            page = await web.submit("/sign-in", identifier=person.document, password=PASSWORD)
        assert page.url.path == "/approve"
        await web.submit("/approve", answer="approve")
        answer = await poll(provider, "isolated-kiosk", DEVICE, device_code=begun["device_code"])
        assert answer.status_code == 200


async def test_a_secret_is_no_counter_key(provider: Provider) -> None:
    with pytest.raises(BadRegistration, match="not with a secret"):
        await provider.add_client("secret-kiosk", grant_types=(DEVICE,), auth_method=AuthMethod.SECRET_BASIC)
    await provider.add_client("no-kiosk")
    assert (await provider.post("/device_authorization", {"scope": "openid"}, "no-kiosk")).json()["error"] == "unauthorized_client"


async def test_what_rests_on_consent_is_asked_with_the_request(provider: Provider) -> None:
    await provider.add_client("consent-kiosk", grant_types=(DEVICE,), entitlements=(Entitlement("社保查询", Basis.CONSENT, ("name",)),))
    person = await provider.add_person()
    begun = await begin_at_terminal(provider, "consent-kiosk", "openid profile")
    web = await sign_in_here(provider, person)
    await web.get("/device")
    page = await web.submit("/device", user_code=begun["user_code"])
    assert "社保查询" in page.text
    await web.submit("/approve", answer="approve")
    tokens = (await poll(provider, "consent-kiosk", DEVICE, device_code=begun["device_code"])).json()
    assert (await provider.read_userinfo(tokens["access_token"])).json()["name"] == person.name
    assert len([e for e in await provider.read_events("consent_given") if e["person_id"] == person.person_id]) == 1


async def test_who_is_not_signed_in_signs_in_on_the_way(provider: Provider) -> None:
    await provider.add_client("walk-kiosk", grant_types=(DEVICE,))
    begun = await begin_at_terminal(provider, "walk-kiosk")
    web = Web(provider)
    await web.get("/device")
    page = await web.submit("/device", user_code=begun["user_code"])
    assert 'name="password"' in page.text
    person = await provider.add_person()
    page = await web.sign_in(person, str(page.url))
    assert 'name="answer"' in page.text
    await web.submit("/approve", answer="approve")
    assert (await poll(provider, "walk-kiosk", DEVICE, device_code=begun["device_code"])).status_code == 200


async def ask(provider: Provider, client_id: str, **form: str) -> Any:
    """Ask a person to confirm, as a counter does; what happens after the answer has happened."""
    answer = await provider.post("/bc-authorize", {"scope": "openid", **form}, client_id)
    await provider.services.afterwards.settle()
    return answer


async def test_a_counter_is_confirmed_on_the_persons_own_page(provider: Provider) -> None:
    await provider.add_client("counter", grant_types=(CIBA,), name="社保窗口（样例）")
    person = await provider.add_person()
    begun = (await ask(provider, "counter", login_hint=person.document, binding_message="取号 A-17")).json()
    assert (begun["expires_in"], begun["interval"]) == (300, 5)
    assert (await poll(provider, "counter", CIBA, auth_req_id=begun["auth_req_id"])).json()["error"] == "authorization_pending"
    web = await sign_in_here(provider, person)
    page = await web.get("/account/requests")
    assert "社保窗口（样例）" in page.text
    page = await web.submit("/account/requests")
    assert "取号 A-17" in page.text
    await web.submit("/approve", answer="approve")
    tokens = (await poll(provider, "counter", CIBA, auth_req_id=begun["auth_req_id"])).json()
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 200
    assert (await poll(provider, "counter", CIBA, auth_req_id=begun["auth_req_id"])).json()["error"] == "invalid_grant"
    assert "社保窗口（样例）" not in (await web.get("/account/requests")).text


async def test_the_person_is_told_by_message_without_a_link(provider: Provider) -> None:
    await provider.add_client("telling-counter", grant_types=(CIBA,))
    person = await provider.add_person()
    await ask(provider, "telling-counter", login_hint=person.phone)
    sent = []

    async def keep(payload: dict[str, Any], _: object) -> str:
        sent.append(payload)
        return "kept"

    platform = provider.services.platform
    await deliver_due(platform.outbox, platform.database, {"sms": keep})
    assert [s["template"] for s in sent if s["phone"] == person.phone] == ["request_waiting"]


async def test_whom_nobody_knows_is_answered_for_by_silence(provider: Provider) -> None:
    await provider.add_client("guessing-counter", grant_types=(CIBA,))
    person = await provider.add_person()
    known = (await ask(provider, "guessing-counter", login_hint=person.document)).json()
    unknown = (await ask(provider, "guessing-counter", login_hint="350102199001011232")).json()
    assert known.keys() == unknown.keys()
    for begun in (known, unknown):
        answer = await poll(provider, "guessing-counter", CIBA, auth_req_id=begun["auth_req_id"])
        assert answer.json()["error"] == "authorization_pending"
    provider.clock.advance(300)
    for begun in (known, unknown):
        answer = await poll(provider, "guessing-counter", CIBA, auth_req_id=begun["auth_req_id"])
        assert answer.json()["error"] == "expired_token"


async def test_one_request_waits_and_three_in_ten_minutes_reach_a_person(provider: Provider) -> None:
    await provider.add_client("pushing-counter", grant_types=(CIBA,))
    person = await provider.add_person()
    web = await sign_in_here(provider, person)

    async def is_reached(message: str) -> bool:
        await ask(provider, "pushing-counter", login_hint=person.document, binding_message=message, requested_expiry="60")
        return message in (await web.get("/account/requests")).text

    assert await is_reached("一")
    assert not await is_reached("二"), "one at a time"
    for message in ("三", "四"):
        provider.clock.advance(61)
        assert await is_reached(message)
    provider.clock.advance(61)
    assert not await is_reached("五"), "three in ten minutes"


async def test_of_requests_that_arrive_together_one_reaches_the_person(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    find = People.find_masked_name

    async def find_slowly(self: People, person_id: UUID) -> str:
        await asyncio.sleep(0.5)  # all of them looked whether one waits before the first one does
        return await find(self, person_id)

    monkeypatch.setattr(People, "find_masked_name", find_slowly)
    person = await provider.add_person()
    clients = [await provider.add_client(f"rush-counter-{number}", grant_types=(CIBA,)) for number in range(3)]
    await asyncio.gather(*(provider.post("/bc-authorize", {"scope": "openid", "login_hint": person.document}, c) for c in clients))
    await provider.services.afterwards.settle()
    assert len([e for e in await provider.read_events("request_reached") if e["person_id"] == person.person_id]) == 1
    provider.clock.advance(601)
    await ask(provider, clients[0], login_hint=person.document)
    web = await sign_in_here(provider, person)
    assert 'id="look"' in (await web.get("/account/requests")).text, "the next one does"


async def test_two_refusals_mute_a_client_for_a_day(provider: Provider) -> None:
    await provider.add_client("muted-counter", grant_types=(CIBA,))
    person = await provider.add_person()
    for number in range(3):
        web = await sign_in_here(provider, person)
        await ask(provider, "muted-counter", login_hint=person.document)
        page = await web.get("/account/requests")
        assert ('id="look"' in page.text) is (number < 2)
        if number < 2:
            await web.submit("/account/requests")
            await web.submit("/approve", answer="deny")
        provider.clock.advance(601)


async def test_a_request_is_answered_by_whom_it_is_for(provider: Provider) -> None:
    await provider.add_client("mixed-counter", grant_types=(CIBA,))
    person, other = await provider.add_person(), await provider.add_person()
    await ask(provider, "mixed-counter", login_hint=person.document)
    web = await sign_in_here(provider, person)
    await web.get("/account/requests")
    page = await web.submit("/account/requests")
    flow = str(page.url)
    web.client.cookies.set(SESSION, (await provider.open_session(other))[SESSION])
    page = await web.get(flow)
    assert find_code(page) == "request_of_another"
    assert 'id="again" href="/sign-out"' in page.text


async def test_an_id_token_hint_names_the_person(provider: Provider) -> None:
    await provider.add_client("hinting-counter", grant_types=("authorization_code", CIBA))
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    token = (await provider.get_tokens("hinting-counter", cookies))["id_token"]
    assert (await ask(provider, "hinting-counter", id_token_hint=token)).status_code == 200
    web = await sign_in_here(provider, person)
    assert 'id="look"' in (await web.get("/account/requests")).text
    await provider.add_client("foreign-counter", grant_types=(CIBA,))
    assert (await ask(provider, "foreign-counter", id_token_hint=token)).json()["error"] == "invalid_request"


async def test_a_ping_says_which_request_and_nothing_else(provider: Provider) -> None:
    await provider.add_client(
        "pinged-counter",
        grant_types=(CIBA,),
        ciba=BackchannelAuthentication("ping", "https://counter.example/ping"),
    )
    person = await provider.add_person()
    begun = (await ask(provider, "pinged-counter", login_hint=person.document, client_notification_token="token-1")).json()
    web = await sign_in_here(provider, person)
    await web.get("/account/requests")
    await web.submit("/account/requests")
    await web.submit("/approve", answer="approve")
    pings = []

    async def keep(payload: dict[str, Any], _: object) -> str:
        pings.append(payload)
        return "kept"

    platform = provider.services.platform
    await deliver_due(platform.outbox, platform.database, {"ciba_ping": keep})
    assert pings == [{"client_id": "pinged-counter", "auth_req_id": begun["auth_req_id"], "token": "token-1"}]


@pytest.mark.parametrize("path", ["/device_authorization", "/bc-authorize"])
async def test_only_clients_begin(provider: Provider, path: str) -> None:
    answer = await provider.browser.post(path, data={"scope": "openid", "login_hint": "x"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = await provider.browser.get(path)
    assert (answer.status_code, answer.json()["error"]) == (405, "invalid_request")


KEY = ECKey.generate_key("P-256", parameters={"kid": "counter-1", "use": "sig", "alg": "ES256"})


def sign(provider: Provider, client_id: str, **claims: object) -> str:
    """Return a signed request of the counter, good for five minutes unless told otherwise."""
    now = int(provider.now().timestamp())
    given = {"iss": client_id, "aud": ISSUER, "iat": now, "nbf": now, "exp": now + 300, "jti": read_system_random(12).hex(), **claims}
    return jwt.encode({"alg": "ES256", "kid": "counter-1"}, {k: v for k, v in given.items() if v is not None}, KEY, algorithms=["ES256"])


async def test_a_signed_request_is_verified_and_used_once(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    await provider.add_client(
        "signing-counter",
        grant_types=(CIBA,),
        keys=ClientKeys(jwks=json.dumps({"keys": [KEY.as_dict(private=False)]})),
        ciba=BackchannelAuthentication(backchannel_authentication_request_signing_alg="ES256"),
    )
    person = await provider.add_person()
    signed = sign(provider, "signing-counter", scope="openid", login_hint=person.document, binding_message="A-17")

    async def post(**form: str) -> Any:
        answer = await provider.post("/bc-authorize", form, "signing-counter")
        await provider.services.afterwards.settle()
        return answer.json()

    assert "auth_req_id" in await post(request=signed)
    more = {"x_flag": True, "x_ratio": 1.5, "x_note": "a\nb"}
    assert "auth_req_id" in await post(request=sign(provider, "signing-counter", scope="openid", login_hint="x", **more)), "ignored"
    web = await sign_in_here(provider, person)
    assert "A-17" in (await web.get("/account/requests")).text
    for refused in (
        {"request": signed},
        {"scope": "openid", "login_hint": person.document},
        {"request": sign(provider, "signing-counter", scope="openid", login_hint="x"), "login_hint": "x"},
        {"request": sign(provider, "signing-counter", scope="openid", login_hint="x", binding_message=True)},
        {"request": sign(provider, "signing-counter", scope="openid", login_hint="x", jti=None)},
        {"request": sign(provider, "signing-counter", scope="openid", login_hint="x", nbf=None)},
        {"request": sign(provider, "signing-counter", scope="openid", login_hint="x", exp=int(provider.now().timestamp()) + 4000)},
        {"request": sign(provider, "signing-counter", scope="openid", login_hint="x", aud="https://elsewhere.example")},
        {"request": sign(provider, "another-counter", scope="openid", login_hint="x")},
        {"request": signed[:-4] + "AAAA"},
        {"request": "eyJhbGciOiJub25lIn0.e30."},
    ):
        assert (await post(**refused))["error"] == "invalid_request", refused
    store = provider.services.platform.transients
    born_at = provider.now() + timedelta(seconds=1)

    async def forget() -> datetime:
        return born_at

    monkeypatch.setattr(store, "born_at", forget)
    old = sign(provider, "signing-counter", scope="openid", login_hint="x")
    assert "older than our memory" in (await post(request=old))["error_description"]
    provider.clock.advance(1)
    assert "auth_req_id" in await post(request=sign(provider, "signing-counter", scope="openid", login_hint="x"))


async def test_what_a_terminal_got_ends_from_the_account_without_another_sign_in(provider: Provider) -> None:
    await provider.add_client("lone-kiosk", grant_types=(DEVICE,))
    begun = await begin_at_terminal(provider, "lone-kiosk", "openid real_name")
    web = await sign_in_here(provider, await provider.add_person())
    await web.get("/device")
    await web.submit("/device", user_code=begun["user_code"])
    await web.submit("/approve", answer="approve")
    tokens = (await poll(provider, "lone-kiosk", DEVICE, device_code=begun["device_code"])).json()
    page = await web.get("/account/sessions")
    assert 'name="others"' in page.text
    assert "没有其他设备登录着" in page.text
    page = await web.submit("/account/sessions", others="1")
    assert "其他设备已全部退出" in page.text
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
