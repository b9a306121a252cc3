"""Signed request objects (RFC 9101): by the client's own key, for us, of this time, and nothing nested."""

import base64
import json
from typing import Any

import pytest
from joserfc import jws

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.client_metadata import ClientKeys, RequestDemands
from tests.protocol.endpoints.test_pushed_requests import VERIFIER, make_request
from tests.support.client_keys import ClientKey, make_client_key, make_request_object, write_key_set
from tests.support.provider import ISSUER, REDIRECT_URI, Landing, Provider

KEY = make_client_key()
OTHER = make_client_key()


async def add_signing_client(provider: Provider, client_id: str, key: ClientKey = KEY, **demands: Any) -> str:
    """Register a client with a key, once in this module."""
    if client_id not in provider.secrets:
        await provider.add_client(client_id, keys=ClientKeys(jwks=write_key_set(key)), requests=RequestDemands(**demands))
    return client_id


def make_claims(provider: Provider, client: str, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good request object; None removes one."""
    claims = {**make_request_object(client, ISSUER, provider.now(), make_request()), **changes}
    return {name: value for name, value in claims.items() if value is not None}


async def send(provider: Provider, cookies: dict[str, str] | None = None, **parameters: str) -> Landing:
    """Send the browser with these parameters."""
    headers = {"cookie": "; ".join(f"{n}={v}" for n, v in (cookies or {}).items())}
    return Landing(await provider.browser.get("/authorize", params=parameters, headers=headers), VERIFIER)


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "Ed25519", "RS256"])
async def test_a_signed_request_is_honoured(provider: Provider, algorithm: str) -> None:
    # conformance: oidcc-request-object
    key = make_client_key(algorithm)
    client = await add_signing_client(provider, f"signing-{algorithm.lower()}", key)
    cookies = await provider.open_session(await provider.add_person())
    text = key.sign(make_claims(provider, client))
    landing = await send(provider, cookies, client_id=client, request=text)
    assert landing.parameters["state"] == "state-1"
    assert (await provider.redeem(client, landing)).status_code == 200


async def test_what_stands_outside_completes_it_unless_signing_is_demanded(provider: Provider) -> None:
    lenient = await add_signing_client(provider, "completes")
    strict = await add_signing_client(provider, "counts-alone", require_signed_request_object=True)
    cookies = await provider.open_session(await provider.add_person())
    for client, state in ((lenient, "outside"), (strict, None)):
        text = KEY.sign(make_claims(provider, client, state=None))
        landing = await send(provider, cookies, client_id=client, request=text, state="outside", nonce="of the attacker")
        assert landing.parameters.get("state") == state
        tokens = (await provider.redeem(client, landing)).json()
        payload = tokens["id_token"].split(".")[1]
        assert json.loads(base64.urlsafe_b64decode(payload + "=="))["nonce"] == "nonce-1", "the object comes first"


@pytest.mark.parametrize("value", [True, 1.5, "a\nb", [1.5], "x" * 3_000])
async def test_what_no_server_of_ours_reads_is_ignored(provider: Provider, value: object) -> None:
    client = await add_signing_client(provider, "says-more")
    text = KEY.sign(make_claims(provider, client, x_more=value))
    cookies = await provider.open_session(await provider.add_person())
    landing = await send(provider, cookies, client_id=client, request=text)
    assert "code" in landing.parameters, landing.parameters
    assert (await provider.post("/par", {"request": text}, client)).status_code == 201


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("another issuer", {"iss": "somebody"}),
    ("another audience", {"aud": "https://elsewhere.example"}),
    ("several audiences, none of them us", {"aud": ["https://elsewhere.example"]}),
    ("expired", {"exp": -11}),
    ("not valid yet", {"nbf": 60}),
    ("no number", {"exp": "tomorrow"}),
    ("a truth", {"nbf": True}),
    ("nested", {"request": "e30.e30.e30"}),
    ("nested by reference", {"request_uri": "https://department.example/r"}),
    ("of another client", {"client_id": "somebody"}),
    ("a parameter of no type", {"state": 1.5}),
    ("a control character", {"state": "a\nb"}),
    ("too long a parameter", {"state": "x" * 2_001}),
]


@pytest.mark.parametrize(("what", "changes"), WRONG, ids=[what for what, _ in WRONG])
async def test_a_wrong_object_is_told_to_the_client(provider: Provider, what: str, changes: dict[str, Any]) -> None:
    client = await add_signing_client(provider, "signed-wrong")
    cookies = await provider.open_session(await provider.add_person())
    now = int(provider.now().timestamp())
    moved = {name: now + value if name in ("exp", "nbf") and type(value) is int else value for name, value in changes.items()}
    text = KEY.sign(make_claims(provider, client, **moved))
    landing = await send(provider, cookies, client_id=client, request=text, redirect_uri=REDIRECT_URI, state="s")
    assert (landing.parameters["error"], landing.parameters["state"]) == ("invalid_request_object", "s"), what


@pytest.mark.parametrize("missing", ["iss", "aud", "exp", "nbf"])
async def test_where_signing_is_demanded_nothing_may_be_missing(provider: Provider, missing: str) -> None:
    client = await add_signing_client(provider, "signed-strict", require_signed_request_object=True)
    response = await provider.post("/par", {"request": KEY.sign(make_claims(provider, client, **{missing: None}))}, client)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request_object")


@pytest.mark.parametrize(
    ("nbf", "exp", "status"), [(8, 300, 201), (60, 300, 400), (-3_500, 60, 201), (-3_601, 60, 400), (-1_800, 1_900, 400)]
)
async def test_where_signing_is_demanded_times_are_narrow(provider: Provider, nbf: int, exp: int, status: int) -> None:
    # conformance: fapi2-message-signing-final-ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted
    client = await add_signing_client(provider, "signed-strict", require_signed_request_object=True)
    now = int(provider.now().timestamp())
    text = KEY.sign(make_claims(provider, client, nbf=now + nbf, exp=now + exp))
    assert (await provider.post("/par", {"request": text}, client)).status_code == status


async def test_a_request_that_is_not_signed_is_refused_where_it_must_be(provider: Provider) -> None:
    client = await add_signing_client(provider, "signed-strict", require_signed_request_object=True)
    assert (await provider.authorize(client)).parameters["error"] == "invalid_request"
    response = await provider.post("/par", make_request(), client)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def forge(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """Return three base64url parts."""
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join([*(encode_base64url(part) for part in parts), signature])


async def test_no_trick_with_the_header_helps(provider: Provider) -> None:
    # conformance: fapi2-message-signing-final-ensure-signed-request-object-with-RS256-fails, ...-bad-signature
    client = await add_signing_client(provider, "signed-tricks", request_object_signing_alg="ES256")
    claims = make_claims(provider, client)
    good = KEY.sign(claims)
    rsa = make_client_key("RS256")
    tricks = {
        "another key": OTHER.sign(claims, kid=KEY.key.thumbprint()),
        "an algorithm it is not registered for": rsa.sign(claims),
        "a secret": forge({"alg": "HS256"}, claims, "AAAA"),
        "an altered claim": ".".join(
            [good.split(".")[0], encode_base64url(json.dumps({**claims, "scope": "openid phone"}).encode()), good.split(".")[2]]
        ),
        "a key of its own": KEY.sign(claims, jwk=KEY.public),
        "an address of a key": KEY.sign(claims, jku="https://department.example/keys"),
        "another type": KEY.sign(claims, typ="dpop+jwt"),
        "a compressed one": forge({"alg": "ES256", "kid": KEY.key.thumbprint(), "zip": "DEF"}, claims, good.split(".")[2]),
        "no JWT": "e30",
        "five parts": "a.b.c.d.e",
        "a name twice": good.split(".")[0] + "." + encode_base64url(b'{"iss":"a","iss":"b"}') + "." + good.split(".")[2],
        "nested deep": good.split(".")[0] + "." + encode_base64url(b'{"a":' * 40 + b"1" + b"}" * 40) + "." + good.split(".")[2],
    }
    for trick, text in tricks.items():
        landing = await send(provider, None, client_id=client, request=text, redirect_uri=REDIRECT_URI)
        assert landing.parameters["error"] == "invalid_request_object", trick
    assert (await send(provider, None, client_id=client, request=good, redirect_uri=REDIRECT_URI)).location.startswith("/continue")


async def test_an_unsigned_object_is_refused_and_never_ignored(provider: Provider) -> None:
    # conformance: oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported
    client = await add_signing_client(provider, "unsigned")
    strict = await add_signing_client(provider, "signed-strict", require_signed_request_object=True)
    for one, error in ((client, "request_not_supported"), (strict, "invalid_request_object")):
        text = forge({"alg": "none"}, make_claims(provider, one))
        landing = await send(provider, None, client_id=one, request=text, redirect_uri=REDIRECT_URI)
        assert landing.parameters["error"] == error


async def test_a_wrong_object_without_an_address_is_a_page(provider: Provider) -> None:
    client = await add_signing_client(provider, "signed-nowhere")
    response = (await send(provider, None, client_id=client, request="e30")).response
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_a_reference_that_nobody_registered_is_refused(provider: Provider) -> None:
    # conformance: oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported
    client = await add_signing_client(provider, "by-reference")
    landing = await send(provider, None, client_id=client, request_uri="https://department.example/r", redirect_uri=REDIRECT_URI)
    assert landing.parameters["error"] == "invalid_request_uri"


@pytest.mark.parametrize("instant", ["exp", "nbf", "iat"])
async def test_an_instant_beyond_all_numbers_is_refused(provider: Provider, instant: str) -> None:
    client = await add_signing_client(provider, "endless")
    endless = 10**400
    body = json.dumps({**make_claims(provider, client), instant: endless}).replace(str(endless), "1e999")
    header = {"alg": KEY.algorithm, "kid": KEY.key.thumbprint(), "typ": "oauth-authz-req+jwt"}
    text = jws.serialize_compact(header, body.encode(), KEY.key)
    landing = await send(provider, client_id=client, redirect_uri=REDIRECT_URI, request=text)
    assert landing.parameters["error"] == "invalid_request_object"


@pytest.mark.parametrize("name", ["state", "nonce", "login_hint", "claims", "authorization_details", "unknown"])
@pytest.mark.parametrize("path", ["/authorize", "/par"])
async def test_half_of_a_surrogate_pair_is_refused(provider: Provider, name: str, path: str) -> None:
    client = await add_signing_client(provider, "halved")
    text = KEY.sign(make_claims(provider, client, **{name: "\ud800"}))
    if path == "/par":
        answer = await provider.post(path, {"request": text}, client)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request_object")
        return
    for cookies in (None, await provider.open_session(await provider.add_person())):
        landing = await send(provider, cookies, client_id=client, redirect_uri=REDIRECT_URI, request=text)
        assert landing.parameters["error"] == "invalid_request_object"
