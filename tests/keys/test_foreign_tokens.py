"""Keys and tokens of others: the RFCs' own examples hold, and everything that has fooled somebody once does not."""

import base64
import hashlib
import hmac
import json
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from keys import (
    ENCRYPTION_ALGORITHMS,
    ENCRYPTION_METHODS,
    MAX_KEY_SET,
    SIGNATURE_KINDS,
    CannotEncrypt,
    ForeignKeySet,
    InvalidSignature,
    UnknownKey,
    UnusableKeySet,
    choose_recipient,
    encrypt_to,
    read_foreign_token,
    read_key,
    read_key_set,
    verify_with_keys,
    verify_with_own_key,
    verify_with_secret,
)

CLAIMS = {"iss": "client", "jti": "1"}
EC: Any = ECKey.generate_key("P-256", {"kid": "ec"}, auto_kid=False)
EC384: Any = ECKey.generate_key("P-384", {"kid": "ec384"}, auto_kid=False)
OTHER: Any = ECKey.generate_key("P-256", {"kid": "ec"}, auto_kid=False)
RSA: Any = RSAKey.generate_key(2048, {"kid": "rsa"}, auto_kid=False)
ED: Any = OKPKey.generate_key("Ed25519", {"kid": "ed"}, auto_kid=False)
SIGNERS = {"P-256": EC, "P-384": EC384, "RSA": RSA, "Ed25519": ED}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_set(*keys: Any, **changes: Any) -> ForeignKeySet:
    return read_key_set(json.dumps({"keys": [{**key.as_dict(private=False), **changes} for key in keys]}).encode())


ALL = make_set(EC, EC384, RSA, ED)


def sign(key: Any, algorithm: str, payload: bytes | None = None, **header: Any) -> str:
    """Return a JWS made by hand, so that any header can be written."""
    protected = {"alg": algorithm, "kid": key.as_dict(private=False).get("kid", "x"), **header}
    protected = {name: value for name, value in protected.items() if value is not None}
    raw = json.dumps(CLAIMS).encode() if payload is None else payload
    message = f"{b64(json.dumps(protected).encode())}.{b64(raw)}"
    model = jws.JWSRegistry.algorithms[algorithm if algorithm in jws.JWSRegistry.algorithms else "ES256"]
    signer = key if algorithm in jws.JWSRegistry.algorithms else EC
    return f"{message}.{b64(model.sign(message.encode(), signer))}"


def check(text: str, keys: ForeignKeySet = ALL, algorithms: Any = tuple(SIGNATURE_KINDS), typ: Any = None) -> Any:
    token = read_foreign_token(text)
    verify_with_keys(token, keys, algorithms, typ)
    return token.claims


# --------------------------------------------------------------------------------------------------------------- vectors


def test_rfc_7638_thumbprint() -> None:
    """The example of RFC 7638 §3.1."""
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64t"
        "Z_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO"
        "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    key = read_key(jwk)
    assert key is not None
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert (key.kid, key.algorithm, key.kind) == ("2011-04-29", "RS256", "RSA")


def test_rfc_8037_thumbprint_and_signature() -> None:
    """RFC 8037 A.3 (thumbprint) and A.4 (Ed25519 signature; its payload is no JSON, so only the key is ours to check)."""
    key = read_key({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    assert key is not None
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    text = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    message, _, signature = text.rpartition(".")
    assert jws.JWSRegistry.algorithms["Ed25519"].verify(message.encode(), base64.urlsafe_b64decode(signature + "=="), key.public)
    with pytest.raises(InvalidSignature):
        read_foreign_token(text)


DPOP_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZF"
    "NGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBz"
    "Oi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT"
    "3Lg"
)


def test_rfc_9449_proof() -> None:
    """The proof of RFC 9449 §4.1 and the thumbprint of §6.1, made of the same key."""
    token = read_foreign_token(DPOP_PROOF, own_key=True)
    key = verify_with_own_key(token, ["ES256"], ["dpop+jwt"])
    assert key.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert token.claims == {"jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": "https://server.example.com/token", "iat": 1562262616}


def test_rfc_7515_es256() -> None:
    """RFC 7515 A.3."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    text = (
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    keys = read_key_set(json.dumps({"keys": [key]}).encode())
    assert check(text, keys)["iss"] == "joe"


def test_rfc_7515_hs256() -> None:
    """RFC 7515 A.1."""
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    secret = base64.urlsafe_b64decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==")
    token = read_foreign_token(text)
    verify_with_secret(token, secret, ["JWT"])
    for wrong in (bytes(32), secret[:-1] + b"\0"):
        with pytest.raises(InvalidSignature):
            verify_with_secret(token, wrong)
    with pytest.raises(InvalidSignature, match="type"):
        verify_with_secret(token, secret, ["dpop+jwt"])
    with pytest.raises(ValueError, match="32 bytes"):
        verify_with_secret(token, secret[:31])


# ------------------------------------------------------------------------------------------------------------------ keys


@pytest.mark.parametrize("algorithm", SIGNATURE_KINDS)
def test_each_algorithm_is_verified_by_its_kind_of_key(algorithm: str) -> None:
    key = SIGNERS[SIGNATURE_KINDS[algorithm]]
    text = sign(key, algorithm, typ="JWT")
    assert check(text, typ=["JWT"]) == CLAIMS
    assert check(text, make_set(key, use="sig")) == CLAIMS
    assert check(sign(key, algorithm, kid=None), make_set(key)) == CLAIMS, "one fitting key needs no name"
    with pytest.raises(UnknownKey):
        check(text, make_set(key, use="enc"))
    with pytest.raises(UnknownKey):
        check(text, make_set(key, kid="another"))
    other = "PS256" if algorithm == "RS256" else "RS256"
    with pytest.raises(UnknownKey):
        check(text, make_set(key, alg=other))
    assert check(text, make_set(key, alg=algorithm)) == CLAIMS
    with pytest.raises(InvalidSignature, match="accepted"):
        check(text, algorithms=[a for a in SIGNATURE_KINDS if a != algorithm])


def test_the_two_names_of_one_algorithm() -> None:
    for named, used in (("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")):
        assert check(sign(ED, used), make_set(ED, alg=named)) == CLAIMS


def test_a_name_that_several_keys_have() -> None:
    both = ForeignKeySet(make_set(OTHER).keys + make_set(EC).keys)
    assert check(sign(EC, "ES256"), both) == CLAIMS
    with pytest.raises(UnknownKey):
        check(sign(EC, "ES256", kid=None), both)
    with pytest.raises(InvalidSignature, match="hold"):
        check(sign(EC, "ES256"), make_set(OTHER))


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct"},
        {"kty": "AKP"},
        {"kty": None},
        {"kty": ["EC"]},
        {"kty": "OKP"},
        {"crv": "P-521"},
        {"crv": "secp256k1"},
        {"crv": "SM2"},
        {"crv": "Ed25519"},
        {"crv": None},
        {"crv": 1},
        {"crv": ["P-256"]},
        {"crv": "RSA"},
        {"x": None},
        {"x": ""},
        {"x": 1},
        {"x": "AAAA"},
        {"x": b64(bytes(33))},
        {"x": b64(bytes(32)), "y": b64(bytes(32))},
        {"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="},
        {"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV"},
        {"x": "+" * 43},
        {"kid": 1},
        {"kid": "k" * 257},
        {"use": []},
        {"alg": {}},
        {"key_ops": "verify"},
        {"key_ops": ["verify", 1]},
    ],
)
def test_keys_that_are_not_used(change: dict[str, Any]) -> None:
    jwk = {**EC.as_dict(private=False), **change}
    assert read_key(jwk) is None


@pytest.mark.parametrize(
    "operations, verifies, encrypts",
    [
        (["verify"], True, False),
        (["sign", "verify"], True, False),
        (["encrypt"], False, True),
        (["wrapKey"], False, True),
        (["deriveBits", "deriveKey"], False, True),
        (["verify", "wrapKey"], True, True),
        (["sign", "decrypt", "unwrapKey"], False, False),
        (["Verify", "somewhere-else"], False, False),
        (None, True, True),
    ],
)
def test_a_key_does_what_its_owner_lists(operations: list[str] | None, verifies: bool, encrypts: bool) -> None:
    """RFC 7517 §4.3."""
    for algorithm, key in (("ES256", EC), ("PS256", RSA)):
        assert bool(make_set(key, key_ops=operations).find_verifiers(key.kid, algorithm)) is verifies
    for algorithm, key in (("ECDH-ES", EC), ("RSA-OAEP-256", RSA)):
        assert (make_set(key, key_ops=operations).find_recipient(algorithm) is not None) is encrypts


def test_a_list_of_no_operations() -> None:
    assert make_set(EC, key_ops=[]).find_recipient("ECDH-ES") is not None, "as Web Crypto writes a public key of ECDH"
    assert make_set(EC, key_ops=[]).find_verifiers("ec", "ES256"), "it says nothing"


def test_a_key_for_encryption_alone_comes_before_one_that_can_do_everything() -> None:
    keys = ForeignKeySet(make_set(EC, key_ops=["sign", "verify", "deriveKey"]).keys + make_set(OTHER, use="enc").keys)
    found = keys.find_recipient("ECDH-ES")
    assert found is not None
    assert found.thumbprint == OTHER.thumbprint()


def test_the_key_listed_for_encryption_is_taken() -> None:
    keys = ForeignKeySet(make_set(EC).keys + make_set(OTHER, key_ops=["deriveKey"]).keys)
    found = keys.find_recipient("ECDH-ES")
    assert found is not None
    assert found.thumbprint == OTHER.thumbprint()
    both = make_set(EC, use="sig", key_ops=["deriveKey"])
    assert both.find_recipient("ECDH-ES") is None, "what use and key_ops say has to agree"
    assert both.find_verifiers("ec", "ES256") == ()


@pytest.mark.parametrize(
    "n, e",
    [
        (2**2046 + 1, 65537),
        (2**9000 + 1, 65537),
        (2**2047, 65537),
        (2**2047 + 1, 1),
        (2**2047 + 1, 65536),
        (2**2047 + 1, 2**32 + 1),
        (2**2047 + 1, 2**2000 + 1),
    ],
)
def test_rsa_keys_that_are_weak_or_costly(n: int, e: int) -> None:
    def spell(number: int) -> str:
        return b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))

    assert read_key({"kty": "RSA", "n": spell(n), "e": spell(e)}) is None


def test_one_key_has_one_thumbprint() -> None:
    jwk = RSA.as_dict(private=False)
    padded = b64(b"\0" + base64.urlsafe_b64decode(jwk["n"] + "=="))
    assert read_key({**jwk, "n": padded}) is None
    assert read_key({**jwk, "e": "AAEAAQ"}) is None
    first, second = read_key(jwk), read_key({**jwk, "kid": "other", "use": "sig", "crv": "P-256"})
    assert first is not None
    assert second is not None
    assert first.thumbprint == second.thumbprint == RSA.thumbprint()


def test_strange_keys_are_ignored_in_a_set() -> None:
    strange = [{"kty": "EC", "crv": "SM2", "x": "AA", "y": "AA"}, {"kty": "AKP"}, {}]
    keys = read_key_set(json.dumps({"keys": [*strange, EC.as_dict(private=False)]}).encode())
    assert (len(keys.keys), keys.ignored) == (1, 3)


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b"", "JSON"),
        (b"[]", "JSON"),
        (b"\xff", "JSON"),
        (b'{"keys":[],"keys":[]}', "twice"),
        (b'{"keys":' + b"[" * 20 + b"]" * 20 + b"}", "JSON"),
        (b"{}", "no list"),
        (b'{"keys":{}}', "no list"),
        (b'{"keys":[1]}', "no list"),
        (b'{"keys":"none"}', "no list"),
        (json.dumps({"keys": [{}] * 21}).encode(), "too many"),
        (b'{"keys":[]' + b" " * MAX_KEY_SET + b"}", "too long"),
        (json.dumps({"keys": [EC.as_dict(private=True)]}).encode(), "private"),
        (json.dumps({"keys": [RSA.as_dict(private=True)]}).encode(), "private"),
        (json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}]}).encode(), "private"),
        (json.dumps({"keys": [{"kty": "oct"}]}).encode(), "private"),
    ],
)
def test_sets_that_are_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(UnusableKeySet, match=reason):
        read_key_set(raw)


def test_certificates_of_a_key() -> None:
    der = b"a certificate"
    thumbprint = b64(hashlib.sha256(der).digest())
    jwk = EC.as_dict(private=False)
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, set()),
        ({"x5c": [base64.b64encode(der).decode(), "AAAA"]}, {thumbprint}),
        ({"x5t#S256": "abc"}, {"abc"}),
        ({"x5t#S256": "abc", "x5c": ["no base64!"]}, {"abc"}),
        ({"x5c": []}, set()),
        ({"x5c": "AAAA"}, set()),
        ({"x5c": [1]}, set()),
        ({"x5c": {}, "x5t#S256": 1}, set()),
    ]
    for members, expected in cases:
        key = read_key({**jwk, **members})
        assert key is not None
        assert key.certificates == expected


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_are_a_set_or_refused(raw: bytes) -> None:
    try:
        keys = read_key_set(raw)
    except UnusableKeySet:
        return
    assert keys.keys == ()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "x5c", "x5t#S256", "d"]), _JSON))
def test_arbitrary_members_are_a_key_or_none(jwk: dict[str, Any]) -> None:
    assert read_key(jwk) is None
    read_key({**EC.as_dict(private=False), **jwk})


# ---------------------------------------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "HS512", "ES256K", "RS1", "ES512", "dir"])
@pytest.mark.parametrize("signed", [True, False])
def test_algorithms_that_nobody_accepts(algorithm: str, signed: bool) -> None:
    message = f"{b64(json.dumps({'alg': algorithm, 'kid': 'ec'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    signature = b64(bytes(64)) if signed else ""
    with pytest.raises(InvalidSignature):
        check(f"{message}.{signature}", algorithms=[*SIGNATURE_KINDS, algorithm, "none", "HS256"])


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "n"])
def test_a_public_key_is_no_shared_secret(form: str) -> None:
    public = RSA.public_key
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(RSA.as_dict(private=False)).encode(),
        "n": RSA.as_dict(private=False)["n"].encode(),
    }[form]
    message = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'rsa'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    text = f"{message}.{b64(hmac.digest(secret, message.encode(), 'sha256'))}"
    for algorithms in (["RS256"], ["RS256", "HS256"]):
        with pytest.raises(InvalidSignature, match="accepted"):
            check(text, algorithms=algorithms)


def test_a_signature_by_another_kind_of_key() -> None:
    for name, signer, algorithm in (("rsa", EC, "ES256"), ("ec", RSA, "RS256"), ("ec", ED, "EdDSA"), ("ec", EC384, "ES384")):
        with pytest.raises(UnknownKey):
            check(sign(signer, algorithm, kid=name))
    for claimed, made in (("RS256", "PS256"), ("PS256", "RS256")):
        text = sign(RSA, made)
        _, payload, signature = text.split(".")
        forged = b64(json.dumps({"alg": claimed, "kid": "rsa"}).encode())
        with pytest.raises(InvalidSignature):
            check(f"{forged}.{payload}.{signature}")


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"b64": True},
        {"jwk": EC.as_dict(private=False)},
        {"jku": "https://department.example/keys"},
        {"x5u": "https://department.example/cert"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"alg": ["ES256"]},
        {"kid": 1},
        {"typ": {}},
        {"cty": []},
    ],
)
def test_header_members_that_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignature, match="header member"):
        check(_sign_with_header(extra))


def _sign_with_header(extra: dict[str, Any]) -> str:
    message = f"{b64(json.dumps({'alg': 'ES256', 'kid': 'ec', **extra}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    return f"{message}.{b64(jws.JWSRegistry.algorithms['ES256'].sign(message.encode(), EC))}"


@pytest.mark.parametrize("extra", [{"x5t": "abc"}, {"x5c": ["AAAA"]}, {"x5t#S256": "a"}, {"own": {"a": 1}}, {"typ": "JWT", "cty": "JWT"}])
def test_header_members_that_have_no_say(extra: dict[str, Any]) -> None:
    assert check(_sign_with_header(extra)) == CLAIMS


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt", "dpop+jwt2", ""])
def test_the_type_must_be_the_one_asked_for(typ: str | None) -> None:
    for accepted in (["client-authentication+jwt"], ["dpop+jwt", "oauth-authz-req+jwt"]):
        with pytest.raises(InvalidSignature, match="type"):
            check(sign(EC, "ES256", typ=typ), typ=accepted)
    assert check(sign(EC, "ES256", typ="application/DPoP+JWT"), typ=["dpop+jwt"]) == CLAIMS


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b'"x"',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":[-1e999]}',
        b"\xff",
        b"[" * 3000,
        b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":["x\\uDFFFx"]}',
        b'{"a":{"\\uDc00\\ud800":1}}',
    ],
)
def test_claims_that_are_no_clean_object(payload: bytes) -> None:
    with pytest.raises(InvalidSignature, match="clean"):
        check(sign(EC, "ES256", payload))


def test_a_finite_number_stays_what_it_is() -> None:
    assert check(sign(EC, "ES256", b'{"a":[0.5,-2e3,7]}')) == {"a": [0.5, -2000.0, 7]}


def test_a_whole_pair_and_what_only_looks_like_half_of_one_stay() -> None:
    assert check(sign(EC, "ES256", b'{"a":"\\ud83d\\ude00","b":"\\\\ud800"}')) == {"a": "\U0001f600", "b": "\\ud800"}


def test_depth_is_counted() -> None:
    deepest = b'{"a":' + b"[" * 15 + b"]" * 15 + b"}"
    assert check(sign(EC, "ES256", deepest)) == json.loads(deepest)


def test_repeated_names_in_the_header() -> None:
    for raw in (b'{"alg":"ES256","kid":"ec","alg":"none"}', b'{"alg":"ES256","kid":"ec","own":{"a":1,"a":2}}'):
        message = f"{b64(raw)}.{b64(json.dumps(CLAIMS).encode())}"
        with pytest.raises(InvalidSignature, match="clean"):
            check(f"{message}.{b64(jws.JWSRegistry.algorithms['ES256'].sign(message.encode(), EC))}")


def test_a_nested_jwt_is_no_object() -> None:
    with pytest.raises(InvalidSignature, match="clean"):
        check(sign(EC, "ES256", sign(EC, "ES256").encode(), cty="JWT"))


def test_sizes() -> None:
    long = sign(EC, "ES256", json.dumps({"a": "x" * 13_000}).encode())
    with pytest.raises(InvalidSignature, match="long"):
        read_foreign_token(long)
    verify_with_keys(read_foreign_token(long, max_size=40_000), ALL, ["ES256"])
    with pytest.raises(InvalidSignature, match="compact"):
        read_foreign_token(sign(EC, "ES256", own="x" * 5000))


def test_a_zip_bomb_is_never_opened() -> None:
    packed = zlib.compress(b"0" * 10_000_000, 9)
    bomb = jwe.encrypt_compact({"alg": "RSA-OAEP-256", "enc": "A256GCM"}, packed, RSA, algorithms=["RSA-OAEP-256", "A256GCM"])
    header, *rest = bomb.split(".")
    header = b64(json.dumps({"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF"}).encode())
    for text in (bomb, ".".join([header, *rest])):
        with pytest.raises(InvalidSignature):
            read_foreign_token(text, max_size=10_000_000)


@pytest.mark.parametrize("text", ["", "a", "a.b", "..", "a.b.c.d", "a.b.c.d.e", '{"payload":"","signatures":[]}', "é.é.é", "\ud800.a.b"])
def test_texts_that_are_no_jws(text: str) -> None:
    with pytest.raises(InvalidSignature):
        read_foreign_token(text)


@given(st.data())
def test_every_altered_letter_is_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([sign(EC, "ES256"), sign(ED, "EdDSA"), sign(RSA, "PS256")]))
    position = data.draw(st.integers(0, len(text) - 1))
    drawn = data.draw(st.characters())
    letter = drawn if drawn != text[position] else "!"
    for wrong in (text[:position] + letter + text[position + 1 :], text[:position], text + letter, text + "=", f".{text}"):
        with pytest.raises(InvalidSignature):
            check(wrong)


# ------------------------------------------------------------------------------------------------------- keys in the header


def sign_proof(key: Any = EC, jwk: Any = None, **header: Any) -> str:
    return sign(key, "ES256", kid=None, typ="dpop+jwt", **{"jwk": key.as_dict(private=False) if jwk is None else jwk, **header})


def test_a_proof_carries_its_key() -> None:
    token = read_foreign_token(sign_proof(), own_key=True)
    assert verify_with_own_key(token, ["ES256"], ["dpop+jwt"]).thumbprint == EC.thumbprint()
    with pytest.raises(InvalidSignature, match="header member"):
        read_foreign_token(sign(EC, "ES256"), own_key=True)
    with pytest.raises(InvalidSignature, match="accepted"):
        verify_with_own_key(token, ["PS256"], ["dpop+jwt"])
    with pytest.raises(InvalidSignature, match="type"):
        verify_with_own_key(token, ["ES256"], ["JWT"])


@pytest.mark.parametrize(
    "jwk",
    [
        EC.as_dict(private=True),
        OTHER.as_dict(private=False),
        RSA.as_dict(private=False),
        {"kty": "oct", "k": "AAAA"},
        {**EC.as_dict(private=False), "use": "enc"},
        {**EC.as_dict(private=False), "alg": "ES384"},
        {},
        [],
        "key",
        1,
    ],
)
def test_proofs_with_another_key(jwk: Any) -> None:
    token = read_foreign_token(sign_proof(jwk=jwk), own_key=True)
    with pytest.raises(InvalidSignature):
        verify_with_own_key(token, list(SIGNATURE_KINDS), ["dpop+jwt"])


# ------------------------------------------------------------------------------------------------------------ encryption


@pytest.mark.parametrize("method", ENCRYPTION_METHODS)
@pytest.mark.parametrize("algorithm", ENCRYPTION_ALGORITHMS)
def test_only_the_client_can_read_what_is_encrypted_to_it(algorithm: str, method: str) -> None:
    for key in (RSA,) if algorithm.startswith("RSA") else (EC, EC384):
        text = encrypt_to(choose_recipient(make_set(key), algorithm, method), b"secret")
        opened = jwe.decrypt_compact(text, key, algorithms=[algorithm, method])
        assert opened.plaintext == b"secret"
        header = json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))
        assert (header["kid"], header["cty"]) == (key.kid, "JWT")
        assert "zip" not in header
    with pytest.raises(CannotEncrypt, match="no key"):
        choose_recipient(make_set(EC if algorithm.startswith("RSA") else RSA), algorithm, method)


def test_the_header_may_show_claims() -> None:
    text = encrypt_to(
        choose_recipient(make_set(EC), "ECDH-ES", "A256GCM"), b"secret", replicated={"iss": "https://id.example", "aud": "hall"}
    )
    header = json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))
    assert (header["iss"], header["aud"], header["cty"]) == ("https://id.example", "hall", "JWT")


def test_the_key_marked_for_encryption_is_taken() -> None:
    keys = ForeignKeySet(make_set(EC).keys + make_set(OTHER, use="enc", kid="e").keys)
    text = encrypt_to(choose_recipient(keys, "ECDH-ES", "A256GCM"), b"secret", content_type="")
    assert jwe.decrypt_compact(text, OTHER, algorithms=["ECDH-ES", "A256GCM"]).plaintext == b"secret"
    for unfit in (make_set(EC, use="sig"), make_set(EC, alg="ES256"), make_set(ED)):
        with pytest.raises(CannotEncrypt, match="no key"):
            choose_recipient(unfit, "ECDH-ES", "A256GCM")
    nameless = read_key_set(json.dumps({"keys": [{n: v for n, v in EC.as_dict(private=False).items() if n != "kid"}]}).encode())
    text = encrypt_to(choose_recipient(nameless, "ECDH-ES", "A256GCM"), b"x")
    assert jwe.decrypt_compact(text, EC, algorithms=["ECDH-ES", "A256GCM"]).plaintext == b"x"


@pytest.mark.parametrize(
    "algorithm, method", [("RSA1_5", "A256GCM"), ("RSA-OAEP", "A256GCM"), ("dir", "A256GCM"), ("ECDH-ES", "A128GCM"), ("", "")]
)
def test_encryption_that_is_not_offered(algorithm: str, method: str) -> None:
    with pytest.raises(CannotEncrypt, match="offered"):
        choose_recipient(make_set(RSA, EC), algorithm, method)


def test_weak_keys_of_others_are_not_read() -> None:
    strange = ec.generate_private_key(ec.SECP521R1()).public_key()
    pem = strange.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert read_key(ECKey.import_key(pem).as_dict(private=False)) is None
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    assert read_key({"kty": "RSA", "n": b64(numbers.n.to_bytes(128, "big")), "e": "AQAB"}) is None
