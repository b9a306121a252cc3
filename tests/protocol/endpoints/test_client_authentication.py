"""Who speaks: each method by its RFC, one at a time, and every way in which somebody pretends (RFC 6749 §2.3, RFC 7523, RFC 8705)."""

import hmac
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from idp.app import build_app
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import ClientKeys, Profile, RequestDemands, TlsIdentity
from tests.support.certificates import Certified, ThroughProxy, make_certificate
from tests.support.documents import ROOT, find_blocks, read
from tests.support.foreign import encode_part, sign_claims
from tests.support.provider import ISSUER, Provider, run_provider

MTLS = "https://mtls.id.example"
SOCKET = "/run/yizheng/mtls.sock"
EC: Any = ECKey.generate_key("P-256", {"kid": "ec"}, auto_kid=False)
OTHER: Any = ECKey.generate_key("P-256", {"kid": "ec"}, auto_kid=False)
RSA: Any = RSAKey.generate_key(2048, {"kid": "rsa"}, auto_kid=False)
ED: Any = OKPKey.generate_key("Ed25519", {"kid": "ed"}, auto_kid=False)
JWKS = json.dumps({"keys": [key.as_dict(private=False) for key in (EC, RSA, ED)]})
KEYS: dict[str, Any] = {"ES256": EC, "PS256": RSA, "RS256": RSA, "EdDSA": ED, "Ed25519": ED}
CREDENTIALS = {"grant_types": frozenset({"client_credentials"}), "redirect_uris": ()}
names = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider with a socket on which a proxy tells certificates."""
    settings = {"IDP_MTLS__ORIGIN": MTLS, "IDP_MTLS__SOCKET": SOCKET}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), **settings) as running:
        await running.services.platform.transients.born_at()
        running.clock.advance(60)
        yield running


async def add_signer(provider: Provider, **changes: Any) -> str:
    """Register a client that authenticates by private_key_jwt."""
    given: dict[str, Any] = {**CREDENTIALS, "auth_method": AuthMethod.PRIVATE_KEY_JWT, "keys": ClientKeys(jwks=JWKS), **changes}
    return await provider.add_client(f"signer-{next(names)}", **given)


def make_claims(provider: Provider, client_id: str, **changes: Any) -> dict[str, Any]:
    now = int(provider.clock().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": f"jti-{next(names)}", "iat": now, "exp": now + 60, **changes}
    return {name: value for name, value in claims.items() if value is not None}


async def ask(provider: Provider, assertion: str, **form: str) -> httpx2.Response:
    given = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **form}
    return await provider.post("/token", given)


async def read_reasons(provider: Provider, client_id: str) -> set[str]:
    events = await provider.read_events("client_refused")
    return {json.loads(event["details"])["reason"] for event in events if event["client_id"] == client_id}


def expect_refused(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.json()["error_description"] == "Client authentication failed."


# -------------------------------------------------------------------------------------------------------- private_key_jwt


@pytest.mark.parametrize("algorithm", KEYS)
async def test_private_key_jwt(provider: Provider, algorithm: str) -> None:
    client = await add_signer(provider)
    answer = await ask(provider, sign_claims(KEYS[algorithm], make_claims(provider, client), algorithm))
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "Bearer"
    named = await ask(provider, sign_claims(KEYS[algorithm], make_claims(provider, client), algorithm), client_id=client)
    assert named.status_code == 200, named.text


async def test_the_guides_program_for_authlib(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of docs/integration/proving.md, with another key file and the issuer of the test."""
    [block] = [body for _, body in find_blocks(read(ROOT / "docs/integration/proving.md")) if "PrivateKeyJWT" in body]
    (tmp_path / "key.pem").write_bytes(EC.as_pem(private=True))
    program = {"https://id.example.gov.cn": ISSUER, "/etc/real-estate/key.pem": str(tmp_path / "key.pem"), "2026-1": "ec"}
    for printed, ours in program.items():
        assert printed in block
        block = block.replace(printed, ours)
    await provider.add_client("real-estate", **CREDENTIALS, auth_method=AuthMethod.PRIVATE_KEY_JWT, keys=ClientKeys(jwks=JWKS))
    bound: dict[str, Any] = {}
    exec(compile(block, "proving.md", "exec"), bound)
    app = bound["oauth"].create_client("yizheng")
    session = app.client_cls(client_id=app.client_id, client_secret=app.client_secret, **app.client_kwargs)
    monkeypatch.setattr("authlib.oauth2.rfc7523.assertion.time", SimpleNamespace(time=lambda: provider.clock().timestamp()))
    method = session.client_auth(session.token_endpoint_auth_method)
    _, _, body = method.prepare("POST", f"{ISSUER}/token", {}, "grant_type=client_credentials")
    answer = await provider.browser.post("/token", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"sub": "another"},
        {"iss": None},
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}/token"},
        {"aud": [ISSUER]},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": []},
        {"aud": {"a": 1}},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 257},
        {"jti": "a\x00b"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": -1},
        {"iat": "now"},
        {"nbf": []},
    ],
    ids=str,
)
async def test_claims_that_do_not_count(provider: Provider, changes: dict[str, Any]) -> None:
    client = await add_signer(provider)
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, client, **changes)), client_id=client))


@pytest.mark.parametrize(
    "iat, exp, nbf, good",
    [
        (0, 60, None, True),
        (0, 61, None, False),
        (9, 69, None, True),
        (11, 60, None, False),
        (-60, -9, None, True),
        (-60, -10, None, False),
        (-30, 30, None, True),
        (None, 60, None, True),
        (None, 70, None, True),
        (None, 71, None, False),
        (0, 60, 8, True),
        (0, 60, 60, False),
    ],
)
async def test_times(provider: Provider, iat: int | None, exp: int, nbf: int | None, good: bool) -> None:
    client, now = await add_signer(provider), int(provider.clock().timestamp())
    claims = make_claims(provider, client, iat=None if iat is None else now + iat, exp=now + exp, nbf=None if nbf is None else now + nbf)
    answer = await ask(provider, sign_claims(EC, claims))
    assert (answer.status_code == 200) is good, answer.text


async def test_an_assertion_counts_once(provider: Provider) -> None:
    client, other = await add_signer(provider), await add_signer(provider)
    claims = make_claims(provider, client)
    assert (await ask(provider, sign_claims(EC, claims))).status_code == 200
    expect_refused(await ask(provider, sign_claims(EC, claims)))
    assert await read_reasons(provider, client) == {"assertion: used before"}
    expect_refused(await ask(provider, sign_claims(RSA, claims, "PS256")))
    assert (await ask(provider, sign_claims(EC, make_claims(provider, other, jti=claims["jti"])))).status_code == 200
    # A bad one does not use up its name.
    again = make_claims(provider, client)
    expect_refused(await ask(provider, sign_claims(OTHER, again)))
    assert (await ask(provider, sign_claims(EC, again))).status_code == 200


async def test_what_is_older_than_the_memory_of_names_is_refused(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await add_signer(provider)
    claims = make_claims(provider, client)
    born = provider.clock() + timedelta(seconds=5)

    async def forget() -> datetime:
        return born

    monkeypatch.setattr(provider.services.platform.transients, "born_at", forget)
    expect_refused(await ask(provider, sign_claims(EC, claims)))
    assert await read_reasons(provider, client) == {"assertion: older than our memory"}


async def test_signatures_that_do_not_hold(provider: Provider) -> None:
    client = await add_signer(provider)

    def claims() -> dict[str, Any]:
        return make_claims(provider, client)

    pem = RSA.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    message = f"{encode_part(json.dumps({'alg': 'HS256', 'kid': 'rsa'}).encode())}.{encode_part(json.dumps(claims()).encode())}"
    good = sign_claims(EC, claims())
    for assertion in (
        sign_claims(OTHER, claims()),
        sign_claims(EC, claims(), kid="unknown"),
        sign_claims(EC, claims(), kid="rsa"),
        f"{message}.{encode_part(hmac.digest(pem, message.encode(), 'sha256'))}",
        f"{encode_part(json.dumps({'alg': 'none'}).encode())}.{encode_part(json.dumps(claims()).encode())}.",
        good.rpartition(".")[0] + ".",
        sign_claims(EC, claims(), jku="https://department.example/keys"),
        sign_claims(EC, claims(), jwk=OTHER.as_dict(private=False)),
        sign_claims(EC, claims(), crit=["exp"]),
        sign_claims(EC, sign_claims(EC, claims()).encode(), cty="JWT"),
        sign_claims(EC, json.dumps(claims())[:-1].encode() + b',"sub":"x"}'),
        "",
        "a.b.c",
    ):
        expect_refused(await ask(provider, assertion, client_id=client))
    assert (await ask(provider, good)).status_code == 200, "nothing above used it up"
    long = await ask(provider, sign_claims(EC, {**claims(), "more": "x" * 20_000}))
    assert (long.status_code, long.json()["error"]) == (400, "invalid_request")


TYPES = ("JWT", "jwt", "application/jwt", "client-authentication+jwt", "application/Client-Authentication+JWT", "")
FOREIGN_TYPES = (
    "oauth-authz-req+jwt",
    "logout+jwt",
    "dpop+jwt",
    "at+jwt",
    "application/oauth-authz-req+jwt",
    "JOSE",
    "client-authentication",
)


async def test_another_kind_of_jwt_is_no_assertion(provider: Provider) -> None:
    """RFC 8725 §3.11: of what a client signs, each kind is one thing only."""
    signer = await add_signer(provider)
    keeping = await provider.add_client(f"kinds-{next(names)}", **CREDENTIALS, auth_method=AuthMethod.SECRET_JWT, keeps_secret=True)
    secret: Any = OctKey.import_key({"kty": "oct", "k": encode_part(provider.secrets[keeping].encode())})
    for client, key, algorithm in ((signer, EC, "ES256"), (keeping, secret, "HS256")):
        for typ in TYPES:
            assert (await ask(provider, sign_claims(key, make_claims(provider, client), algorithm, typ=typ))).status_code == 200, typ
        for typ in FOREIGN_TYPES:
            expect_refused(await ask(provider, sign_claims(key, make_claims(provider, client), algorithm, typ=typ)))
    assert await read_reasons(provider, signer) == {"assertion: another type of token"}


async def test_the_registered_algorithm_is_the_only_one(provider: Provider) -> None:
    client = await add_signer(provider, requests=RequestDemands(token_endpoint_auth_signing_alg="PS256"))
    assert (await ask(provider, sign_claims(RSA, make_claims(provider, client), "PS256"))).status_code == 200
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, client))))
    expect_refused(await ask(provider, sign_claims(RSA, make_claims(provider, client), "RS256")))


async def test_a_flagged_legacy_client_may_name_the_token_endpoint(provider: Provider) -> None:
    client = await add_signer(provider, requests=RequestDemands(accepts_endpoint_audience=True))
    for audience in (ISSUER, f"{ISSUER}/token", f"{MTLS}/token", [f"{ISSUER}/token"], [ISSUER, f"{ISSUER}/token"]):
        assert (await ask(provider, sign_claims(EC, make_claims(provider, client, aud=audience)))).status_code == 200
    wrongs: list[Any] = ["https://other.example/token", [ISSUER, "https://other.example"], [], f"{ISSUER}/introspect", [1]]
    for audience in wrongs:
        expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, client, aud=audience))))


async def test_nobody_speaks_for_another(provider: Provider) -> None:
    client, other = (
        await add_signer(provider),
        await add_signer(provider, keys=ClientKeys(jwks=json.dumps({"keys": [OTHER.as_dict(private=False)]}))),
    )
    claims = make_claims(provider, client)
    expect_refused(await ask(provider, sign_claims(EC, claims), client_id=other))
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, other))))
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, "unknown"))))
    expect_refused(await ask(provider, sign_claims(EC, claims), client_assertion_type="urn:ietf:params:oauth:grant-type:jwt-bearer"))
    expect_refused(await provider.post("/token", {"grant_type": "client_credentials", "client_assertion": sign_claims(EC, claims)}))
    expect_refused(await provider.post("/token", {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}))


async def test_keys_that_cannot_be_read(provider: Provider) -> None:
    client = await add_signer(provider, keys=ClientKeys(jwks_uri="https://127.0.0.1/jwks"))
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, client))))
    assert await read_reasons(provider, client) == {"the client's keys cannot be read: network"}


# ----------------------------------------------------------------------------------------------------------- one method


async def test_exactly_one_method_and_it_is_the_registered_one(provider: Provider) -> None:
    signer = await add_signer(provider)
    keeping = await provider.add_client(f"keeping-{next(names)}", **CREDENTIALS, auth_method=AuthMethod.SECRET_JWT, keeps_secret=True)
    secret = await provider.add_client(f"secret-{next(names)}", **CREDENTIALS)
    posting = await provider.add_client(f"posting-{next(names)}", **CREDENTIALS, auth_method=AuthMethod.SECRET_POST)
    public = await provider.add_client(f"public-{next(names)}", auth_method=AuthMethod.NONE)
    form = {"grant_type": "client_credentials"}
    assertion = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(EC, make_claims(provider, signer))}
    for twice in (
        await provider.post("/token", {**form, **assertion}, secret),
        await provider.post("/token", {**form, **assertion, "client_secret": "x"}),
        await provider.post("/token", {**form, "client_id": secret, "client_secret": provider.secrets[secret]}, secret),
        await provider.post("/token", {**form, "client_id": posting}, secret),
    ):
        assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    for wrong in (
        await provider.post("/token", {**form, "client_id": secret, "client_secret": "x"}),
        await provider.post("/token", form, posting, "x"),
        await provider.post("/token", {**form, "client_id": secret}),
        await provider.post("/token", {**form, "client_id": posting}),
        await provider.post("/token", {**form, "client_id": keeping, "client_secret": provider.secrets[keeping]}),
        await provider.post("/token", form, keeping),
        await provider.post("/token", {**form, "client_id": signer}),
        await provider.post("/token", {**form, "client_id": signer, "client_secret": "x"}),
        await provider.post("/token", {**form, "client_id": public, "client_secret": "x"}),
        await provider.post("/token", form),
    ):
        expect_refused(wrong)
    assert (await provider.post("/token", {**form, **assertion})).status_code == 200
    assert (await provider.post("/token", form, secret)).status_code == 200
    posted = {**form, "client_id": posting, "client_secret": provider.secrets[posting]}
    assert (await provider.post("/token", posted)).status_code == 200


@pytest.mark.parametrize("method", [AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST])
async def test_a_secret_counts_in_the_header_and_in_the_form(provider: Provider, method: AuthMethod) -> None:
    client = await provider.add_client(f"either-{next(names)}", **CREDENTIALS, auth_method=method)
    form = {"grant_type": "client_credentials"}
    posted = {"client_id": client, "client_secret": provider.secrets[client]}
    assert (await provider.post("/token", form, client)).status_code == 200
    token = (await provider.post("/token", {**form, **posted})).json()["access_token"]
    for endpoint in ("/introspect", "/revoke"):
        assert (await provider.post(endpoint, {"token": token}, client)).status_code == 200
        assert (await provider.post(endpoint, {"token": token, **posted})).status_code == 200
    twice = await provider.post("/token", {**form, **posted}, client)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")


async def test_client_secret_jwt(provider: Provider) -> None:
    client = await provider.add_client(f"hmac-{next(names)}", **CREDENTIALS, auth_method=AuthMethod.SECRET_JWT, keeps_secret=True)
    key: Any = OctKey.import_key({"kty": "oct", "k": encode_part(provider.secrets[client].encode())})
    claims = make_claims(provider, client)
    assert (await ask(provider, sign_claims(key, claims, "HS256"))).status_code == 200
    expect_refused(await ask(provider, sign_claims(key, claims, "HS256")))
    wrong: Any = OctKey.import_key({"kty": "oct", "k": encode_part(bytes(43))})
    expect_refused(await ask(provider, sign_claims(wrong, make_claims(provider, client), "HS256")))
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, client))))
    expect_refused(await ask(provider, sign_claims(key, make_claims(provider, client), "HS512")))
    expect_refused(await provider.post("/token", {"grant_type": "client_credentials"}, client))
    signer = await add_signer(provider)
    expect_refused(await ask(provider, sign_claims(key, make_claims(provider, signer), "HS256")))


async def test_fapi2_takes_only_its_own_methods(provider: Provider) -> None:
    """A registration from before the profile counts no more than the profile allows."""
    bound = RequestDemands(dpop_bound_access_tokens=True)
    client = await add_signer(provider, requests=bound)
    await set_document(provider, client, profile=Profile.FAPI2.value, auth_method=AuthMethod.SECRET_BASIC.value)
    expect_refused(await provider.post("/token", {"grant_type": "client_credentials"}, client, "x" * 43))
    expect_refused(await provider.post("/token", {"grant_type": "client_credentials", "client_id": client, "client_secret": "x" * 43}))
    assert await read_reasons(provider, client) == {"client_secret_basic does not fit the profile"}
    fapi = await add_signer(provider, requests=bound, profile=Profile.FAPI2)
    expect_refused(await ask(provider, sign_claims(RSA, make_claims(provider, fapi), "RS256")))
    expect_refused(await ask(provider, sign_claims(EC, make_claims(provider, fapi, aud=f"{ISSUER}/token"))))
    unbound = await ask(provider, sign_claims(EC, make_claims(provider, fapi)))
    assert (unbound.status_code, unbound.json()["error"]) == (400, "invalid_request")


async def set_document(provider: Provider, client_id: str, **values: str) -> None:
    statement = "UPDATE clients SET document = (document::jsonb || $2::text::jsonb)::text, version = version + 1 WHERE client_id = $1"
    await provider.execute(statement, client_id, json.dumps(values))
    provider.services.directory.forget(client_id)


# ---------------------------------------------------------------------------------------------------------------- certificates


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(provider: Provider) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=ThroughProxy(build_app(provider.services), SOCKET), base_url=MTLS) as client:
        yield client


async def ask_by_certificate(
    proxy: httpx2.AsyncClient, client_id: str, told: Certified | str | None, verified: str = "SUCCESS", **form: str
) -> httpx2.Response:
    headers = {"x-client-cert-verify": verified}
    if told is not None:
        headers["client-cert"] = told if isinstance(told, str) else told.header
    return await proxy.post("/token", data={"grant_type": "client_credentials", "client_id": client_id, **form}, headers=headers)


NAMES = [
    x509.DNSName("hall.example"),
    x509.UniformResourceIdentifier("https://hall.example/client"),
    x509.RFC822Name("hall@example.gov.cn"),
    x509.IPAddress(ip_address("192.0.2.9")),
]


def name_certificate(field: str, name: str) -> TlsIdentity:
    named: dict[str, Any] = {field: name}
    return TlsIdentity(**named)


@pytest.mark.parametrize(
    "field, good, bad",
    [
        ("tls_client_auth_subject_dn", "CN=hall,O=示例省,C=CN", "CN=hall,C=CN,O=示例省"),
        ("tls_client_auth_subject_dn", "CN=hall,O=示例省,C=CN", "no name"),
        ("tls_client_auth_san_dns", "hall.example", "example"),
        ("tls_client_auth_san_dns", "HALL.example", "*.example"),
        ("tls_client_auth_san_uri", "https://hall.example/client", "https://hall.example/Client"),
        ("tls_client_auth_san_ip", "192.0.2.9", "192.0.2.10"),
        ("tls_client_auth_san_email", "hall@example.gov.cn", "hall@example"),
    ],
)
async def test_tls_client_auth(provider: Provider, proxy: httpx2.AsyncClient, field: str, good: str, bad: str) -> None:
    certificate = make_certificate(names=NAMES)
    given = {**CREDENTIALS, "auth_method": AuthMethod.TLS}
    client = await provider.add_client(f"tls-{next(names)}", **given, tls=name_certificate(field, good))
    other = await provider.add_client(f"tls-{next(names)}", **given, tls=name_certificate(field, bad))
    answer = await ask_by_certificate(proxy, client, certificate)
    assert answer.status_code == 200, answer.text
    expect_refused(await ask_by_certificate(proxy, other, certificate))
    assert await read_reasons(provider, other) == {"the certificate has another name"}
    expect_refused(await ask_by_certificate(proxy, client, make_certificate("other")))
    for verified in ("NONE", "FAILED:self signed certificate", "success", ""):
        expect_refused(await ask_by_certificate(proxy, client, certificate, verified))
    expect_refused(await ask_by_certificate(proxy, client, None))
    expect_refused(await ask_by_certificate(proxy, client, make_certificate(names=NAMES, days=(-9, -2))))
    expect_refused(await ask_by_certificate(proxy, client, make_certificate(names=NAMES, days=(2, 9))))


async def test_self_signed_tls_client_auth(provider: Provider, proxy: httpx2.AsyncClient) -> None:
    certificate, stranger = make_certificate(), make_certificate()
    given = {**CREDENTIALS, "auth_method": AuthMethod.SELF_SIGNED_TLS}
    client = await provider.add_client(
        f"self-{next(names)}", **given, keys=ClientKeys(jwks=json.dumps({"keys": [certificate.jwk, EC.as_dict(private=False)]}))
    )
    assert (await ask_by_certificate(proxy, client, certificate, "FAILED:self-signed certificate")).status_code == 200
    expect_refused(await ask_by_certificate(proxy, client, stranger))
    expect_refused(await ask_by_certificate(proxy, client, None))
    unreadable = await provider.add_client(f"self-{next(names)}", **given, keys=ClientKeys(jwks_uri="https://127.0.0.1/jwks"))
    expect_refused(await ask_by_certificate(proxy, unreadable, certificate))


@pytest.mark.parametrize(
    "told", ["", ":", "::", "AAAA", ":AAAA:", ":not base64!:", ":" + "A" * 30_000 + ":", "-----BEGIN%20CERTIFICATE-----"]
)
async def test_headers_that_are_no_certificate(provider: Provider, proxy: httpx2.AsyncClient, told: str) -> None:
    client = await provider.add_client(
        f"tls-{next(names)}", **CREDENTIALS, auth_method=AuthMethod.TLS, tls=TlsIdentity(tls_client_auth_san_dns="hall.example")
    )
    expect_refused(await ask_by_certificate(proxy, client, told))


async def test_a_certificate_header_counts_from_the_proxy_alone(provider: Provider, proxy: httpx2.AsyncClient) -> None:
    certificate = make_certificate(names=NAMES)
    tls = TlsIdentity(tls_client_auth_san_dns="hall.example", tls_client_certificate_bound_access_tokens=True)
    client = await provider.add_client(f"tls-{next(names)}", **CREDENTIALS, auth_method=AuthMethod.TLS, tls=tls)
    form = {"grant_type": "client_credentials", "client_id": client}
    headers = {"client-cert": certificate.header, "x-client-cert-verify": "SUCCESS"}
    expect_refused(await provider.browser.post("/token", data=form, headers=headers))
    assert await read_reasons(provider, client) == {"no certificate"}
    assert (await proxy.post("/token", data=form, headers=headers)).status_code == 200
    twice = [("client-cert", certificate.header), ("client-cert", certificate.header), ("x-client-cert-verify", "SUCCESS")]
    expect_refused(await proxy.post("/token", data=form, headers=twice))
    # Programs come this way, people do not, and each way has its own name.
    for path in ("/authorize", "/sign-in", "/register", "/account", "/static/x/y", "/healthz"):
        assert (await proxy.get(path)).status_code == 404
    assert (await proxy.post("/token", data=form, headers={**headers, "host": "127.0.0.1:8000"})).status_code == 421
    assert (await provider.browser.post("/token", data=form, headers={**headers, "host": "mtls.id.example"})).status_code == 421


async def test_the_metadata_names_the_methods_and_the_other_address(provider: Provider) -> None:
    document = (await provider.browser.get("/.well-known/openid-configuration")).json()
    assert document["mtls_endpoint_aliases"]["token_endpoint"] == f"{MTLS}/token"
    assert set(document["mtls_endpoint_aliases"]) <= set(document)
    assert {"tls_client_auth", "self_signed_tls_client_auth", "private_key_jwt", "client_secret_jwt"} <= set(
        document["token_endpoint_auth_methods_supported"]
    )
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert "none" not in document["token_endpoint_auth_signing_alg_values_supported"]
    assert document["dpop_signing_alg_values_supported"][0] == "ES256"
    assert "HS256" not in document["dpop_signing_alg_values_supported"]


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke", "/par", "/device_authorization", "/bc-authorize"])
async def test_two_authorization_headers_are_refused(provider: Provider, path: str) -> None:
    client = await provider.add_client(f"headers-{next(names)}", **CREDENTIALS)
    basic = httpx2.BasicAuth(client, provider.secrets[client])._auth_header
    headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", basic), ("authorization", "Basic other")]
    answer = await provider.browser.post(path, content=b"grant_type=client_credentials", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["error_description"] == "There are several Authorization headers."
