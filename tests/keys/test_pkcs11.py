"""Signing keys in a PKCS #11 token (SoftHSM): made, used and destroyed there, and believed only when token and row agree."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from keys import (
    PKCS11_ALGORITHMS,
    KeyEncryptionKey,
    KeyEvent,
    KeyProviders,
    KeyState,
    MissingProvider,
    SigningKey,
    SigningRing,
    TokenProvider,
    UntrustedKeyRecord,
    UnusableToken,
    generate_signing_key,
)
from keys.pkcs11 import PKCS11
from tests.support.softhsm import PIN, SoftToken, add_token

pytestmark = [pytest.mark.hsm, pytest.mark.xdist_group("softhsm")]

CLAIMS = {"sub": "synthetic"}
RAW_CLAIMS = json.dumps(CLAIMS).encode()


@pytest.fixture(scope="module")
def provider(soft_token: SoftToken) -> Iterator[TokenProvider]:
    device = TokenProvider(soft_token.module, soft_token.token, soft_token.pin_file)
    yield device
    device.close()


@pytest.fixture(scope="module")
def providers(provider: TokenProvider) -> KeyProviders:
    return KeyProviders(provider, maker=PKCS11)


@pytest.fixture(scope="module")
def device_keys(provider: TokenProvider) -> dict[str, SigningKey]:
    """One active key of each algorithm, in the token."""
    now = datetime.fromisoformat("2026-03-02T01:00:00+00:00")
    return {name: generate_signing_key(name, now, KeyState.ACTIVE, provider) for name in PKCS11_ALGORITHMS}


def open_session(token: SoftToken) -> Any:
    """Look into the token beside the provider, which is logged in."""
    return pkcs11.lib(token.module).get_token(token_label=token.token).open(rw=True)


@pytest.mark.parametrize("algorithm", PKCS11_ALGORITHMS)
def test_tokens_signed_in_the_device_verify_as_any_others(device_keys: dict[str, SigningKey], algorithm: str) -> None:
    ring = SigningRing(list(device_keys.values()))
    signer = ring.find_signer(algorithm)
    assert signer.slow, "a device is asked in a thread"
    token = signer.sign(RAW_CLAIMS)
    assert ring.verify(token, "JWT") == CLAIMS
    assert jwt.decode(token, KeySet.import_key_set(json.loads(ring.jwks)), algorithms=[algorithm]).claims == CLAIMS
    assert device_keys[algorithm].public_jwk["alg"] == algorithm


@pytest.mark.parametrize("algorithm", PKCS11_ALGORITHMS)
def test_a_row_names_the_place_and_not_the_key(
    device_keys: dict[str, SigningKey], providers: KeyProviders, soft_token: SoftToken, kek: KeyEncryptionKey, algorithm: str
) -> None:
    key = device_keys[algorithm]
    record = key.to_record(kek)
    assert (record.provider, record.label) == (PKCS11, key.label)
    assert len(record.wrapped or b"") < 120, "no private part fits into this"
    # A process that starts knows nothing but the row.
    fresh = TokenProvider(soft_token.module, soft_token.token, soft_token.pin_file)
    loaded = SigningKey.from_record(record, kek, KeyProviders(fresh))
    assert loaded == key
    assert SigningRing([key]).verify(SigningRing([loaded]).sign(algorithm, RAW_CLAIMS)) == CLAIMS
    with pytest.raises(MissingProvider):
        SigningKey.from_record(record, kek)


def test_the_private_part_never_leaves_the_device(device_keys: dict[str, SigningKey], soft_token: SoftToken) -> None:
    with open_session(soft_token) as session:
        for algorithm, key in device_keys.items():
            private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key.label)
            assert private[pkcs11.Attribute.SENSITIVE]
            assert not private[pkcs11.Attribute.EXTRACTABLE]
            secret = pkcs11.Attribute.VALUE if algorithm == "ES256" else pkcs11.Attribute.PRIVATE_EXPONENT
            with pytest.raises(pkcs11.AttributeSensitive):
                _ = private[secret]


def test_a_row_that_the_database_altered_is_refused(
    device_keys: dict[str, SigningKey], providers: KeyProviders, kek: KeyEncryptionKey, now: datetime
) -> None:
    """Whoever only writes to the database cannot choose what the device signs with, nor have a key of his own published."""
    one, other = device_keys["RS256"].to_record(kek), device_keys["PS256"].to_record(kek)
    software = generate_signing_key("RS256", now, KeyState.ACTIVE).to_record(kek)
    stranger = KeyEncryptionKey(bytes(32))
    for wrong in (
        one._replace(label=other.label),
        one._replace(wrapped=other.wrapped, label=other.label),
        one._replace(public_jwk=other.public_jwk),
        one._replace(public_jwk=software.public_jwk),
        one._replace(kid=other.kid),
        one._replace(wrapped=None),
        one._replace(wrapped=stranger.wrap(one.kid, f"pkcs11:{one.label}".encode())),
        one._replace(wrapped=kek.wrap(one.kid, b"pkcs11:yizheng RS256 none")),
        one._replace(wrapped=kek.wrap(one.kid, b"pkcs11:\xff")),
        one._replace(wrapped=kek.wrap(one.kid, (one.label or "").encode())),
        one._replace(algorithm="ES256"),
        one._replace(algorithm="PS256", public_jwk=one.public_jwk.replace("RS256", "PS256")),
        one._replace(provider="software"),
        software._replace(provider=PKCS11),
        other._replace(algorithm="RS256", public_jwk=other.public_jwk.replace("PS256", "RS256")),
    ):
        with pytest.raises(UntrustedKeyRecord):
            SigningKey.from_record(wrong, kek, providers)


def test_an_exchanged_public_object_is_noticed(provider: TokenProvider, soft_token: SoftToken) -> None:
    """Even within the token: what is published must verify what the private object signs."""
    one, other = provider.generate("ES256"), provider.generate("ES256")
    with open_session(soft_token) as session:
        session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=one.label).destroy()
        moved = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=other.label)
        moved.copy({pkcs11.Attribute.LABEL: one.label})
    fresh = TokenProvider(soft_token.module, soft_token.token, soft_token.pin_file)
    with pytest.raises(ValueError, match="does not belong"):
        fresh.load("ES256", one.store())


def test_two_objects_of_one_name_are_none(provider: TokenProvider, soft_token: SoftToken) -> None:
    part = provider.generate("ES256")
    with open_session(soft_token) as session:
        session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=part.label).copy({pkcs11.Attribute.LABEL: part.label})
    fresh = TokenProvider(soft_token.module, soft_token.token, soft_token.pin_file)
    with pytest.raises(ValueError, match="no such key"):
        fresh.load("ES256", part.store())


def test_a_private_object_that_is_gone_is_noticed(provider: TokenProvider, soft_token: SoftToken) -> None:
    part = provider.generate("ES256")
    with open_session(soft_token) as session:
        session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=part.label).destroy()
    fresh = TokenProvider(soft_token.module, soft_token.token, soft_token.pin_file)
    with pytest.raises(ValueError, match="no such key"):
        fresh.load("ES256", part.store())


def test_short_and_foreign_keys_of_the_token_are_refused(provider: TokenProvider, soft_token: SoftToken) -> None:
    with open_session(soft_token) as session:
        session.generate_keypair(pkcs11.KeyType.RSA, 1024, label="short", store=True)
        curve = pkcs11.util.ec.encode_named_curve_parameters("secp384r1")
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True)
        parameters.generate_keypair(label="p384", store=True)
    for algorithm, label in (("RS256", "short"), ("PS256", "short"), ("ES256", "p384"), ("ES256", "short")):
        with pytest.raises(ValueError, match=r"short|P-256|no such key"):
            provider.load(algorithm, f"pkcs11:{label}".encode())


def test_a_key_that_is_over_is_destroyed_in_the_device(
    provider: TokenProvider, providers: KeyProviders, soft_token: SoftToken, kek: KeyEncryptionKey, now: datetime
) -> None:
    key = generate_signing_key("ES256", now, KeyState.ACTIVE, provider)
    assert key.label is not None
    record, revoked = key.to_record(kek), key.after(KeyEvent.REVOKE, now, "a test")
    assert (revoked.to_record(kek).wrapped, revoked.label) == (None, key.label)
    provider.destroy(key.label)
    provider.destroy(key.label)
    with open_session(soft_token) as session:
        assert not list(session.get_objects({pkcs11.Attribute.LABEL: key.label}))
    with pytest.raises(UntrustedKeyRecord):
        SigningKey.from_record(record, kek, providers)
    assert SigningKey.from_record(revoked.to_record(kek), kek) == revoked


def test_no_algorithm_that_we_do_not_ask_of_devices(provider: TokenProvider) -> None:
    for algorithm in ("EdDSA", "Ed25519", "SGD_SM3_SM2", "none", ""):
        with pytest.raises(ValueError, match="no signing algorithm"):
            provider.generate(algorithm)


def test_many_threads_sign_with_one_session(device_keys: dict[str, SigningKey]) -> None:
    ring = SigningRing(list(device_keys.values()))
    wrong = []

    def work() -> None:
        for _ in range(5):
            for algorithm in PKCS11_ALGORITHMS:
                try:
                    ring.verify(ring.sign(algorithm, RAW_CLAIMS))
                except Exception as error:  # reported below, in the test's own thread
                    wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_lost_session_is_opened_again(provider: TokenProvider, device_keys: dict[str, SigningKey], soft_token: SoftToken) -> None:
    ring = SigningRing(list(device_keys.values()))
    ring.sign("ES256", RAW_CLAIMS)
    provider._session.close()  # as a device does that was restarted; it also logs the process out
    assert ring.verify(ring.sign("ES256", RAW_CLAIMS)) == CLAIMS
    provider.close()
    assert ring.verify(ring.sign("RS256", RAW_CLAIMS)) == CLAIMS


def test_what_is_missing_or_wrong_is_said(soft_token: SoftToken, tmp_path: Path) -> None:
    add_token(soft_token.configuration, "another")
    wrong, empty, binary, open_to_all = (tmp_path / name for name in ("wrong", "empty", "binary", "open"))
    for path, content in ((wrong, b"not-the-pin"), (empty, b"\n"), (binary, b"\xff\xfe"), (open_to_all, PIN.encode())):
        path.write_bytes(content)
        path.chmod(0o600)
    open_to_all.chmod(0o644)
    good = soft_token.pin_file
    for module, token, pin_file, match in (
        ("/nowhere/lib.so", soft_token.token, good, "cannot be loaded"),
        (soft_token.module, "absent", good, "refuses"),
        (soft_token.module, "another", wrong, "refuses"),
        (soft_token.module, soft_token.token, tmp_path / "absent", "cannot be read"),
        (soft_token.module, soft_token.token, empty, "no pin"),
        (soft_token.module, soft_token.token, binary, "no pin"),
        (soft_token.module, soft_token.token, open_to_all, "0600"),
    ):
        with pytest.raises(UnusableToken, match=match) as refused:
            TokenProvider(module, token, pin_file)
        assert PIN not in str(refused.value)
        assert "not-the-pin" not in str(refused.value)


def test_without_the_package_it_says_what_to_install(soft_token: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    with pytest.raises(UnusableToken, match="extra hsm"):
        TokenProvider(soft_token.module, soft_token.token, soft_token.pin_file)
