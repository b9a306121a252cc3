"""What an installation that offers every algorithm publishes, and that each client's ID Token verifies by what it finds there."""

import base64
import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gmalg
import pkcs11
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet

from idp.composition import SettingRefused, StartRefused
from idp.logout import build_id_tokens
from idp.protocol.rules.client import ID_TOKEN_ALGORITHMS, BadRegistration
from keys import ALGORITHMS, SM2_SIGNATURE, STANDARD_ALGORITHMS, SelfTestReport, Signer, SigningRing, UnusableToken
from tests.support.clusters import SharedCluster
from tests.support.provider import ISSUER, Provider, run_provider
from tests.support.softhsm import SoftToken

PRIVATE = pkcs11.ObjectClass.PRIVATE_KEY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider of every algorithm."""
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), IDP_KEYS__ALGORITHMS=",".join(ALGORITHMS)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_dsn(cluster: SharedCluster) -> AsyncIterator[str]:
    """A database of one test."""
    name = await cluster.clone()
    yield cluster.service_dsn(name)
    await cluster.drop(name)


def import_set(document: dict[str, Any]) -> KeySet:
    document_keys: Any = document
    return KeySet.import_key_set(document_keys)


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def read(provider: Provider, path: str) -> dict[str, Any]:
    response = await provider.browser.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "public, max-age=300"
    document: dict[str, Any] = response.json()
    return document


async def get_id_token(provider: Provider, algorithm: str, **changes: Any) -> str:
    client = await provider.add_client(f"by-{algorithm}".lower(), id_token_algorithm=algorithm, **changes)
    tokens = await provider.get_tokens(client, await provider.open_session(await provider.add_person()))
    token: str = tokens["id_token"]
    return token


def test_clients_may_choose_whatever_there_is_a_row_for() -> None:
    assert ID_TOKEN_ALGORITHMS == ALGORITHMS


@pytest.mark.parametrize("algorithm", STANDARD_ALGORITHMS)
async def test_an_id_token_verifies_by_the_common_set(provider: Provider, algorithm: str) -> None:
    token = await get_id_token(provider, algorithm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of the name EdDSA
        decoded = jwt.decode(token, import_set(await read(provider, "/jwks.json")), algorithms=[algorithm])
    assert decoded.header["alg"] == algorithm
    assert decoded.claims["iss"] == ISSUER


async def test_the_metadata_lists_the_standard_algorithms_and_says_where_the_others_are(provider: Provider) -> None:
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        document = await read(provider, path)
        assert document["id_token_signing_alg_values_supported"] == list(STANDARD_ALGORITHMS)
        assert document["x_sm2_jwks_uri"] == f"{ISSUER}/jwks-sm2.json"
        assert SM2_SIGNATURE not in json.dumps(document)


async def test_the_common_set_has_no_sm2_key_and_the_other_nothing_else(provider: Provider) -> None:
    common, apart = await read(provider, "/jwks.json"), await read(provider, "/jwks-sm2.json")
    assert {key["alg"] for key in common["keys"]} == set(STANDARD_ALGORITHMS)
    assert [(key["alg"], key["kty"], key["crv"]) for key in apart["keys"]] == [(SM2_SIGNATURE, "EC", "SM2-P-256")]
    refused = await provider.browser.post("/jwks-sm2.json")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_an_sm2_id_token_verifies_by_another_implementation_and_is_a_hint(provider: Provider) -> None:
    token = await get_id_token(provider, SM2_SIGNATURE)
    (jwk,) = (await read(provider, "/jwks-sm2.json"))["keys"]
    message, _, signature = token.rpartition(".")
    header, raw = json.loads(unb64(message.partition(".")[0])), unb64(signature)
    assert header == {"alg": SM2_SIGNATURE, "kid": jwk["kid"], "typ": "JWT"}
    oracle = gmalg.SM2(None, b"1234567812345678", b"\4" + unb64(jwk["x"]) + unb64(jwk["y"]))
    assert oracle.verify(message.encode(), raw[:32], raw[32:])
    assert not oracle.verify(message.encode() + b"x", raw[:32], raw[32:])
    id_tokens = build_id_tokens(provider.services.platform)
    named = id_tokens.read_hint(token)
    assert named is not None
    assert named.client_id == f"by-{SM2_SIGNATURE}".lower()
    assert id_tokens.read_hint(token[:-4] + "AAAA") is None


async def test_a_client_is_registered_with_an_algorithm_that_we_have(fresh_dsn: str, tmp_path: Path) -> None:
    async with run_provider(fresh_dsn, tmp_path) as plain:
        for algorithm in ("PS256", SM2_SIGNATURE):
            with pytest.raises(BadRegistration, match="ES256, RS256"):
                await plain.add_client("other", id_token_algorithm=algorithm)


async def test_a_key_that_is_gone_is_told_the_client(provider: Provider) -> None:
    client = await provider.add_client("left-behind", id_token_algorithm="PS256")
    landing = await provider.authorize(client, await provider.open_session(await provider.add_person()))
    ring = provider.services.platform.ring
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "_ring", SigningRing([]))
        response = await provider.redeem(client, landing)
    assert (response.status_code, response.json()["error"]) == (500, "server_error"), response.text
    assert (await provider.redeem(client, landing)).status_code == 200, "nothing was used up"


async def test_a_device_that_does_not_answer_is_a_matter_of_waiting(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await provider.add_client("waiting")
    landing = await provider.authorize(client, await provider.open_session(await provider.add_person()))

    def refuse(self: Signer, claims: bytes, typ: str = "JWT") -> str:
        raise UnusableToken("the token refuses (DeviceError)")

    monkeypatch.setattr(Signer, "sign", refuse)
    response = await provider.redeem(client, landing)
    assert response.status_code == 503, response.text
    assert response.headers["retry-after"]


async def test_by_default_nothing_says_sm2(fresh_dsn: str, tmp_path: Path) -> None:
    async with run_provider(fresh_dsn, tmp_path) as plain:
        document = await read(plain, "/.well-known/openid-configuration")
        assert document["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]
        assert "x_sm2_jwks_uri" not in document
        assert (await plain.browser.get("/jwks-sm2.json")).status_code == 404


@pytest.mark.hsm
async def test_id_tokens_of_a_device_that_rotates_and_is_left_again(fresh_dsn: str, tmp_path: Path, soft_token: SoftToken) -> None:
    async with run_provider(fresh_dsn, tmp_path, **soft_token.write_settings(), IDP_KEYS__ALGORITHMS="ES256,RS256,PS256") as provider:
        rotation, ring = provider.services.platform.key_rotation, provider.services.platform.ring
        for algorithm in ("ES256", "RS256", "PS256"):
            token = await get_id_token(provider, algorithm)
            decoded = jwt.decode(token, import_set(await read(provider, "/jwks.json")), algorithms=[algorithm])
            assert decoded.claims["iss"] == ISSUER
        first = {key.algorithm: key for key in await rotation.list_keys()}
        assert {(key.provider, (key.label or "").split()[0]) for key in first.values()} == {("pkcs11", "yizheng")}
        # The successor signs, the old key lives out, and then the device forgets it.
        await rotation.rotate("ES256", "test")
        for seconds in (600, 86_400):
            provider.clock.advance(seconds)
            await rotation.advance()
        await ring.reload()
        assert ring.find_signer("ES256").kid != first["ES256"].kid
        await rotation.revoke(first["RS256"].kid, "a test", "test")
        with open_session(soft_token) as session:
            left = {str(found[pkcs11.Attribute.LABEL]) for found in session.get_objects({pkcs11.Attribute.CLASS: PRIVATE})}
        assert first["ES256"].label not in left
        assert first["RS256"].label not in left
        assert first["PS256"].label in left
        audit = await provider.services.platform.database.fetch("SELECT details FROM audit_events WHERE kind = 'key_created'")
        assert any(first["PS256"].kid in row["details"] for row in audit)
    # Back to software: what the device has still verifies and signs until its successors take over.
    settings = {**soft_token.write_settings(), "IDP_KEYS__PROVIDER": "software"}
    async with run_provider(fresh_dsn, tmp_path, **settings) as provider:
        rotation = provider.services.platform.key_rotation
        before = {key.kid for key in await rotation.list_keys()}
        await rotation.rotate("ES256", "test")
        assert {key.provider for key in await rotation.list_keys() if key.kid not in before} == {"software"}
    # Without the device at all it is refused, in a sentence.
    with pytest.raises(SettingRefused, match=r"pkcs11.*keys\.provider"):
        async with run_provider(fresh_dsn, tmp_path):
            pass


def open_session(token: SoftToken) -> Any:
    return pkcs11.lib(token.module).get_token(token_label=token.token).open(rw=True)


@pytest.mark.hsm
async def test_a_device_that_is_not_there_is_a_refusal_to_start(fresh_dsn: str, tmp_path: Path, soft_token: SoftToken) -> None:
    with pytest.raises(SettingRefused, match=r"PKCS #11 device .* refuses"):
        async with run_provider(fresh_dsn, tmp_path, **{**soft_token.write_settings(), "IDP_KEYS__PKCS11_TOKEN": "absent"}):
            pass


async def test_a_machine_without_sm2_does_not_start_with_it(fresh_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.composition.run_self_test", lambda **_: SelfTestReport((), ("SM2",)))
    with pytest.raises(StartRefused, match="no SM2"):
        async with run_provider(fresh_dsn, tmp_path, IDP_KEYS__ALGORITHMS="ES256,SGD_SM3_SM2"):
            pass


async def test_a_revoked_key_that_came_back_is_a_refusal_to_start(fresh_dsn: str, tmp_path: Path) -> None:
    async with run_provider(fresh_dsn, tmp_path) as provider:
        platform = provider.services.platform
        kid = platform.ring.find_signer("ES256").kid
        (row,) = await platform.database.fetch("SELECT wrapped FROM signing_keys WHERE kid = $1", kid)
        await platform.key_rotation.revoke(kid, "stolen", "test")
        await provider.execute("UPDATE signing_keys SET state = 'pending', wrapped = $2 WHERE kid = $1", kid, row["wrapped"])
    with pytest.raises(StartRefused, match=f"{kid} was revoked"):
        async with run_provider(fresh_dsn, tmp_path):
            pass
