"""Assertions, proofs and bound keys as rules: what counts, to the second, and every reason why something does not."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.errors import ProtocolError
from idp.protocol.rules import dpop
from idp.protocol.rules.client import AuthMethod, Client
from idp.protocol.rules.client_assertion import Assertion, read_assertion
from idp.protocol.rules.client_credentials import ASSERTION_TYPE, BY_ASSERTION, BY_CONNECTION, BY_SECRET, read_presented
from idp.protocol.rules.client_metadata import Profile, RequestDemands, TlsIdentity
from idp.protocol.rules.confirmation import (
    Holding,
    check_constraint,
    choose_lasting,
    describe_confirmation,
    find_token_type,
    may_continue,
    may_repeat,
    read_holding,
    write_confirmation,
)
from idp.protocol.rules.dpop import Proof, hash_access_token, normalise_address, read_proof
from idp.protocol.rules.metadata import ALIASED, describe_provider
from idp.protocol.rules.resources import choose_audience
from idp.protocol.rules.terms import Terms, write_terms

NOW = 1_700_000_000
ISSUER = "https://id.example"
CLAIMS = {"iss": "hall", "sub": "hall", "aud": ISSUER, "jti": "1", "iat": NOW, "exp": NOW + 60}
PROOF = {"jti": "1", "htm": "POST", "htu": f"{ISSUER}/token", "iat": NOW}
JKT, OTHER_JKT, X5T = "jkt:a", "jkt:b", "x5t#S256:c"

# ---------------------------------------------------------------------------------------------------------- credentials


def encode(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    "authorization, parameters, methods, client_id, secret",
    [
        (encode(b"hall:secret"), {}, BY_SECRET, "hall", "secret"),
        (encode(b"hall:a:b"), {"client_id": "hall"}, BY_SECRET, "hall", "a:b"),
        (encode(b"h%20l+l:s%3A"), {}, BY_SECRET, "h l l", "s:"),
        (None, {"client_id": "hall", "client_secret": "s"}, BY_SECRET, "hall", "s"),
        (None, {"client_id": "hall"}, BY_CONNECTION, "hall", ""),
        (encode(b"hall:"), {}, BY_CONNECTION, "hall", ""),
        (encode(b"hall:"), {"client_id": "hall"}, BY_CONNECTION, "hall", ""),
        (None, {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE}, BY_ASSERTION, "", ""),
        (None, {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE, "client_id": "hall"}, BY_ASSERTION, "hall", ""),
    ],
)
def test_credentials(
    authorization: bytes | None, parameters: dict[str, str], methods: frozenset[AuthMethod], client_id: str, secret: str
) -> None:
    presented = read_presented(authorization, parameters)
    assert (presented.methods, presented.client_id, presented.secret) == (methods, client_id, secret)
    assert presented.assertion == parameters.get("client_assertion", "")


@pytest.mark.parametrize(
    "authorization, parameters, error",
    [
        (encode(b"hall:s"), {"client_secret": "s"}, "invalid_request"),
        (encode(b"hall:s"), {"client_id": "other"}, "invalid_request"),
        (encode(b"hall:"), {"client_id": "other"}, "invalid_request"),
        (encode(b"hall:"), {"client_secret": "s"}, "invalid_request"),
        (encode(b"hall:"), {"client_assertion": "a", "client_assertion_type": ASSERTION_TYPE}, "invalid_request"),
        (encode(b"hall:s"), {"client_assertion": "a"}, "invalid_request"),
        (None, {"client_secret": "s", "client_assertion": "a", "client_id": "hall"}, "invalid_request"),
        (None, {}, "invalid_client"),
        (None, {"client_secret": "s"}, "invalid_client"),
        (None, {"client_assertion": "a"}, "invalid_client"),
        (None, {"client_assertion_type": ASSERTION_TYPE}, "invalid_client"),
        (None, {"client_assertion": "", "client_assertion_type": ASSERTION_TYPE}, "invalid_client"),
        (
            None,
            {"client_assertion": "a", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
            "invalid_client",
        ),
        (b"Bearer abc", {}, "invalid_client"),
        (b"Basic " + b"A" * 5_000, {}, "invalid_client"),
        (b"Basic !!!", {}, "invalid_client"),
        (encode(b"hall"), {}, "invalid_client"),
        (encode(b"hall:\xff"), {}, "invalid_client"),
    ],
)
def test_credentials_that_are_none(authorization: bytes | None, parameters: dict[str, str], error: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        read_presented(authorization, parameters)
    assert refused.value.error == error
    assert not refused.value.redirectable


# ------------------------------------------------------------------------------------------------------------ assertions


def read(lists: bool = False, audiences: tuple[str, ...] = (ISSUER,), **changes: Any) -> Assertion | str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return read_assertion(claims, "hall", frozenset(audiences), lists=lists, now=NOW)


def test_an_assertion_is_remembered_until_it_cannot_come_again() -> None:
    assert read() == Assertion("1", NOW, 70)
    assert read(iat=None) == Assertion("1", NOW, 70)
    assert read(iat=NOW - 60, exp=NOW - 9) == Assertion("1", NOW - 60, 1)
    assert read(nbf=NOW + 10) == Assertion("1", NOW, 70)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"iss": "other"}, "not the client"),
        ({"sub": None}, "not the client"),
        ({"aud": None}, "audience"),
        ({"aud": [ISSUER]}, "audience"),
        ({"aud": f"{ISSUER}/"}, "audience"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 1}, "jti"),
        ({"jti": "j" * 257}, "jti"),
        ({"jti": "\n"}, "jti"),
        ({"exp": None}, "instant"),
        ({"exp": "1"}, "instant"),
        ({"exp": True}, "instant"),
        ({"exp": -1}, "instant"),
        ({"iat": 2**41}, "instant"),
        ({"nbf": "x"}, "instant"),
        ({"iat": NOW - 70, "exp": NOW - 10}, "expired"),
        ({"iat": NOW + 11, "exp": NOW + 30}, "future"),
        ({"nbf": NOW + 60}, "future"),
        ({"exp": NOW + 61}, "long"),
        ({"iat": None, "exp": NOW + 71}, "long"),
    ],
    ids=str,
)
def test_assertions_that_do_not_count(changes: dict[str, Any], reason: str) -> None:
    refused = read(**changes)
    assert isinstance(refused, str)
    assert reason in refused


def test_a_legacy_client_may_name_several_of_our_names() -> None:
    names = (ISSUER, f"{ISSUER}/token")
    assert isinstance(read(lists=True, audiences=names, aud=list(names)), Assertion)
    wrongs: list[Any] = [[], [ISSUER, "https://other.example"], [1], {}]
    for wrong in wrongs:
        assert read(lists=True, audiences=names, aud=wrong) == "another audience"


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf"]), st.none() | st.integers() | st.floats() | st.text() | st.lists(st.text())))
def test_any_claims_are_judged(claims: dict[str, Any]) -> None:
    assert isinstance(read_assertion({**CLAIMS, **claims}, "hall", frozenset({ISSUER}), lists=True, now=NOW), str | Assertion)


# ---------------------------------------------------------------------------------------------------------------- proofs


def check(**changes: Any) -> Proof | str:
    token = changes.pop("access_token", None)
    claims = {name: value for name, value in {**PROOF, **changes}.items() if value is not None}
    return read_proof(claims, "POST", [f"{ISSUER}/token", "https://mtls.id.example/token"], NOW, token)


def test_proofs_that_fit() -> None:
    assert check() == Proof("1", NOW, None)
    assert check(nonce="n", iat=NOW + 0.5) == Proof("1", NOW + 0.5, "n")
    assert isinstance(check(htu="https://mtls.id.example/token"), Proof)
    assert isinstance(check(iat=NOW - 60), Proof)
    assert isinstance(check(iat=NOW + 10), Proof)


def test_rfc_9449_access_token_hash() -> None:
    """RFC 9449 §7.1: the access token of the example and its ath."""
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert hash_access_token(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    assert isinstance(check(access_token=token, ath="fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"), Proof)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"jti": None}, "jti"),
        ({"jti": "j" * 257}, "jti"),
        ({"htm": "GET"}, "htm"),
        ({"htu": f"{ISSUER}/userinfo"}, "htu"),
        ({"htu": None}, "htu"),
        ({"iat": None}, "iat"),
        ({"iat": False}, "iat"),
        ({"iat": NOW - 61}, "iat"),
        ({"iat": NOW + 11}, "iat"),
        ({"iat": float("nan")}, "iat"),
        ({"nonce": 1}, "nonce"),
        ({"access_token": "t"}, "ath"),
        ({"access_token": "t", "ath": hash_access_token("u")}, "ath"),
    ],
    ids=str,
)
def test_proofs_that_do_not_fit(changes: dict[str, Any], reason: str) -> None:
    refused = check(**changes)
    assert isinstance(refused, str)
    assert refused.startswith(reason)


@pytest.mark.parametrize(
    "htu, fits",
    [
        (f"{ISSUER}/token?a=b#c", True),
        (f"{ISSUER}/x/../%74oken", True),
        (f"{ISSUER.upper()}:443/token", True),
        (f"{ISSUER}:444/token", False),
        (f"{ISSUER}/Token", False),
        (f"{ISSUER}/token/", False),
        (f"{ISSUER}/token/x/..", False),
        (f"{ISSUER}//token", False),
        (f"{ISSUER}/%2574oken", False),
        (f"http{ISSUER[5:]}/token", False),
        ("", False),
        ([f"{ISSUER}/token"], False),
        ({}, False),
    ],
    ids=str,
)
def test_addresses_that_say_the_same(htu: object, fits: bool) -> None:
    assert isinstance(check(htu=htu), Proof) is fits


def test_an_address_as_it_is_published_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(dpop, "normalise_address")
    assert isinstance(check(), Proof)
    assert isinstance(check(htu="https://mtls.id.example/token"), Proof)


@pytest.mark.parametrize(
    "address, normal",
    [
        ("https://ID.example:443/token?a=b#c", "https://id.example/token"),
        ("http://id.example:80", "http://id.example/"),
        ("https://id.example:8443/a", "https://id.example:8443/a"),
        ("https://[2001:DB8::1]:443/%7etoken%2f", "https://[2001:db8::1]/~token%2F"),
        ("HTTPS://id.example/%c3%a9", "https://id.example/%C3%A9"),
        ("hTTp://id.example:/", "http://id.example/"),
        ("https://id.example:80/", "https://id.example:80/"),
        ("http://id.example:443/", "http://id.example:443/"),
        ("https://%49D.ex%61mple/", "https://id.example/"),
        ("https://%c3%a9.example/", "https://%c3%a9.example/"),
        ("https://id.example/%41%5A%61%7a%30%39%2D%2e%5F%7E", "https://id.example/AZaz09-._~"),
        ("https://id.example/%2525%3f%23/Token", "https://id.example/%2525%3F%23/Token"),
        ("https://id.example/%zz%4", "https://id.example/%zz%4"),
        ("https://id.example/a/b/c/./../../g", "https://id.example/a/g"),  # RFC 3986 §5.2.4, and §5.4.2 below
        ("https://id.example/b/c/../../../../g", "https://id.example/g"),
        ("https://id.example/b/c/g/./h/../i", "https://id.example/b/c/g/i"),
        ("https://id.example/b/c/.g/..g/g./g..", "https://id.example/b/c/.g/..g/g./g.."),
        ("https://id.example/b/.", "https://id.example/b/"),
        ("https://id.example/b/c/..", "https://id.example/b/"),
        ("https://id.example/..", "https://id.example/"),
        ("https://id.example/.", "https://id.example/"),
        ("https://id.example/%2E%2e/to%6ben", "https://id.example/token"),
        ("https://id.example/a//../b/", "https://id.example/a/b/"),
        ("https://id.example//token", "https://id.example//token"),
        ("https://id.example/token/", "https://id.example/token/"),
        ("https://id.example?x=/../y", "https://id.example/"),
        ("https://id.example/token#/../y", "https://id.example/token"),
    ],
)
def test_addresses_are_normalised(address: str, normal: str) -> None:
    assert normalise_address(address) == normal


@pytest.mark.parametrize(
    "address",
    [
        None,
        1,
        "",
        "/token",
        "token",
        "https://",
        "https://u@id.example/",
        "https://id.example:x/",
        "https://[::1",
        "https://é.example/",
        "https://a b/",
        "x" * 2001,
    ],
)
def test_texts_that_are_no_address(address: object) -> None:
    assert normalise_address(address) is None


@given(st.text() | st.integers())
def test_any_text_is_normalised_or_none(text: object) -> None:
    normal = normalise_address(text)
    assert normal is None or normalise_address(normal) == normal


# ------------------------------------------------------------------------------------------------------------- confirmation


def test_what_is_kept_of_a_key() -> None:
    assert write_confirmation(Holding.DPOP, "a") == JKT
    assert write_confirmation(Holding.CERTIFICATE, "c") == X5T
    assert (read_holding(JKT), read_holding(X5T)) == (Holding.DPOP, Holding.CERTIFICATE)
    assert describe_confirmation(X5T) == {"x5t#S256": "c"}
    assert [find_token_type(kept) for kept in (None, X5T, JKT)] == ["Bearer", "Bearer", "DPoP"]


@pytest.mark.parametrize(
    "bound, proved, authenticated, may",
    [
        (None, None, False, True),
        (None, JKT, True, True),
        (JKT, JKT, False, True),
        (JKT, OTHER_JKT, False, False),
        (JKT, OTHER_JKT, True, True),
        (JKT, None, True, False),
        (JKT, X5T, True, False),
        (X5T, None, False, False),
        (X5T, "x5t#S256:d", True, True),
        (X5T, "x5t#S256:d", False, False),
    ],
)
def test_who_may_continue_what_is_bound(bound: str | None, proved: str | None, authenticated: bool, may: bool) -> None:
    assert may_continue(bound, proved, authenticated) is may


@pytest.mark.parametrize(
    "bound, proved, authenticated, lasting",
    [
        (None, None, False, None),
        (None, JKT, False, JKT),
        (None, X5T, False, X5T),
        (None, None, True, None),
        (None, JKT, True, None),
        (JKT, JKT, False, JKT),
        (JKT, OTHER_JKT, True, OTHER_JKT),
    ],
)
def test_which_key_a_grant_names_after_a_refresh(bound: str | None, proved: str | None, authenticated: bool, lasting: str | None) -> None:
    assert choose_lasting(bound, proved, authenticated) == lasting


@pytest.mark.parametrize(
    "bound, proved, authenticated, may",
    [
        (None, None, False, False),
        (None, JKT, False, False),
        (None, None, True, True),
        (None, JKT, True, True),
        (JKT, JKT, False, True),
        (JKT, JKT, True, True),
        (JKT, OTHER_JKT, True, False),
        (JKT, None, True, False),
        (X5T, "x5t#S256:d", True, False),
    ],
)
def test_who_may_repeat_a_refresh(bound: str | None, proved: str | None, authenticated: bool, may: bool) -> None:
    assert may_repeat(bound, proved, authenticated) is may


@pytest.mark.parametrize(
    "changes, proved, error",
    [
        ({}, None, None),
        ({}, JKT, None),
        ({"requests": RequestDemands(dpop_bound_access_tokens=True)}, JKT, None),
        ({"requests": RequestDemands(dpop_bound_access_tokens=True)}, None, "invalid_request"),
        ({"requests": RequestDemands(dpop_bound_access_tokens=True)}, X5T, "invalid_request"),
        ({"tls": TlsIdentity(tls_client_certificate_bound_access_tokens=True)}, X5T, None),
        ({"tls": TlsIdentity(tls_client_certificate_bound_access_tokens=True)}, JKT, None),
        ({"tls": TlsIdentity(tls_client_certificate_bound_access_tokens=True)}, None, "invalid_request"),
        ({"profile": Profile.FAPI2}, None, "invalid_request"),
        ({"profile": Profile.FAPI2}, X5T, None),
    ],
)
def test_who_must_prove_a_key(changes: dict[str, Any], proved: str | None, error: str | None) -> None:
    client = replace(Client(client_id="hall", name="大厅"), **changes)
    if error is None:
        check_constraint(client, proved)
    else:
        with pytest.raises(ProtocolError) as refused:
            check_constraint(client, proved)
        assert refused.value.error == error


@pytest.mark.parametrize(
    "granted, named, otherwise, audience",
    [
        ((), None, None, None),
        ((), None, "https://kept.example", "https://kept.example"),
        ((), "https://kept.example", "https://kept.example", "https://kept.example"),
        (("https://a.example",), None, None, "https://a.example"),
        (("https://a.example", "https://b.example"), "https://b.example", "https://a.example", "https://b.example"),
        (("https://a.example", "https://b.example"), None, None, "invalid_target"),
        (("https://a.example",), "https://c.example", None, "invalid_target"),
        ((), "https://a.example", None, "invalid_target"),
        ((), "https://a.example", "https://kept.example", "invalid_target"),
    ],
)
def test_the_audience_of_one_answer(granted: tuple[str, ...], named: str | None, otherwise: str | None, audience: str | None) -> None:
    terms, parameters = write_terms(Terms(resources=granted)), {} if named is None else {"resource": named}
    if audience == "invalid_target":
        with pytest.raises(ProtocolError) as refused:
            choose_audience(terms, parameters, otherwise)
        assert refused.value.error == audience
    else:
        assert choose_audience(terms, parameters, otherwise) == audience


def test_certificates_are_announced_only_where_somebody_tells_them() -> None:
    plain = describe_provider(ISSUER, ("ES256",))
    assert "mtls_endpoint_aliases" not in plain
    assert not {"tls_client_auth", "self_signed_tls_client_auth"} & set(plain["token_endpoint_auth_methods_supported"])  # type: ignore[call-overload]
    told = describe_provider(ISSUER, ("ES256",), mtls_origin="https://mtls.id.example")
    aliases: Any = told["mtls_endpoint_aliases"]
    assert {address.removeprefix("https://mtls.id.example") for address in aliases.values()} == ALIASED
    assert all(told[name] == address.replace("mtls.", "") for name, address in aliases.items())
