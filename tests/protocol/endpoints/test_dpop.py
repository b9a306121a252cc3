"""DPoP (RFC 9449): proofs that hold, everything that does not, and tokens that are worth nothing without their key."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from idp.protocol.rules.client_metadata import ClientKeys, Profile, RequestDemands, TokenFormat
from tests.support.foreign import encode_part, sign_claims
from tests.support.provider import ISSUER, REDIRECT_URI, Provider, run_provider

KEY: Any = ECKey.generate_key("P-256", auto_kid=False)
OTHER: Any = ECKey.generate_key("P-256", auto_kid=False)
RSA: Any = RSAKey.generate_key(2048, auto_kid=False)
ED: Any = OKPKey.generate_key("Ed25519", auto_kid=False)
CLIENT_KEY: Any = ECKey.generate_key("P-256", {"kid": "client"}, auto_kid=False)
JWKS = json.dumps({"keys": [CLIENT_KEY.as_dict(private=False)]})
names = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider")) as running:
        await running.services.platform.transients.born_at()
        running.clock.advance(120)
        await running.add_client("machine", grant_types=frozenset({"client_credentials"}), redirect_uris=())
        await running.add_client("web", grant_types=frozenset({"authorization_code", "refresh_token"}))
        public = {"auth_method": AuthMethod.NONE, "grant_types": frozenset({"authorization_code", "refresh_token"})}
        await running.add_client("app", **public)
        await running.add_client("bound-app", **public, requests=RequestDemands(dpop_bound_access_tokens=True))
        yield running


def prove(provider: Provider, key: Any = KEY, /, *, algorithm: str = "ES256", header: Any = None, **changes: Any) -> str:
    """Return a proof for ``POST /token`` at this moment; a claim or header member None is left out."""
    claims = {"jti": f"proof-{next(names)}", "htm": "POST", "htu": f"{ISSUER}/token", "iat": int(provider.clock().timestamp()), **changes}
    head = {"typ": "dpop+jwt", "kid": None, "jwk": key.as_dict(private=False), **(header or {})}
    return sign_claims(key, {name: value for name, value in claims.items() if value is not None}, algorithm, **head)


def find_hash(access_token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()


async def ask(provider: Provider, proof: Any, client_id: str = "machine", **form: str) -> httpx2.Response:
    proofs = [proof] if isinstance(proof, str) else proof
    given = {"grant_type": "client_credentials", **form}
    auth: Any = (client_id, provider.secrets[client_id]) if provider.secrets.get(client_id) else None
    if auth is None and "client_assertion" not in given:
        given["client_id"] = client_id
    return await provider.browser.post("/token", data=given, auth=auth, headers=[("dpop", text) for text in proofs])


async def read_userinfo(provider: Provider, access_token: str, proof: Any = None, scheme: str = "DPoP", **more: Any) -> httpx2.Response:
    proofs = [] if proof is None else [proof] if isinstance(proof, str) else proof
    headers = [("authorization", f"{scheme} {access_token}"), *(("dpop", text) for text in proofs)]
    return await provider.browser.request(more.get("method", "GET"), "/userinfo", headers=headers)


def prove_use(provider: Provider, access_token: str, key: Any = KEY, **changes: Any) -> str:
    given = {"htm": "GET", "htu": f"{ISSUER}/userinfo", "ath": find_hash(access_token), **changes}
    return prove(provider, key, **given)


async def sign_in(provider: Provider, client_id: str, proof: str, scope: str = "openid profile", **changes: str) -> dict[str, Any]:
    """Authorize and redeem with a proof; return the token response."""
    person = await provider.add_person()
    landing = await provider.authorize(client_id, await provider.open_session(person), scope=scope, **changes)
    form = {"code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    answer = await ask(provider, proof, client_id, grant_type="authorization_code", **form)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


# -------------------------------------------------------------------------------------------------------------- proofs


@pytest.mark.parametrize("key, algorithm", [(KEY, "ES256"), (RSA, "PS256"), (ED, "Ed25519"), (ED, "EdDSA")])
async def test_a_proof_binds_the_token(provider: Provider, key: Any, algorithm: str) -> None:
    answer = await ask(provider, prove(provider, key, algorithm=algorithm))
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "DPoP"
    assert answer.headers["dpop-nonce"]
    told = (await provider.post("/introspect", {"token": answer.json()["access_token"]}, "machine")).json()
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "DPoP", {"jkt": key.thumbprint()})


PRIVATE = KEY.as_dict(private=True)
BAD_PROOFS: dict[str, dict[str, Any]] = {
    "another type": {"header": {"typ": "JWT"}},
    "no type": {"header": {"typ": None}},
    "no key": {"header": {"jwk": None}},
    "a private key": {"header": {"jwk": PRIVATE}},
    "another key": {"header": {"jwk": OTHER.as_dict(private=False)}},
    "another kind of key": {"header": {"jwk": RSA.as_dict(private=False)}},
    "a symmetric key": {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
    "no object as key": {"header": {"jwk": "key"}},
    "a named key": {"header": {"jwk": None, "kid": "client"}},
    "an address of keys": {"header": {"jku": "https://department.example/jwks"}},
    "critical members": {"header": {"crit": ["htm"]}},
    "no jti": {"jti": None},
    "empty jti": {"jti": ""},
    "jti that is no text": {"jti": 1},
    "jti too long": {"jti": "j" * 257},
    "no method": {"htm": None},
    "another method": {"htm": "GET"},
    "method in lower case": {"htm": "post"},
    "no address": {"htu": None},
    "address that is no text": {"htu": 7},
    "another address": {"htu": f"{ISSUER}/userinfo"},
    "another host": {"htu": "http://127.0.0.1:8001/token"},
    "another scheme": {"htu": "https://127.0.0.1:8000/token"},
    "user in the address": {"htu": "http://user@127.0.0.1:8000/token"},
    "a longer path": {"htu": f"{ISSUER}/token/"},
    "a path in other case": {"htu": f"{ISSUER}/Token"},
    "no address at all": {"htu": "/token"},
    "no iat": {"iat": None},
    "iat that is no number": {"iat": "now"},
    "iat that is a truth": {"iat": True},
    "iat in the past": {"iat": -61},
    "iat long ago": {"iat": -3600},
    "iat in the future": {"iat": 11},
    "iat an hour ahead": {"iat": 3600},
    "nonce that is no text": {"nonce": 1},
}


@pytest.mark.parametrize("name", BAD_PROOFS)
async def test_proofs_that_are_not_good(provider: Provider, name: str) -> None:
    changes = dict(BAD_PROOFS[name])
    if isinstance(changes.get("iat"), int) and changes["iat"] is not True:
        changes["iat"] += int(provider.clock().timestamp())
    answer = await ask(provider, prove(provider, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof"), answer.text


async def test_texts_that_are_no_proof(provider: Provider) -> None:
    good = prove(provider)
    header, claims, signature = good.split(".")
    none = encode_part(json.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": KEY.as_dict(private=False)}).encode())
    for text in (
        "",
        "a.b.c",
        f"{header}.{claims}.",
        f"{none}.{claims}.",
        f"{header}.{claims}.{signature[:-2]}",
        f"{header}.{claims}",
        f"{good}.",
        prove(provider, header={"more": "x" * 5_000}),
        json.dumps({"payload": claims}),
        sign_claims(KEY, b'{"jti":"a","jti":"b"}', typ="dpop+jwt", kid=None, jwk=KEY.as_dict(private=False)),
    ):
        answer = await ask(provider, text)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof"), text
    for several in ([good, prove(provider)], [good, good]):
        answer = await ask(provider, several)
        assert answer.json()["error"] == "invalid_dpop_proof"
    assert (await ask(provider, good)).status_code == 200, "nothing above used it up"


@pytest.mark.parametrize("offset", [-60, -10, 0, 9, 10])
async def test_clocks_may_differ_a_little(provider: Provider, offset: int) -> None:
    assert (await ask(provider, prove(provider, iat=int(provider.clock().timestamp()) + offset))).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        f"{ISSUER}/token?a=1",
        f"{ISSUER}/token#part",
        "HTTP://127.0.0.1:8000/token",
        f"{ISSUER}/%74oken",
    ],
)
async def test_addresses_are_compared_without_query_and_spelling(provider: Provider, address: str) -> None:
    assert (await ask(provider, prove(provider, htu=address))).status_code == 200


async def test_a_proof_is_good_once(provider: Provider) -> None:
    proof = prove(provider)
    assert (await ask(provider, proof)).status_code == 200
    for _ in range(2):
        again = await ask(provider, proof)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_dpop_proof")
    # The name belongs to the key: another key may use it.
    assert (
        await ask(provider, prove(provider, OTHER, jti=json.loads(base64.urlsafe_b64decode(proof.split(".")[1] + "=="))["jti"]))
    ).status_code == 200
    older = prove(provider)
    provider.clock.advance(71)
    assert (await ask(provider, older)).json()["error"] == "invalid_dpop_proof"


async def test_what_is_older_than_the_memory_of_proofs(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    born = provider.clock() + timedelta(seconds=11)

    async def forget() -> Any:
        return born

    monkeypatch.setattr(provider.services.platform.transients, "born_at", forget)
    assert (await ask(provider, prove(provider))).json()["error"] == "invalid_dpop_proof"


# -------------------------------------------------------------------------------------------------------------- nonces


async def test_nonces_come_from_us_and_age(provider: Provider) -> None:
    nonce = (await ask(provider, prove(provider))).headers["dpop-nonce"]
    assert (await ask(provider, prove(provider, nonce=nonce))).status_code == 200
    for wrong in ("", "of another", nonce[:-1] + ("A" if nonce[-1] != "A" else "B"), nonce + "A"):
        answer = await ask(provider, prove(provider, nonce=wrong))
        assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce")
        assert answer.headers["dpop-nonce"] == nonce
    provider.clock.advance(60)
    answer = await ask(provider, prove(provider, nonce=nonce))
    assert answer.status_code == 200
    assert answer.headers["dpop-nonce"] != nonce
    provider.clock.advance(60)
    assert (await ask(provider, prove(provider, nonce=nonce))).json()["error"] == "use_dpop_nonce"


async def add_fapi2_client(provider: Provider, **changes: Any) -> str:
    given: dict[str, Any] = {
        "auth_method": AuthMethod.PRIVATE_KEY_JWT,
        "keys": ClientKeys(jwks=JWKS),
        "requests": RequestDemands(dpop_bound_access_tokens=True),
        "profile": Profile.FAPI2,
        "grant_types": frozenset({"client_credentials", "authorization_code", "refresh_token"}),
        **changes,
    }
    return await provider.add_client(f"fapi-{next(names)}", **given)


def make_assertion(provider: Provider, client_id: str) -> dict[str, str]:
    now = int(provider.clock().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": f"a-{next(names)}", "iat": now, "exp": now + 60}
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_claims(CLIENT_KEY, claims)}


async def test_fapi2_demands_a_nonce(provider: Provider) -> None:
    client = await add_fapi2_client(provider)
    first = await ask(provider, prove(provider), client, **make_assertion(provider, client))
    assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
    nonce = first.headers["dpop-nonce"]
    second = await ask(provider, prove(provider, nonce=nonce), client, **make_assertion(provider, client))
    assert (second.status_code, second.json()["token_type"]) == (200, "DPoP"), second.text
    none = await ask(provider, [], client, **make_assertion(provider, client))
    assert (none.status_code, none.json()["error"]) == (400, "invalid_request")
    weak = prove(provider, RSA, algorithm="RS256", nonce=nonce)
    assert (await ask(provider, weak, client, **make_assertion(provider, client))).json()["error"] == "invalid_dpop_proof"


async def test_whoever_is_sent_away_for_a_nonce_comes_again_with_the_same_assertion(provider: Provider) -> None:
    """A refused request spends nothing; a granted one spends assertion and proof, whatever else is new."""
    client = await add_fapi2_client(provider)
    assertion = make_assertion(provider, client)
    first = await ask(provider, prove(provider), client, **assertion)
    assert first.json()["error"] == "use_dpop_nonce"
    nonce = first.headers["dpop-nonce"]
    wrong = await ask(provider, prove(provider, nonce=nonce, htm="GET"), client, **assertion)
    assert wrong.json()["error"] == "invalid_dpop_proof"
    proof = prove(provider, nonce=nonce)
    assert (await ask(provider, proof, client, **{**assertion, "client_assertion": "e30.e30.e30"})).json()["error"] == "invalid_client"
    assert (await ask(provider, proof, client, **assertion)).status_code == 200
    again = await ask(provider, prove(provider, nonce=nonce), client, **assertion)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert (await ask(provider, proof, client, **make_assertion(provider, client))).json()["error"] == "invalid_dpop_proof"


async def test_fapi2_takes_no_proof_that_only_other_clients_may_sign(provider: Provider) -> None:
    client = await add_fapi2_client(provider)
    nonce = (await ask(provider, prove(provider), client, **make_assertion(provider, client))).headers["dpop-nonce"]
    longer: Any = ECKey.generate_key("P-384", auto_kid=False)
    assert (await ask(provider, prove(provider, longer, algorithm="ES384", nonce=nonce))).status_code == 200
    refused = await ask(provider, prove(provider, longer, algorithm="ES384", nonce=nonce), client, **make_assertion(provider, client))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    token = (await ask(provider, prove(provider, nonce=nonce), client, **make_assertion(provider, client))).json()["access_token"]
    assert (await read_userinfo(provider, token, prove_use(provider, token, nonce=nonce))).status_code == 403, "a client's own token"
    use = prove_use(provider, token, longer, algorithm="ES384", nonce=nonce)
    answer = await read_userinfo(provider, token, use)
    assert answer.status_code == 401
    assert "invalid_dpop_proof" in answer.headers["www-authenticate"]


# ------------------------------------------------------------------------------------------------------------ resources


async def test_userinfo_wants_the_scheme_and_the_key(provider: Provider) -> None:
    token = (await sign_in(provider, "web", prove(provider)))["access_token"]
    good = await read_userinfo(provider, token, prove_use(provider, token))
    assert good.status_code == 200, good.text
    assert good.headers["dpop-nonce"]
    assert (await read_userinfo(provider, token, prove_use(provider, token), scheme="dpop")).status_code == 200
    posted = prove_use(provider, token, htm="POST")
    assert (await read_userinfo(provider, token, posted, method="POST")).status_code == 200


BAD_USES: dict[str, tuple[dict[str, Any], str]] = {
    "no hash of the token": ({"ath": None}, "invalid_dpop_proof"),
    "hash of another token": ({"ath": find_hash("another")}, "invalid_dpop_proof"),
    "hash in another alphabet": ({"ath": hashlib.sha256(b"x").hexdigest()}, "invalid_dpop_proof"),
    "another key": ({"key": OTHER}, "invalid_token"),
    "another method": ({"htm": "POST"}, "invalid_dpop_proof"),
    "the token endpoint's proof": ({"htu": f"{ISSUER}/token"}, "invalid_dpop_proof"),
    "an old nonce": ({"nonce": "AAAA"}, "use_dpop_nonce"),
    "a private key": ({"header": {"jwk": PRIVATE}}, "invalid_dpop_proof"),
    "no type": ({"header": {"typ": "JWT"}}, "invalid_dpop_proof"),
}


@pytest.mark.parametrize("name", BAD_USES)
async def test_uses_that_are_not_good(provider: Provider, name: str) -> None:
    changes, error = BAD_USES[name]
    changes = dict(changes)
    token = (await sign_in(provider, "web", prove(provider)))["access_token"]
    answer = await read_userinfo(provider, token, prove_use(provider, token, changes.pop("key", KEY), **changes))
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert answer.headers["www-authenticate"].startswith(f'DPoP error="{error}", algs="ES256 ')
    assert answer.headers["dpop-nonce"]


async def test_no_downgrade_and_no_pretence(provider: Provider) -> None:
    bound = (await sign_in(provider, "web", prove(provider)))["access_token"]
    bearer = (await provider.get_tokens("web", await provider.open_session(await provider.add_person()), scope="openid"))["access_token"]
    for answer in (
        await read_userinfo(provider, bound, scheme="Bearer"),
        await read_userinfo(provider, bound, prove_use(provider, bound), scheme="Bearer"),
        await provider.browser.post("/userinfo", data={"access_token": bound}),
        await provider.browser.post("/userinfo", data={"access_token": bound}, headers={"dpop": prove_use(provider, bound, htm="POST")}),
        await read_userinfo(provider, bearer, prove_use(provider, bearer)),
        await read_userinfo(provider, bearer),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    for proofs in ([], [prove_use(provider, bound), prove_use(provider, bound)]):
        answer = await read_userinfo(provider, bound, proofs)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_dpop_proof")
    proof = prove_use(provider, bound)
    assert (await read_userinfo(provider, bound, proof)).status_code == 200
    assert (await read_userinfo(provider, bound, proof)).json()["error"] == "invalid_dpop_proof"
    assert (await read_userinfo(provider, bearer, scheme="Bearer")).status_code == 200
    nothing = await provider.browser.get("/userinfo")
    challenges = nothing.headers.get_list("www-authenticate")
    assert nothing.status_code == 401
    assert [challenge.split(" ")[0] for challenge in challenges] == ["Bearer", "DPoP"]
    assert not any("error" in challenge for challenge in challenges)
    twice = [("authorization", f"DPoP {bound}"), ("authorization", f"Bearer {bound}")]
    assert (await provider.browser.get("/userinfo", headers=twice)).json()["error"] == "invalid_request"


# --------------------------------------------------------------------------------------------------------- codes, refresh


async def test_a_code_bound_to_a_key(provider: Provider) -> None:
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    for key, good in ((KEY, True), (OTHER, False), (None, False)):
        landing = await provider.authorize("web", cookies, dpop_jkt=KEY.thumbprint())
        form = {"code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
        proof: Any = [] if key is None else prove(provider, key)
        answer = await ask(provider, proof, "web", grant_type="authorization_code", **form)
        assert (answer.status_code == 200) is good, answer.text
        if not good:
            assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("wait", [0, 61, 5 * 86_400])
async def test_who_proves_nothing_ends_nothing_by_a_used_code(provider: Provider, wait: int) -> None:
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize("app", cookies, scope="openid offline_access", dpop_jkt=KEY.thumbprint())
    code = {"code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}

    async def redeem(key: Any = KEY, **change: str) -> httpx2.Response:
        return await ask(provider, prove(provider, key), "app", grant_type="authorization_code", **{**code, **change})

    async def refresh(token: str) -> httpx2.Response:
        return await ask(provider, prove(provider), "app", grant_type="refresh_token", refresh_token=token)

    tokens = (await redeem()).json()
    provider.clock.advance(wait)
    for change in ({"redirect_uri": "https://elsewhere.example/"}, {"code_verifier": "x" * 43}):
        assert (await redeem(**change)).json()["error"] == "invalid_grant"
    assert (await redeem(OTHER)).json()["error"] == "invalid_grant"
    alive = await refresh(tokens["refresh_token"])
    assert alive.status_code == 200, alive.text
    assert (await redeem()).json()["error"] == "invalid_grant"
    over = await refresh(alive.json()["refresh_token"])
    assert over.json()["error"] == "invalid_grant", "who proves everything ends it, however late"


async def test_a_public_clients_refresh_token_is_bound(provider: Provider) -> None:
    tokens = await sign_in(provider, "app", prove(provider))

    async def refresh(proof: Any, token: str) -> httpx2.Response:
        return await ask(provider, proof, "app", grant_type="refresh_token", refresh_token=token)

    bad: list[Any] = [[], prove(provider, OTHER)]
    for proof in bad:
        refused = await refresh(proof, tokens["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    renewed = await refresh(prove(provider), tokens["refresh_token"])
    assert (renewed.status_code, renewed.json()["token_type"]) == (200, "DPoP")
    # Bound to a key, a lost answer is forgiven once even without client authentication (protocol.md §2).
    assert (await refresh(prove(provider), tokens["refresh_token"])).status_code == 200
    assert (await refresh(prove(provider), tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_public_bearer_client_has_no_grace(provider: Provider) -> None:
    tokens = await sign_in(provider, "app", [])  # type: ignore[arg-type]
    for good in (True, False):
        answer = await ask(provider, [], "app", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert (answer.status_code == 200) is good


async def renew(provider: Provider, token: str, key: Any = None, client: str = "app") -> httpx2.Response:
    proof: Any = [] if key is None else prove(provider, key)
    return await ask(provider, proof, client, grant_type="refresh_token", refresh_token=token)


async def test_a_public_clients_refresh_token_is_bound_from_the_first_proof_on(provider: Provider) -> None:
    begun = await sign_in(provider, "app", [])  # type: ignore[arg-type]
    first = await renew(provider, begun["refresh_token"], KEY)
    assert (first.status_code, first.json()["token_type"]) == (200, "DPoP"), first.text
    token = first.json()["refresh_token"]
    for key in (None, OTHER):
        refused = await renew(provider, token, key)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    second = await renew(provider, token, KEY)
    assert (second.status_code, second.json()["token_type"]) == (200, "DPoP"), "a token without its key ended nothing"
    # The answer got lost, and the key that asked asks again: once, as for a grant that began with it.
    third = await renew(provider, token, KEY)
    assert third.status_code == 200
    assert (await renew(provider, third.json()["refresh_token"])).json()["error"] == "invalid_grant", "bound as well"
    assert (await renew(provider, third.json()["refresh_token"], KEY)).status_code == 200


async def test_what_was_given_out_as_bearer_stays_so_when_the_grant_is_bound(provider: Provider) -> None:
    begun = await sign_in(provider, "app", [])  # type: ignore[arg-type]
    assert (await renew(provider, begun["refresh_token"], KEY)).status_code == 200
    assert (await read_userinfo(provider, begun["access_token"], scheme="Bearer")).status_code == 200
    pretended = await read_userinfo(provider, begun["access_token"], prove_use(provider, begun["access_token"]))
    assert pretended.json()["error"] == "invalid_token"


async def test_who_is_bound_at_last_is_forgiven_a_lost_answer(provider: Provider) -> None:
    begun = (await sign_in(provider, "app", []))["refresh_token"]  # type: ignore[arg-type]
    assert (await renew(provider, begun, KEY)).status_code == 200, "and this answer is lost"
    assert (await renew(provider, begun, KEY)).status_code == 200


@pytest.mark.parametrize("late", [None, OTHER])
@pytest.mark.parametrize("wait", [0, 11])
async def test_a_bearer_token_that_somebody_bound_ends_all_when_it_comes_again(provider: Provider, late: Any, wait: int) -> None:
    begun = (await sign_in(provider, "app", []))["refresh_token"]  # type: ignore[arg-type]
    bound = (await renew(provider, begun, KEY)).json()["refresh_token"]
    provider.clock.advance(wait)
    assert (await renew(provider, begun, late)).json()["error"] == "invalid_grant"
    assert (await renew(provider, bound, KEY)).json()["error"] == "invalid_grant", "which of the two is the client is not known"


async def test_a_used_token_without_its_key_ends_nothing(provider: Provider) -> None:
    begun = (await sign_in(provider, "app", prove(provider)))["refresh_token"]
    latest = (await renew(provider, begun, KEY)).json()["refresh_token"]
    for key in (None, OTHER):
        assert (await renew(provider, begun, key)).json()["error"] == "invalid_grant"
    assert (await renew(provider, latest, KEY)).status_code == 200


async def test_of_simultaneous_first_proofs_one_binds(provider: Provider) -> None:
    begun = (await sign_in(provider, "app", []))["refresh_token"]  # type: ignore[arg-type]
    answers = await asyncio.gather(*(renew(provider, begun, key) for key in (KEY, OTHER)))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    key = KEY if answers[0].status_code == 200 else OTHER
    token = next(answer.json()["refresh_token"] for answer in answers if answer.status_code == 200)
    assert (await renew(provider, token, key)).json()["error"] == "invalid_grant", "two had the token: nobody has it any more"


async def test_a_client_that_authenticates_and_began_without_a_key_stays_free_of_it(provider: Provider) -> None:
    begun = (await sign_in(provider, "web", []))["refresh_token"]  # type: ignore[arg-type]
    bound = await renew(provider, begun, KEY, "web")
    assert bound.json()["token_type"] == "DPoP", "of this access token alone"
    free = await renew(provider, bound.json()["refresh_token"], None, "web")
    assert (free.status_code, free.json()["token_type"]) == (200, "Bearer"), free.text


async def test_a_confidential_client_may_change_its_key_but_not_give_it_up(provider: Provider) -> None:
    tokens = await sign_in(provider, "web", prove(provider))

    async def refresh(proof: Any, token: str) -> httpx2.Response:
        return await ask(provider, proof, "web", grant_type="refresh_token", refresh_token=token)

    none = await refresh([], tokens["refresh_token"])
    assert (none.status_code, none.json()["error"]) == (400, "invalid_grant")
    renewed = await refresh(prove(provider, OTHER), tokens["refresh_token"])
    assert renewed.status_code == 200, renewed.text
    token = renewed.json()["access_token"]
    assert (await read_userinfo(provider, token, prove_use(provider, token, OTHER))).status_code == 200
    assert (await read_userinfo(provider, token, prove_use(provider, token, KEY))).json()["error"] == "invalid_token"
    told = (await provider.post("/introspect", {"token": token}, "web")).json()
    assert told["cnf"] == {"jkt": OTHER.thumbprint()}


@pytest.mark.parametrize("began_with", [KEY, None])
async def test_a_lost_answer_is_forgiven_to_the_key_that_asked_for_it(provider: Provider, began_with: Any) -> None:
    async def refresh(proof: Any, token: str) -> httpx2.Response:
        return await ask(provider, proof, "web", grant_type="refresh_token", refresh_token=token)

    first: Any = [] if began_with is None else prove(provider, began_with)
    tokens = await sign_in(provider, "web", first)
    assert (await refresh(prove(provider, OTHER), tokens["refresh_token"])).status_code == 200, "and this answer is lost"
    repeated = await refresh(prove(provider, OTHER), tokens["refresh_token"])
    assert (repeated.status_code, repeated.json()["token_type"]) == (200, "DPoP"), repeated.text
    latest = await refresh(prove(provider, OTHER), repeated.json()["refresh_token"])
    assert latest.status_code == 200
    # A third key repeats nothing that another one asked for: the grant ends. Without any key there is the client's authentication alone.
    third = await refresh(prove(provider, KEY), repeated.json()["refresh_token"])
    assert (third.status_code == 200) is (began_with is None)
    over = await refresh(prove(provider, OTHER), latest.json()["refresh_token"])
    assert (over.status_code == 200) is (began_with is None)


async def test_of_simultaneous_refreshes_the_key_of_the_first_counts(provider: Provider) -> None:
    tokens = await sign_in(provider, "web", prove(provider))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answers = await asyncio.gather(*(ask(provider, prove(provider, OTHER), "web", **form) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_clients_that_must_prove(provider: Provider) -> None:
    person = await provider.add_person()
    landing = await provider.authorize("bound-app", await provider.open_session(person))
    form = {"code": landing.code, "redirect_uri": REDIRECT_URI, "code_verifier": landing.verifier}
    refused = await ask(provider, [], "bound-app", grant_type="authorization_code", **form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    good = await ask(provider, prove(provider), "bound-app", grant_type="authorization_code", **form)
    assert good.status_code == 200, "the refusal did not use up the code"


async def test_fapi2_keeps_its_refresh_token(provider: Provider) -> None:
    client = await add_fapi2_client(provider)
    nonce = (await ask(provider, prove(provider))).headers["dpop-nonce"]
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    pushed = await provider.browser.post(
        "/par",
        data={
            **make_assertion(provider, client),
            "client_id": client,
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid",
            "code_challenge": encode_part(hashlib.sha256(b"v" * 43).digest()),
            "code_challenge_method": "S256",
        },
    )
    assert pushed.status_code == 201, pushed.text
    query = {"client_id": client, "request_uri": pushed.json()["request_uri"]}
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    landed = await provider.browser.get("/authorize", params=query, headers={"cookie": cookie})
    code = httpx2.URL(landed.headers["location"]).params["code"]
    form = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": "v" * 43}
    first = await ask(
        provider, prove(provider, nonce=nonce), client, grant_type="authorization_code", **form, **make_assertion(provider, client)
    )
    assert first.status_code == 200, first.text
    kept = first.json()["refresh_token"]
    for _ in range(3):
        again = await ask(
            provider,
            prove(provider, nonce=nonce),
            client,
            grant_type="refresh_token",
            refresh_token=kept,
            **make_assertion(provider, client),
        )
        assert again.status_code == 200, again.text
        assert again.json()["refresh_token"] == kept
    assert len(await provider.read_events("token_refreshed")) >= 3
    # One that was replaced before the client had this profile ends its grant, as anybody's does.
    await provider.execute("UPDATE grants SET generation = 1 WHERE client_id = $1", client)
    for generation in (1, 0):
        over = await ask(
            provider,
            prove(provider, nonce=nonce),
            client,
            grant_type="refresh_token",
            refresh_token=kept,
            **make_assertion(provider, client),
        )
        assert over.json()["error"] == "invalid_grant", generation
        await provider.execute("UPDATE grants SET generation = 0 WHERE client_id = $1", client)


async def test_a_jwt_access_token_names_its_key(provider: Provider) -> None:
    resource = "https://api.example/land"
    await provider.add_client(
        "land-api",
        resources=(resource,),
        access_token_format=TokenFormat.JWT,
        redirect_uris=(),
        grant_types=frozenset({"client_credentials"}),
    )
    answer = await ask(provider, prove(provider), "land-api", resource=resource)
    assert answer.status_code == 200, answer.text
    claims = json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[1] + "=="))
    assert claims["cnf"] == {"jkt": KEY.thumbprint()}
    assert (claims["aud"], claims["sub"], claims["client_id"], claims["iss"]) == (resource, "land-api", "land-api", ISSUER)
