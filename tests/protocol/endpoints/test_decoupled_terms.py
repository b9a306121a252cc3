"""What kiosks (RFC 8628) and counters (CIBA) may ask for besides scopes: no authorization details (RFC 9396)."""

import json
from typing import Any

import pytest

from idp.protocol.rules.client_metadata import BackchannelAuthentication, ClientKeys, RequestDemands
from tests.protocol.endpoints.test_decoupled import CIBA, DEVICE, KEY, sign
from tests.support.provider import Provider, Somebody

MANDATE = '[{"type":"urn:yizheng:mandate"}]'
ALLOWED = RequestDemands(authorization_details_types=("urn:yizheng:mandate",))
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
