"""Signing keys and the ring: hand-assembled tokens cross-checked by two other libraries, and everything that must not verify."""

import base64
import importlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet, OctKey, RSAKey, import_key

from keys import (
    ALGORITHMS,
    SM2_SIGNATURE,
    STANDARD_ALGORITHMS,
    IllegalKeyTransition,
    InvalidSignature,
    KeyChange,
    KeyCreation,
    KeyEncryptionKey,
    KeyEvent,
    KeyState,
    MissingKey,
    MissingProvider,
    NoSigningKey,
    SigningKey,
    SigningKeyRecord,
    SigningRing,
    UntrustedKeyRecord,
    carry_out_changes,
    generate_signing_key,
    plan_rotation,
)
from keys.algorithms import SIGNING_ALGORITHMS, SoftwareProvider, to_raw_signature
from keys.signing_key import make_thumbprint

CLAIMS = {"iss": "https://id.example", "sub": "synthetic", "exp": 1790000000, "name": "张三"}
RAW_CLAIMS = json.dumps(CLAIMS, ensure_ascii=False).encode()
LATER = timedelta(days=1)


@pytest.fixture(scope="session")
def ring(every_key: dict[str, SigningKey]) -> SigningRing:
    return SigningRing(list(every_key.values()))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _sign_with(key: SigningKey, header: object, payload: bytes) -> str:
    """Sign as the key's owner could, with any header at all."""
    message = f"{_b64(header if isinstance(header, bytes) else json.dumps(header).encode())}.{_b64(payload)}"
    assert key.private is not None
    return f"{message}.{_b64(key.private.sign(message.encode()))}"


def test_rfc_7638_thumbprint() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9"
        "yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6We"
        "Zu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert make_thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_rfc_7517_public_key_of_the_rfc_7515_a3_private_key() -> None:
    d = int.from_bytes(_unb64("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"), "big")
    jwk = SIGNING_ALGORITHMS["ES256"].hold(ec.derive_private_key(d, ec.SECP256R1())).public
    assert jwk["x"] == "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    assert jwk["y"] == "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_rfc_8037_appendix_a(algorithm: str) -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(_unb64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    part = SIGNING_ALGORITHMS[algorithm].hold(private)
    assert make_thumbprint(part.public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    signed = part.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
    assert _b64(signed) == "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


def test_one_row_an_algorithm_the_default_first() -> None:
    assert ALGORITHMS == ("ES256", "RS256", "PS256", "EdDSA", "Ed25519", "SGD_SM3_SM2")
    assert ALGORITHMS[:-1] == STANDARD_ALGORITHMS
    assert ALGORITHMS[-1] == SM2_SIGNATURE


def test_what_takes_long_says_so(ring: SigningRing) -> None:
    assert [name for name in ALGORITHMS if ring.find_signer(name).slow] == ["RS256", "PS256", "SGD_SM3_SM2"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_key_is_named_by_its_thumbprint_and_bound_to_its_algorithm(algorithm: str, now: datetime) -> None:
    key = generate_signing_key(algorithm, now)
    assert (key.state, key.created_at, key.state_since, key.reason) == (KeyState.PENDING, now, now, None)
    assert key.kid == key.public_jwk["kid"]
    if algorithm in STANDARD_ALGORITHMS:
        assert key.kid == import_key(dict(key.public_jwk)).thumbprint()
    assert (key.public_jwk["alg"], key.public_jwk["use"]) == (algorithm, "sig")
    assert key.kid != generate_signing_key(algorithm, now).kid
    assert "private" not in repr(key)


def test_no_other_algorithm(now: datetime) -> None:
    for algorithm in ("none", "HS256", "PS384", "ES384", "es256", ""):
        with pytest.raises(ValueError, match="no signing algorithm"):
            generate_signing_key(algorithm, now)


@pytest.mark.parametrize("algorithm", STANDARD_ALGORITHMS)
@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "entity-statement+jwt"])
def test_joserfc_accepts_what_we_assemble(ring: SigningRing, algorithm: str, typ: str) -> None:
    token = ring.sign(algorithm, RAW_CLAIMS, typ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # it advises against the name EdDSA (RFC 9864)
        decoded = jwt.decode(token, KeySet.import_key_set(json.loads(ring.jwks)), algorithms=[algorithm])
    assert decoded.claims == CLAIMS
    assert decoded.header["typ"] == typ
    assert decoded.header["alg"] == algorithm
    assert jws.extract_compact(token.encode()).payload == RAW_CLAIMS


def _verify_by_cryptography(key: SigningKey, message: bytes, raw: bytes) -> None:
    assert key.private is not None
    public: Any = load_der_private_key(key.private.store(), None).public_key()  # type: ignore[union-attr]
    if key.algorithm == "ES256":
        assert len(raw) == 64
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public.verify(der, message, ec.ECDSA(SHA256()))
    elif key.algorithm == "RS256":
        public.verify(raw, message, PKCS1v15(), SHA256())
    elif key.algorithm == "PS256":
        public.verify(raw, message, PSS(MGF1(SHA256()), 32), SHA256())
    else:
        public.verify(raw, message)


@pytest.mark.parametrize("algorithm", STANDARD_ALGORITHMS)
def test_cryptography_accepts_what_we_assemble(ring: SigningRing, every_key: dict[str, SigningKey], algorithm: str) -> None:
    key = every_key[algorithm]
    message, _, signature = ring.sign(algorithm, RAW_CLAIMS).rpartition(".")
    _verify_by_cryptography(key, message.encode(), _unb64(signature))
    header = json.loads(_unb64(message.partition(".")[0]))
    assert header == {"alg": algorithm, "kid": key.kid, "typ": "JWT"}


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_authlib_accepts_what_we_assemble(ring: SigningRing, algorithm: str) -> None:
    # Deprecated in favour of joserfc, and loud about it: a second opinion here and nothing more.
    with warnings.catch_warnings(record=True):
        authlib = importlib.import_module("authlib.jose")
    claims = authlib.JsonWebToken([algorithm]).decode(
        ring.sign(algorithm, RAW_CLAIMS), authlib.JsonWebKey.import_key_set(json.loads(ring.jwks))
    )
    assert dict(claims) == CLAIMS


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_the_raw_signature_keeps_both_numbers(r: int, s: int) -> None:
    assert to_raw_signature(encode_dss_signature(r, s)) == r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("number", [1, 0x7F, 0x80, 0xFF, 0x100, 2**248 - 1, 2**248, 2**255 - 1, 2**255, 2**256 - 1])
def test_the_raw_signature_of_short_and_signed_numbers(number: int) -> None:
    for r, s in ((number, 2**255), (2**255, number), (number, number)):
        assert to_raw_signature(encode_dss_signature(r, s)) == r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_verifies_its_own(ring: SigningRing, algorithm: str) -> None:
    token = ring.sign(algorithm, RAW_CLAIMS)
    assert ring.verify(token) == CLAIMS
    assert ring.verify(token, "JWT") == ring.verify(token, "jwt") == ring.verify(token, "application/jwt") == CLAIMS


def test_another_type_of_token_is_refused(ring: SigningRing, es256_key: SigningKey) -> None:
    token = ring.sign("ES256", RAW_CLAIMS, "at+jwt")
    assert ring.verify(token, "at+jwt") == CLAIMS
    for typ in ("JWT", "", "at", "logout+jwt"):
        with pytest.raises(InvalidSignature, match="type"):
            ring.verify(token, typ)
    untyped = _sign_with(es256_key, {"alg": "ES256", "kid": es256_key.kid}, RAW_CLAIMS)
    assert ring.verify(untyped) == CLAIMS
    with pytest.raises(InvalidSignature, match="type"):
        ring.verify(untyped, "JWT")


def test_the_header_of_many_types_is_not_kept_for_ever(ring: SigningRing) -> None:
    for number in range(100):
        assert ring.verify(ring.sign("ES256", RAW_CLAIMS, f"t{number}"), f"t{number}") == CLAIMS
    assert len(ring._signers["ES256"]._headers) <= 32


def test_signing_needs_an_active_key(es256_key: SigningKey, now: datetime) -> None:
    ring = SigningRing([es256_key])
    assert ring.algorithms == ("ES256",)
    for algorithm in ("RS256", "none", "HS256"):
        with pytest.raises(NoSigningKey, match=algorithm):
            ring.sign(algorithm, RAW_CLAIMS)
    with pytest.raises(NoSigningKey):
        SigningRing([es256_key.after(KeyEvent.RETIRE, now)]).sign("ES256", RAW_CLAIMS)


def test_the_newest_of_two_active_keys_signs(es256_key: SigningKey, now: datetime) -> None:
    for newer in [generate_signing_key("ES256", now + LATER, KeyState.ACTIVE) for _ in range(12)]:
        for keys in ([es256_key, newer], [newer, es256_key]):
            ring = SigningRing(keys)
            assert json.loads(_unb64(ring.sign("ES256", RAW_CLAIMS).split(".")[0]))["kid"] == newer.kid
            assert ring.verify(SigningRing([es256_key]).sign("ES256", RAW_CLAIMS)) == CLAIMS


def test_algorithms_lists_the_default_first_and_sm2_apart(ring: SigningRing, es256_key: SigningKey, rs256_key: SigningKey) -> None:
    assert SigningRing([rs256_key, es256_key]).algorithms == ("ES256", "RS256")
    assert ring.algorithms == STANDARD_ALGORITHMS
    assert ring.sm2_algorithms == ("SGD_SM3_SM2",)
    assert SigningRing([es256_key]).sm2_algorithms == ()
    assert SigningRing([es256_key]).sm2_jwks == b'{"keys":[]}'
    assert SigningRing([]).algorithms == ()
    assert SigningRing([]).jwks == b'{"keys":[]}'


def _make_every_state(now: datetime) -> dict[KeyState, SigningKey]:
    keys = {state: generate_signing_key("ES256", now, state) for state in (KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING)}
    gone = generate_signing_key("ES256", now, KeyState.RETIRING)
    stolen = generate_signing_key("ES256", now, KeyState.ACTIVE)
    return {**keys, KeyState.RETIRED: gone.after(KeyEvent.EXPIRE, now), KeyState.REVOKED: stolen.after(KeyEvent.REVOKE, now, "stolen")}


def test_the_jwks_has_the_public_parts_of_what_may_verify(now: datetime) -> None:
    keys = _make_every_state(now)
    jwks = json.loads(SigningRing(list(keys.values())).jwks)["keys"]
    assert {jwk["kid"] for jwk in jwks} == {keys[state].kid for state in (KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING)}
    assert all(set(jwk) == {"kty", "crv", "x", "y", "use", "alg", "kid"} for jwk in jwks)


def test_the_jwks_of_rsa_has_no_private_part(rs256_key: SigningKey) -> None:
    (jwk,) = json.loads(SigningRing([rs256_key]).jwks)["keys"]
    assert set(jwk) == {"kty", "n", "e", "use", "alg", "kid"}
    assert jwk["e"] == "AQAB"
    assert len(_unb64(jwk["n"])) == 256


def test_an_sm2_key_is_published_apart(ring: SigningRing, every_key: dict[str, SigningKey]) -> None:
    # joserfc, for one, refuses a whole set that has a curve it does not know.
    common, apart = json.loads(ring.jwks)["keys"], json.loads(ring.sm2_jwks)["keys"]
    assert {key["alg"] for key in common} == set(STANDARD_ALGORITHMS)
    KeySet.import_key_set({"keys": common})
    (jwk,) = apart
    assert set(jwk) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["kid"]) == ("EC", "SM2-P-256", "SGD_SM3_SM2", every_key["SGD_SM3_SM2"].kid)


@pytest.mark.parametrize(
    "event, state, still",
    [(None, KeyState.PENDING, True), (KeyEvent.RETIRE, KeyState.ACTIVE, True), (KeyEvent.EXPIRE, KeyState.RETIRING, False)],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_old_tokens_verify_until_their_key_is_retired(
    algorithm: str, event: KeyEvent | None, state: KeyState, still: bool, now: datetime
) -> None:
    key = generate_signing_key(algorithm, now, state)
    token = _sign_with(key, {"alg": algorithm, "kid": key.kid, "typ": "JWT"}, RAW_CLAIMS)
    ring = SigningRing([key.after(event, now) if event else key])
    if still:
        assert ring.verify(token, "JWT") == CLAIMS
    else:
        with pytest.raises(InvalidSignature, match="withdrawn"):
            ring.verify(token, "JWT")


def test_a_revoked_key_verifies_nothing_at_once(es256_key: SigningKey, now: datetime) -> None:
    token = SigningRing([es256_key]).sign("ES256", RAW_CLAIMS)
    with pytest.raises(InvalidSignature, match="withdrawn"):
        SigningRing([es256_key.after(KeyEvent.REVOKE, now, "stolen")]).verify(token)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_retired_key_verifies_the_past_alone_and_for_a_while(
    every_key: dict[str, SigningKey], algorithm: str, kek: KeyEncryptionKey, now: datetime
) -> None:
    active = every_key[algorithm]
    token = SigningRing([active]).sign(algorithm, RAW_CLAIMS)
    retired = active.after(KeyEvent.RETIRE, now).after(KeyEvent.EXPIRE, now + LATER)
    retired = SigningKey.from_record(retired.to_record(kek), kek)
    ring = SigningRing([retired], past_since=now)
    assert ring.verify_past(token, "JWT") == CLAIMS
    assert ring.jwks == ring.sm2_jwks == b'{"keys":[]}'
    with pytest.raises(InvalidSignature, match="withdrawn"):
        ring.verify(token, "JWT")
    with pytest.raises(InvalidSignature, match="type"):
        ring.verify_past(token, "logout+jwt")
    with pytest.raises(InvalidSignature):
        ring.verify_past(token[:-2])
    for without in (SigningRing([retired]), SigningRing([retired], past_since=now + 2 * LATER)):
        with pytest.raises(InvalidSignature, match="withdrawn"):
            without.verify_past(token)
    assert SigningRing([active], past_since=now).verify_past(token) == CLAIMS


def test_a_revoked_key_verifies_not_even_the_past(es256_key: SigningKey, now: datetime) -> None:
    token = SigningRing([es256_key]).sign("ES256", RAW_CLAIMS)
    retired = es256_key.after(KeyEvent.RETIRE, now).after(KeyEvent.EXPIRE, now)
    for revoked in (es256_key.after(KeyEvent.REVOKE, now, "stolen"), retired.after(KeyEvent.REVOKE, now, "stolen")):
        with pytest.raises(InvalidSignature, match="withdrawn"):
            SigningRing([revoked], past_since=now - LATER).verify_past(token)


def test_a_retired_key_that_nobody_vouches_for_verifies_nothing(es256_key: SigningKey, kek: KeyEncryptionKey, now: datetime) -> None:
    # Rows that an early release retired have nothing wrapped; nor has a row that somebody only wrote to the database.
    token = SigningRing([es256_key]).sign("ES256", RAW_CLAIMS)
    record = es256_key.after(KeyEvent.RETIRE, now).after(KeyEvent.EXPIRE, now).to_record(kek)._replace(wrapped=None)
    key = SigningKey.from_record(record, kek)
    assert key.to_record(kek) == record
    with pytest.raises(InvalidSignature):
        SigningRing([key], past_since=now).verify_past(token)


def test_a_signer_stays_with_its_key(every_key: dict[str, SigningKey], now: datetime) -> None:
    key = every_key["ES256"]
    signer = SigningRing([key]).find_signer("ES256")
    newer = generate_signing_key("ES256", now, KeyState.ACTIVE)
    ring = SigningRing([key.after(KeyEvent.RETIRE, now), newer])
    assert (signer.kid, ring.find_signer("ES256").kid) == (key.kid, newer.kid)
    assert ring.verify(signer.sign(RAW_CLAIMS)) == CLAIMS


def test_an_unknown_key_is_refused(ring: SigningRing, now: datetime) -> None:
    stranger = generate_signing_key("ES256", now, KeyState.ACTIVE)
    with pytest.raises(InvalidSignature, match="unknown"):
        ring.verify(SigningRing([stranger]).sign("ES256", RAW_CLAIMS))


def test_a_foreign_signature_under_our_kid_is_refused(ring: SigningRing, es256_key: SigningKey, now: datetime) -> None:
    stranger = generate_signing_key("ES256", now, KeyState.ACTIVE)
    with pytest.raises(InvalidSignature, match="signature"):
        ring.verify(_sign_with(stranger, {"alg": "ES256", "kid": es256_key.kid, "typ": "JWT"}, RAW_CLAIMS))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS256", "PS256", "ES384", "ES256K", ""])
def test_the_header_never_chooses_the_algorithm(ring: SigningRing, es256_key: SigningKey, algorithm: str) -> None:
    token = _sign_with(es256_key, {"alg": algorithm, "kid": es256_key.kid, "typ": "JWT"}, RAW_CLAIMS)
    for wrong in (token, token.rpartition(".")[0] + "."):
        with pytest.raises(InvalidSignature, match="algorithm"):
            ring.verify(wrong)


def test_our_public_key_as_a_shared_secret(ring: SigningRing, rs256_key: SigningKey) -> None:
    pem = RSAKey.import_key(dict(rs256_key.public_jwk)).as_pem(private=False)
    secret = OctKey.import_key(base64.b64encode(pem))
    token = jws.serialize_compact({"alg": "HS256", "kid": rs256_key.kid, "typ": "JWT"}, RAW_CLAIMS, secret, algorithms=["HS256"])
    with pytest.raises(InvalidSignature, match="algorithm"):
        ring.verify(token)


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"jwk": {"kty": "EC"}},
        {"jku": "https://id.example/keys"},
        {"x5c": ["AAAA"]},
        {"typ": 1},
        {"typ": None},
        {"kid": ["a"]},
        {"alg": {}},
        {"zip": "DEF"},
    ],
)
def test_a_header_with_anything_of_its_own_is_refused(ring: SigningRing, es256_key: SigningKey, extra: dict[str, Any]) -> None:
    header = {"alg": "ES256", "kid": es256_key.kid, "typ": "JWT", **extra}
    with pytest.raises(InvalidSignature, match="header"):
        ring.verify(_sign_with(es256_key, header, RAW_CLAIMS))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":[-1e999]}',
        b"\xff",
        b'{"a":',
        b"[" * 3000,
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_claims_that_are_no_clean_object_are_refused(ring: SigningRing, es256_key: SigningKey, payload: bytes) -> None:
    token = _sign_with(es256_key, {"alg": "ES256", "kid": es256_key.kid, "typ": "JWT"}, payload)
    with pytest.raises(InvalidSignature):
        ring.verify(token)


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"null", b"\xff", b"[" * 300, b'{"alg":"none","alg":"ES256"}', b'{"alg":"ES256"}', b"{}", b" " * 600]
)
def test_headers_that_are_none_are_refused(ring: SigningRing, es256_key: SigningKey, header: bytes) -> None:
    with pytest.raises(InvalidSignature):
        ring.verify(_sign_with(es256_key, header, RAW_CLAIMS))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.data())
def test_every_altered_letter_and_every_cut_is_refused(ring: SigningRing, algorithm: str, data: st.DataObject) -> None:
    token = ring.sign(algorithm, RAW_CLAIMS)
    position = data.draw(st.integers(0, len(token) - 1))
    drawn = data.draw(st.characters())
    letter = drawn if drawn != token[position] else "!"
    for wrong in (
        token[:position] + letter + token[position + 1 :],
        token[:position],
        token + letter,
        token + "=",
        f"{token}.",
        f".{token}",
    ):
        with pytest.raises(InvalidSignature):
            ring.verify(wrong)


@given(
    st.text(max_size=300)
    | st.lists(st.binary(max_size=60), min_size=1, max_size=5).map(lambda parts: ".".join(_b64(part) for part in parts))
)
def test_arbitrary_text_is_refused(ring: SigningRing, text: str) -> None:
    for verify in (ring.verify, ring.verify_past):
        with pytest.raises(InvalidSignature):
            verify(text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signatures_of_a_wrong_size_are_refused(ring: SigningRing, algorithm: str) -> None:
    message, _, signature = ring.sign(algorithm, RAW_CLAIMS).rpartition(".")
    for raw in (b"", bytes(64), bytes(63), b"\xff" * 64, _unb64(signature)[:63], _unb64(signature) + b"\0", bytes(2000)):
        with pytest.raises(InvalidSignature):
            ring.verify(f"{message}.{_b64(raw)}")


def test_over_long_tokens_are_refused_unread(es256_key: SigningKey) -> None:
    token = SigningRing([es256_key]).sign("ES256", json.dumps({"a": "x" * 7000}).encode())
    assert len(token) > 8192
    with pytest.raises(InvalidSignature, match="long"):
        SigningRing([es256_key]).verify(token)
    assert SigningRing([es256_key], max_token=len(token)).verify(token) == {"a": "x" * 7000}


def test_a_large_statement_verifies_where_it_is_allowed(es256_key: SigningKey) -> None:
    ring = SigningRing([es256_key], max_token=256 * 1024)
    claims = {"a": "x" * 180_000}
    assert ring.verify(ring.sign("ES256", json.dumps(claims).encode())) == claims


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_record_gives_the_same_key_back(algorithm: str, kek: KeyEncryptionKey, now: datetime, ring: SigningRing) -> None:
    key = generate_signing_key(algorithm, now, KeyState.ACTIVE)
    record = key.to_record(kek)
    assert record[:3] == (key.kid, algorithm, "active")
    assert json.loads(record.public_jwk) == dict(key.public_jwk)
    loaded = SigningKey.from_record(record, kek)
    assert loaded == key
    assert SigningRing([key]).verify(SigningRing([loaded]).sign(algorithm, RAW_CLAIMS)) == CLAIMS
    assert len(record.wrapped or b"") < 4096


def test_a_record_of_an_ended_key_has_no_private_part(kek: KeyEncryptionKey, now: datetime, es256_key: SigningKey) -> None:
    revoked = es256_key.after(KeyEvent.REVOKE, now + LATER, "the host was lost")
    assert revoked.private is None
    assert (revoked.state_since, revoked.created_at, revoked.reason) == (now + LATER, now, "the host was lost")
    record = revoked.to_record(kek)
    assert (record.state, record.wrapped, record.reason) == ("revoked", None, "the host was lost")
    assert SigningKey.from_record(record, kek) == revoked


def _tamper(record: SigningKeyRecord, kek: KeyEncryptionKey, other: SigningKey) -> Sequence[SigningKeyRecord]:
    stranger = other.to_record(kek)
    jwk = json.loads(record.public_jwk)
    p384 = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return [
        record._replace(wrapped=None),
        record._replace(wrapped=b""),
        record._replace(wrapped=stranger.wrapped),
        record._replace(wrapped=(record.wrapped or b"")[:-1]),
        record._replace(wrapped=kek.wrap(record.kid, b"no key")),
        record._replace(wrapped=kek.wrap(record.kid, p384)),
        record._replace(public_jwk=stranger.public_jwk),
        record._replace(public_jwk="{"),
        record._replace(public_jwk="[]"),
        record._replace(public_jwk="{}"),
        record._replace(public_jwk=json.dumps({**jwk, "d": "AAAA"})),
        record._replace(algorithm="RS256"),
        record._replace(algorithm="none"),
        record._replace(kid=stranger.kid),
        record._replace(state="ACTIVE"),
        record._replace(state="retired"),
        record._replace(state="revoked"),
        record._replace(state="retired", wrapped=None, public_jwk="[" * 100_000),
        record._replace(state="retired", wrapped=None, public_jwk="[]"),
        record._replace(state="retired", wrapped=None, public_jwk="{}"),
        record._replace(state="retired", wrapped=None, public_jwk=stranger.public_jwk),
        record._replace(state="retired", wrapped=None, algorithm="none"),
        record._replace(state="retired", wrapped=kek.wrap(record.kid, b"revoked")),
        record._replace(state="retired", wrapped=kek.wrap(stranger.kid, b"retired")),
        record._replace(state="revoked", wrapped=kek.wrap(record.kid, b"retired")),
        record._replace(state="active", wrapped=kek.wrap(record.kid, b"retired")),
        record._replace(label="elsewhere"),
        record._replace(state="retired", wrapped=None, public_jwk=json.dumps({**jwk, "kid": "x"})),
        stranger._replace(wrapped=record.wrapped),
    ]


def test_a_record_that_the_database_altered_is_refused(kek: KeyEncryptionKey, es256_key: SigningKey, now: datetime) -> None:
    records = _tamper(es256_key.to_record(kek), kek, generate_signing_key("ES256", now, KeyState.ACTIVE))
    for record in records:
        with pytest.raises(UntrustedKeyRecord):
            SigningKey.from_record(record, kek)


def test_a_record_of_another_owner_is_refused(kek: KeyEncryptionKey, es256_key: SigningKey) -> None:
    with pytest.raises(UntrustedKeyRecord):
        SigningKey.from_record(es256_key.to_record(KeyEncryptionKey(bytes(32))), kek)


def test_a_short_rsa_key_is_refused() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(ValueError, match="not a key"):
        SoftwareProvider().load("RS256", short.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize("one, other", [("RS256", "PS256"), ("PS256", "RS256"), ("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_a_key_cannot_be_turned_to_another_algorithm(every_key: dict[str, SigningKey], kek: KeyEncryptionKey, one: str, other: str) -> None:
    record = every_key[one].to_record(kek)
    turned = record._replace(algorithm=other, public_jwk=record.public_jwk.replace(f'"{one}"', f'"{other}"'))
    assert turned.public_jwk != record.public_jwk
    with pytest.raises(UntrustedKeyRecord):
        SigningKey.from_record(turned, kek)


def test_a_key_in_a_device_that_nobody_named(kek: KeyEncryptionKey, es256_key: SigningKey, now: datetime) -> None:
    record = es256_key.to_record(kek)._replace(provider="pkcs11")
    with pytest.raises(MissingProvider, match="pkcs11"):
        SigningKey.from_record(record, kek)
    ended = es256_key.after(KeyEvent.REVOKE, now).to_record(kek)._replace(provider="pkcs11", label="x")
    assert SigningKey.from_record(ended, kek).provider == "pkcs11"


@pytest.mark.parametrize("state", KeyState)
def test_a_key_has_a_private_part_exactly_while_it_is_published(es256_key: SigningKey, state: KeyState) -> None:
    ended = state in (KeyState.RETIRED, KeyState.REVOKED)
    assert replace(es256_key, state=state, private=None if ended else es256_key.private).state is state
    with pytest.raises(ValueError, match="private part"):
        replace(es256_key, state=state, private=es256_key.private if ended else None)


def test_instants_are_aware(es256_key: SigningKey, now: datetime) -> None:
    with pytest.raises(ValueError, match="aware"):
        replace(es256_key, created_at=now.replace(tzinfo=None))
    with pytest.raises(ValueError, match="aware"):
        replace(es256_key, state_since=now.replace(tzinfo=None))


def test_an_ended_key_stays_ended(es256_key: SigningKey, now: datetime) -> None:
    revoked = es256_key.after(KeyEvent.REVOKE, now)
    for event in KeyEvent:
        with pytest.raises(IllegalKeyTransition):
            revoked.after(event, now)


def test_s27_a_new_key_is_published_before_it_signs_and_old_tokens_verify_until_expiry(now: datetime) -> None:
    """S27 as far as keys go: the whole rotation by itself, step by step."""
    pending_for, retiring_for, rotate_after = timedelta(hours=1), timedelta(days=1), timedelta(days=90)

    def turn(keys: list[SigningKey], at: datetime) -> list[SigningKey]:
        plan = plan_rotation(keys, "ES256", at, pending_for, retiring_for, rotate_after)
        changed = {key.kid: key for key in carry_out_changes(keys, plan, at)}
        return [changed.pop(key.kid, key) for key in keys] + list(changed.values())

    keys = turn([], now)
    first, successor = keys
    ring = SigningRing(keys)
    assert successor.kid.encode() in ring.jwks, "it stands by"
    old_token = ring.sign("ES256", RAW_CLAIMS)
    assert ring.find_signer("ES256").kid == first.kid

    due = now + rotate_after
    assert turn(keys, due - timedelta(seconds=1)) == keys
    keys = turn(keys, due)
    ring = SigningRing(keys)
    new_token = ring.sign("ES256", RAW_CLAIMS)
    assert ring.find_signer("ES256").kid == successor.kid
    assert ring.verify(old_token) == ring.verify(new_token) == CLAIMS
    assert [key.state for key in keys] == [KeyState.RETIRING, KeyState.ACTIVE, KeyState.PENDING]

    keys = turn(keys, due + retiring_for)
    ring = SigningRing(keys, past_since=now)
    assert [key.private is None for key in keys] == [key.state is KeyState.RETIRED for key in keys] == [True, False, False]
    assert ring.verify(new_token) == ring.verify_past(old_token) == CLAIMS
    with pytest.raises(InvalidSignature):
        ring.verify(old_token)


def test_changes_are_carried_out_in_order_or_not_at_all(es256_key: SigningKey, now: datetime) -> None:
    retired, made = carry_out_changes(
        [es256_key], [KeyChange(es256_key.kid, KeyEvent.RETIRE), KeyCreation("ES256", KeyState.ACTIVE)], now + LATER
    )
    assert (retired.kid, retired.state, retired.state_since) == (es256_key.kid, KeyState.RETIRING, now + LATER)
    assert (made.state, made.created_at) == (KeyState.ACTIVE, now + LATER)
    with pytest.raises(MissingKey, match="absent"):
        carry_out_changes([es256_key], [KeyChange("absent", KeyEvent.RETIRE)], now)
