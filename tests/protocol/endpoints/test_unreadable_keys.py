"""A client whose answers are encrypted, and whose keys cannot be had: it is told so, and nothing that it sent is spent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from idp.protocol.rules.client import Basis, Entitlement
from idp.protocol.rules.client_metadata import ClientKeys, ResponseProtection
from tests.protocol.endpoints.test_app_entry import add_app
from tests.protocol.endpoints.test_decoupled import CIBA, ask, poll, sign_in_here
from tests.support.client_keys import make_client_key, write_key_set
from tests.support.conformance import Document, serve_document
from tests.support.provider import Provider, run_provider

KEY = make_client_key("ECDH-ES")
DUTY = Entitlement("登记", Basis.STATUTORY_DUTY, ("name",))
ENCRYPTED = ResponseProtection(id_token_encrypted_response_alg="ECDH-ES")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider that may ask this machine."""
    folder: Path = tmp_path_factory.mktemp("provider")
    async with run_provider(service_dsn, folder, IDP_FETCHING__LOOPBACK="true") as running:
        yield running


@pytest_asyncio.fixture(name="published", loop_scope="module")
async def publish_keys() -> AsyncIterator[Document]:
    """Where a client publishes its keys."""
    async with serve_document("application/json") as document:
        document.body = write_key_set(KEY).encode()
        yield document


def check_unreadable(answer: Any) -> None:
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("scope", ["openid", "openid device_sso"])
async def test_a_code_is_good_until_there_is_a_key(provider: Provider, published: Document, scope: str) -> None:
    client = f"unread-{len(scope)}"
    await add_app(provider, client, keys=ClientKeys(jwks_uri=published.address), responses=ENCRYPTED)
    cookies = await provider.open_session(await provider.add_person())
    published.status = 503
    check_unreadable(await provider.redeem(client, await provider.authorize(client, cookies, scope=scope)))
    provider.clock.advance(40)
    landing = await provider.authorize(client, cookies, scope=scope)
    check_unreadable(await provider.redeem(client, landing))
    assert [e for kind in ("token_issued", "app_signed_in") for e in await provider.read_events(kind) if e["client_id"] == client] == []
    published.status = 200
    provider.clock.advance(25)
    answer = await provider.redeem(client, landing)
    assert answer.status_code == 200
    assert KEY.open(answer.json()["id_token"]).count(".") == 2
    assert published.asked == 2


async def test_a_refresh_token_is_good_until_there_is_a_key(provider: Provider, published: Document) -> None:
    await provider.add_client(
        "unread-refresh",
        grant_types=("authorization_code", "refresh_token"),
        keys=ClientKeys(jwks_uri=published.address),
        responses=ENCRYPTED,
    )
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens("unread-refresh", cookies, scope="openid profile")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    published.status = 503
    provider.clock.advance(3_600)
    check_unreadable(await provider.post("/token", form, "unread-refresh"))
    published.status = 200
    provider.clock.advance(65)
    answer = await provider.post("/token", form, "unread-refresh")
    assert answer.status_code == 200
    assert answer.json()["id_token"].count(".") == 4


async def test_an_approval_is_good_until_there_is_a_key(provider: Provider, published: Document) -> None:
    await provider.add_client("unread-counter", grant_types=(CIBA,), keys=ClientKeys(jwks_uri=published.address), responses=ENCRYPTED)
    person = await provider.add_person()
    begun = (await ask(provider, "unread-counter", login_hint=person.document)).json()["auth_req_id"]
    published.status = 503
    waiting = await poll(provider, "unread-counter", CIBA, auth_req_id=begun)
    assert waiting.json()["error"] == "authorization_pending", "nothing is to be encrypted yet"
    web = await sign_in_here(provider, person)
    await web.get("/account/requests")
    await web.submit("/account/requests")
    await web.submit("/approve", answer="approve")
    check_unreadable(await poll(provider, "unread-counter", CIBA, auth_req_id=begun))
    published.status = 200
    provider.clock.advance(60)
    answer = await poll(provider, "unread-counter", CIBA, auth_req_id=begun)
    assert answer.status_code == 200
    assert answer.json()["id_token"].count(".") == 4
    assert (await poll(provider, "unread-counter", CIBA, auth_req_id=begun)).json()["error"] == "invalid_grant", "once"


async def test_a_key_that_does_not_fit_spends_nothing_either(provider: Provider) -> None:
    keys = ClientKeys(jwks=write_key_set(make_client_key("ES256")))
    await provider.add_client("unfit", grant_types=("authorization_code", "client_credentials"), keys=keys, responses=ENCRYPTED)
    landing = await provider.authorize("unfit", await provider.open_session(await provider.add_person()))
    for _ in range(2):
        answer = await provider.redeem("unfit", landing)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    own = await provider.post("/token", {"grant_type": "client_credentials"}, "unfit")
    assert own.status_code == 200, "where there is no ID Token no key is wanted"


async def test_userinfo_says_that_it_is_for_now(provider: Provider, published: Document) -> None:
    responses = ResponseProtection(userinfo_encrypted_response_alg="ECDH-ES")
    await provider.add_client("unread-userinfo", keys=ClientKeys(jwks_uri=published.address), responses=responses, entitlements=(DUTY,))
    tokens = await provider.get_tokens("unread-userinfo", await provider.open_session(await provider.add_person()), scope="openid profile")

    async def count_releases() -> int:
        return [e["client_id"] for e in await provider.read_events("claims_released")].count("unread-userinfo")

    published.status = 503
    check_unreadable(await provider.read_userinfo(tokens["access_token"]))
    assert await count_releases() == 0
    published.status = 200
    provider.clock.advance(60)
    assert "name" in KEY.open((await provider.read_userinfo(tokens["access_token"])).text)
    assert await count_releases() == 1


async def test_nobody_is_let_in_whose_answer_cannot_be_encrypted(provider: Provider, published: Document) -> None:
    responses = ResponseProtection(authorization_encrypted_response_alg="ECDH-ES")
    await provider.add_client("unread-response", keys=ClientKeys(jwks_uri=published.address), responses=responses)
    cookies = await provider.open_session(await provider.add_person())
    published.status = 503
    page = (await provider.authorize("unread-response", cookies, response_mode="jwt")).response
    assert (page.status_code, "location" in page.headers) == (400, False)
    assert [event for event in await provider.read_events("authorized") if event["client_id"] == "unread-response"] == []
    published.status = 200
    provider.clock.advance(60)
    landing = await provider.authorize("unread-response", cookies, response_mode="jwt")
    assert landing.parameters["response"].count(".") == 4
