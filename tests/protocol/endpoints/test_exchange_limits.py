"""What an exchange never adds: nothing for who has not the key, no later end, no more patience; and tickets that stop counting."""

import hashlib
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc.jwk import ECKey

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.client import ApplicationType, AuthMethod
from idp.protocol.rules.client_metadata import RequestDemands
from idp.protocol.rules.token_exchange import TokenType
from tests.support.foreign import sign_claims
from tests.support.provider import ISSUER, REDIRECT_URI, SESSION, Provider, Somebody
from tests.support.web import Web, find_code

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
RESOURCE = "https://archive.example/api"
IDLE = 120
KEY: Any = ECKey.generate_key("P-256", auto_kid=False)
OTHER: Any = ECKey.generate_key("P-256", auto_kid=False)
VERIFIER = "v" * 43
CHALLENGE = encode_base64url(hashlib.sha256(VERIFIER.encode()).digest())
names = count()


async def add_broker(provider: Provider) -> tuple[str, str]:
    """Register a client that exchanges its tokens, and the resource server that it exchanges them for; return both ids."""
    archive, broker = f"archive-{next(names)}", f"broker-{next(names)}"
    await provider.add_client(archive, resources=(f"{RESOURCE}/{archive}",))
    await provider.add_client(
        broker,
        grant_types=("authorization_code", EXCHANGE),
        requests=RequestDemands(allowed_resources=(f"{RESOURCE}/{archive}",)),
    )
    return broker, archive


async def exchange(provider: Provider, broker: str, archive: str, access_token: str, proof: str | None = None) -> Any:
    """Exchange the broker's access token for one of the resource server."""
    form = {
        "grant_type": EXCHANGE,
        "subject_token": access_token,
        "subject_token_type": TokenType.ACCESS_TOKEN.value,
        "resource": f"{RESOURCE}/{archive}",
    }
    headers = {} if proof is None else {"dpop": proof}
    return await provider.browser.post("/token", data=form, auth=(broker, provider.secrets[broker]), headers=headers)


async def introspect(provider: Provider, archive: str, access_token: str) -> dict[str, Any]:
    """Return what the resource server is told of a token."""
    seen: dict[str, Any] = (await provider.post("/introspect", {"token": access_token}, archive)).json()
    return seen


def prove(provider: Provider, key: Any) -> str:
    """Return a DPoP proof for ``POST /token`` at this moment."""
    claims = {"jti": f"exchange-{next(names)}", "htm": "POST", "htu": f"{ISSUER}/token", "iat": int(provider.now().timestamp())}
    return sign_claims(key, claims, typ="dpop+jwt", kid=None, jwk=key.as_dict(private=False))


async def test_a_bound_token_is_exchanged_by_who_has_its_key(provider: Provider) -> None:
    await provider.services.platform.transients.born_at()
    provider.clock.advance(1)
    broker, archive = await add_broker(provider)
    landing = await provider.authorize(broker, await provider.open_session(await provider.add_person()), scope="openid profile")
    form = {
        "grant_type": "authorization_code",
        "code": landing.code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": landing.verifier,
    }
    auth = (broker, provider.secrets[broker])
    tokens = (await provider.browser.post("/token", data=form, auth=auth, headers={"dpop": prove(provider, KEY)})).json()
    assert tokens["token_type"] == "DPoP"
    for proof in (None, prove(provider, OTHER)):
        refused = await exchange(provider, broker, archive, tokens["access_token"], proof)
        assert (refused.status_code, refused.json().get("error")) == (400, "invalid_request")
    answer = (await exchange(provider, broker, archive, tokens["access_token"], prove(provider, KEY))).json()
    assert answer["token_type"] == "DPoP"
    assert (await introspect(provider, archive, answer["access_token"]))["cnf"] == {"jkt": KEY.thumbprint()}


async def add_app(provider: Provider, **changes: Any) -> tuple[str, str, str]:
    """Register an app with a web view and two resource servers, both of which it may ask for; return all ids."""
    app, *servers = (f"{kind}-{next(names)}" for kind in ("app", "first", "second"))
    for server in servers:
        await provider.add_client(server, resources=(f"{RESOURCE}/{server}",))
    may = RequestDemands(front_ticket_targets=(servers[0],), allowed_resources=tuple(f"{RESOURCE}/{server}" for server in servers))
    grants = ("authorization_code", "refresh_token", EXCHANGE)
    await provider.add_client(app, grant_types=grants, scopes=("profile", "device_sso"), requests=may, **changes)
    return app, servers[0], servers[1]


def describe_ticket(token: str, target: str) -> dict[str, str]:
    """Return the form of an exchange for a front ticket."""
    return {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": TokenType.ACCESS_TOKEN.value,
        "requested_token_type": TokenType.FRONT_TICKET.value,
        "audience": target,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


async def sign_in_public_app(provider: Provider, app: str, proof: str | None = None, **changes: str) -> dict[str, Any]:
    """Return the tokens of a public app that the person let in, bound to the key of ``proof``."""
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize(app, cookies, scope="openid profile device_sso", **changes)
    form = {
        "grant_type": "authorization_code",
        "client_id": app,
        "code": landing.code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": landing.verifier,
    }
    answer = await provider.browser.post("/token", data=form, headers={} if proof is None else {"dpop": proof})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


@pytest.mark.parametrize("for_server", [True, False])
async def test_whoever_was_shown_a_public_apps_token_is_not_the_app(provider: Provider, for_server: bool) -> None:
    app, first, second = await add_app(provider, auth_method=AuthMethod.NONE, application_type=ApplicationType.NATIVE)
    changes = {"resource": f"{RESOURCE}/{first}"} if for_server else {}
    token = (await sign_in_public_app(provider, app, **changes))["access_token"]
    ticket = {**describe_ticket(token, first), "client_id": app}
    other = {**ticket, "requested_token_type": TokenType.ACCESS_TOKEN.value, "resource": f"{RESOURCE}/{second}"}
    del other["audience"]
    for form in (ticket, other):
        answer = await provider.post("/token", form)
        assert (answer.status_code, answer.json().get("error")) == (400, "invalid_request"), form


async def test_a_public_app_exchanges_its_token_with_the_key_of_its_device(provider: Provider) -> None:
    await provider.services.platform.transients.born_at()
    provider.clock.advance(1)
    app, target, _ = await add_app(provider, auth_method=AuthMethod.NONE, application_type=ApplicationType.NATIVE)
    tokens = await sign_in_public_app(provider, app, prove(provider, KEY))
    form = {**describe_ticket(tokens["access_token"], target), "client_id": app}
    for headers in ({}, {"dpop": prove(provider, OTHER)}):
        refused = await provider.browser.post("/token", data=form, headers=headers)
        assert (refused.status_code, refused.json().get("error")) == (400, "invalid_request")
    answer = await provider.browser.post("/token", data=form, headers={"dpop": prove(provider, KEY)})
    assert answer.status_code == 200, answer.text
    entered = await Web(provider).client.get("/enter?" + urlencode({"ticket": answer.json()["access_token"], "code_verifier": VERIFIER}))
    assert entered.status_code == 303


async def test_a_ticket_is_for_the_token_of_the_apps_sign_in_not_for_what_was_made_for_less(provider: Provider) -> None:
    app, first, _ = await add_app(provider)
    cookies = await provider.open_session(await provider.add_person())
    shown = await provider.get_tokens(app, cookies, scope="openid device_sso", resource=f"{RESOURCE}/{first}")
    own = await provider.get_tokens(app, cookies, scope="openid profile device_sso")
    asked = {"grant_type": "refresh_token", "refresh_token": own["refresh_token"], "scope": "openid"}
    narrowed = (await provider.post("/token", asked, app)).json()
    assert narrowed["scope"] == "openid"
    plain = await provider.get_tokens(app, cookies, scope="openid profile")
    for tokens in (shown, narrowed, plain):
        answer = await provider.post("/token", describe_ticket(tokens["access_token"], first), app)
        assert (answer.status_code, answer.json().get("error")) == (400, "invalid_request")
    assert (await provider.post("/token", describe_ticket(own["access_token"], first), app)).status_code == 200


async def test_what_was_exchanged_ends_no_later_than_what_it_was_exchanged_for(provider: Provider) -> None:
    broker, archive = await add_broker(provider)
    tokens = await provider.get_tokens(broker, await provider.open_session(await provider.add_person()), scope="openid profile")
    ends = int(provider.now().timestamp()) + tokens["expires_in"]
    provider.clock.advance(tokens["expires_in"] - 100)
    answer = (await exchange(provider, broker, archive, tokens["access_token"])).json()
    assert answer["expires_in"] <= 100
    assert (await introspect(provider, archive, answer["access_token"]))["exp"] <= ends
    rows = await provider.services.platform.database.fetch("SELECT expires_at FROM grants WHERE audience = $1", f"{RESOURCE}/{archive}")
    assert [row["expires_at"].timestamp() <= ends for row in rows] == [True]
    provider.clock.advance(100)
    assert await introspect(provider, archive, answer["access_token"]) == {"active": False}


async def test_what_was_exchanged_is_left_idle_no_longer_than_what_it_was_exchanged_for(provider: Provider) -> None:
    broker, archive = await add_broker(provider)
    tokens = await provider.get_tokens(broker, await provider.open_session(await provider.add_person()), scope="openid profile")
    await provider.execute("UPDATE grants SET idle_limit = $2 WHERE client_id = $1", broker, IDLE)
    answer = (await exchange(provider, broker, archive, tokens["access_token"])).json()
    provider.clock.advance(IDLE - 1)
    assert (await introspect(provider, archive, answer["access_token"]))["active"] is True
    provider.clock.advance(IDLE)
    assert answer["expires_in"] > 2 * IDLE, "it is idleness that ends it"
    assert await introspect(provider, archive, answer["access_token"]) == {"active": False}


async def make_ticket(provider: Provider) -> tuple[str, Somebody]:
    """Return the address that an app's web view would open, and whose it is; the app is named after ``person.document``."""
    person = await provider.add_person()
    app, target = f"app-{person.document}", f"front-{next(names)}"
    await provider.add_client(target)
    await provider.add_client(
        app,
        grant_types=("authorization_code", "refresh_token", EXCHANGE),
        scopes=("profile", "device_sso"),
        requests=RequestDemands(front_ticket_targets=(target,)),
    )
    tokens = await provider.get_tokens(app, await provider.open_session(person), scope="openid device_sso")
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["access_token"],
        "subject_token_type": TokenType.ACCESS_TOKEN.value,
        "requested_token_type": TokenType.FRONT_TICKET.value,
        "audience": target,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = (await provider.post("/token", form, app)).json()
    return "/enter?" + urlencode({"ticket": answer["access_token"], "code_verifier": VERIFIER}), person


async def test_a_ticket_is_refused_by_a_store_that_may_have_forgotten_its_use(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    await provider.services.platform.transients.born_at()
    address, _ = await make_ticket(provider)
    born = provider.now() + timedelta(seconds=10)
    provider.clock.advance(20)

    async def forget() -> Any:
        return born

    with monkeypatch.context() as patch:
        patch.setattr(provider.services.platform.transients, "born_at", forget)
        assert find_code(await Web(provider).client.get(address)) == "ticket_refused"
        later, _ = await make_ticket(provider)
        assert (await Web(provider).client.get(later)).status_code == 303


@pytest.mark.parametrize("status", ["frozen", "banned", "closing", "closed", "deceased"])
async def test_a_ticket_lets_nobody_in_who_may_not_sign_in_any_more(provider: Provider, status: str) -> None:
    address, person = await make_ticket(provider)
    await provider.execute("UPDATE people SET status = $2 WHERE id = $1", person.person_id, status)
    view = Web(provider)
    assert find_code(await view.client.get(address)) == "ticket_refused"
    assert SESSION not in view.client.cookies


async def test_a_ban_of_the_same_moment_is_before_the_ticket(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    await provider.services.platform.transients.born_at()
    address, person = await make_ticket(provider)
    transients = provider.services.platform.transients
    add_once = transients.add_once

    async def ban_and_add_once(kind: str, key: str, ttl: float) -> bool:
        # The grant was read a moment ago, and its person was active.
        await provider.execute("UPDATE people SET status = 'banned' WHERE id = $1", person.person_id)
        return await add_once(kind, key, ttl)

    monkeypatch.setattr(transients, "add_once", ban_and_add_once)
    view = Web(provider)
    assert find_code(await view.client.get(address)) == "ticket_refused"
    assert SESSION not in view.client.cookies


async def test_a_suspended_app_sends_nobody_in(provider: Provider) -> None:
    address, person = await make_ticket(provider)
    await provider.execute("UPDATE clients SET status = 'suspended' WHERE client_id = $1", f"app-{person.document}")
    assert find_code(await Web(provider).client.get(address)) == "ticket_refused"
