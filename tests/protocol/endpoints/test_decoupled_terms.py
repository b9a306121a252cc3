"""What kiosks (RFC 8628) and counters (CIBA) may ask for besides scopes: resources (RFC 8707), and no authorization details (RFC 9396)."""

import json
from typing import Any

import pytest

from idp.protocol.rules.client_metadata import BackchannelAuthentication, ClientKeys, RequestDemands, TokenFormat
from tests.protocol.endpoints.test_decoupled import CIBA, DEVICE, KEY, poll, sign, sign_in_here
from tests.support.provider import Provider, Somebody

MANDATE = '[{"type":"urn:yizheng:mandate"}]'
CALENDAR, CONTACTS = "https://cal.example.com/", "https://contacts.example.com/"
READING = "https://reading.example.com/"
"""A service that reads its tokens without asking us."""
ALLOWED = RequestDemands(allowed_resources=(CALENDAR, CONTACTS, READING), authorization_details_types=("urn:yizheng:mandate",))
SIGNING: dict[str, Any] = {
    "keys": ClientKeys(jwks=json.dumps({"keys": [KEY.as_dict(private=False)]})),
    "ciba": BackchannelAuthentication(backchannel_authentication_request_signing_alg="ES256"),
}
WAYS = [DEVICE, CIBA, "signed"]


async def begin(provider: Provider, way: str, person: Somebody, **wishes: object) -> Any:
    """Begin as a kiosk or a counter does; return the answer."""
    client = find_client(way)
    if client not in provider.secrets:
        await provider.add_client(client, grant_types=(find_grant(way),), requests=ALLOWED, **(SIGNING if way == "signed" else {}))
    if way == DEVICE:
        return await provider.post("/device_authorization", {"scope": "openid", **wishes}, client)  # type: ignore[dict-item]
    form: dict[str, Any] = {"scope": "openid", "login_hint": person.document, **wishes}
    if way == "signed":
        form = {"request": sign(provider, client, **form)}
    answer = await provider.post("/bc-authorize", form, client)
    await provider.services.afterwards.settle()
    return answer


def find_client(way: str) -> str:
    """Return the client that goes this way."""
    return {DEVICE: "kiosk-of-terms", CIBA: "counter-of-terms"}.get(way, "signing-of-terms")


def find_grant(way: str) -> str:
    """Return the grant that the client polls."""
    return CIBA if way == "signed" else way


async def collect(provider: Provider, way: str, begun: dict[str, str], **wishes: str) -> Any:
    """Poll once; return the answer."""
    name = "device_code" if way == DEVICE else "auth_req_id"
    return await poll(provider, find_client(way), find_grant(way), **{name: begun[name]}, **wishes)


async def agree(provider: Provider, way: str, person: Somebody, begun: dict[str, str]) -> None:
    """Let the person agree at home."""
    web = await sign_in_here(provider, person)
    if way == DEVICE:
        await web.get("/device")
        await web.submit("/device", user_code=begun["user_code"])
    else:
        await web.get("/account/requests")
        await web.submit("/account/requests")
    await web.submit("/approve", answer="approve")


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_asked_for_a_service_is_for_it_alone(provider: Provider, way: str) -> None:
    person = await provider.add_person()
    begun = (await begin(provider, way, person, resource=CALENDAR)).json()
    await agree(provider, way, person, begun)
    for other in (CONTACTS, "https://nobody.example/", "calendar"):
        refused = await collect(provider, way, begun, resource=other)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target"), other
    tokens = (await collect(provider, way, begun)).json()
    told = (await provider.post("/introspect", {"token": tokens["access_token"]}, find_client(way))).json()
    assert (told["active"], told["aud"]) == (True, CALENDAR), "the request was kept until it was answered"
    assert "id_token" in tokens
    refused = await provider.read_userinfo(tokens["access_token"])
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


async def test_a_token_that_is_read_without_us_lives_no_longer_than_any_other(provider: Provider) -> None:
    await provider.add_client("reading-api", resources=(READING,), access_token_format=TokenFormat.JWT)
    person = await provider.add_person()
    begun = (await begin(provider, DEVICE, person, resource=READING)).json()
    await agree(provider, DEVICE, person, begun)
    tokens = (await collect(provider, DEVICE, begun)).json()
    assert tokens["access_token"].count(".") == 2
    assert tokens["expires_in"] == 300


async def test_of_several_services_the_device_names_one_at_the_end(provider: Provider) -> None:
    person = await provider.add_person()
    begun = (await begin(provider, DEVICE, person, resource=[CALENDAR, CONTACTS])).json()
    await agree(provider, DEVICE, person, begun)
    assert (await collect(provider, DEVICE, begun)).json()["error"] == "invalid_target"
    tokens = (await collect(provider, DEVICE, begun, resource=CONTACTS)).json()
    told = (await provider.post("/introspect", {"token": tokens["access_token"]}, find_client(DEVICE))).json()
    assert told["aud"] == CONTACTS


@pytest.mark.parametrize("way", WAYS)
async def test_without_a_service_the_token_is_for_userinfo_and_stays_that(provider: Provider, way: str) -> None:
    person = await provider.add_person()
    begun = (await begin(provider, way, person)).json()
    await agree(provider, way, person, begun)
    assert (await collect(provider, way, begun, resource=CALENDAR)).json()["error"] == "invalid_target", "it was not asked for"
    assert (await provider.read_userinfo((await collect(provider, way, begun)).json()["access_token"])).status_code == 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("resource", ["https://nobody.example/", "calendar", CALENDAR + "#x"])
async def test_a_service_that_is_not_registered_is_refused_at_the_beginning(provider: Provider, way: str, resource: str) -> None:
    answer = await begin(provider, way, await provider.add_person(), resource=resource)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("way", WAYS)
async def test_authorization_details_are_refused_where_nobody_grants_any(provider: Provider, way: str) -> None:
    person = await provider.add_person()
    for text in (MANDATE, '[{"type":"zzz"}]', "["):
        answer = await begin(provider, way, person, authorization_details=text)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details"), text


@pytest.mark.parametrize("grant", [DEVICE, CIBA, "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"])
async def test_authorization_details_are_refused_by_grants_without_any(provider: Provider, grant: str) -> None:
    client = f"no-details-{grant.rpartition(':')[2]}".replace("_", "-")
    await provider.add_client(client, grant_types=(grant,), redirect_uris=(), requests=ALLOWED)
    for text in (MANDATE, '[{"type":"zzz"}]'):
        answer = await provider.post("/token", {"grant_type": grant, "authorization_details": text}, client)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details"), text
