"""The table of metadata names: complete, read and written alike, and every JSON is a client or one clear sentence."""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keys
from idp.protocol.rules.admin_scopes import ADMIN_SCOPES
from idp.protocol.rules.algorithms import CLIENT_SIGNING, CONTENT_ENCRYPTION, ENCRYPTION
from idp.protocol.rules.client import BadRegistration, Basis, Client, Entitlement
from idp.protocol.rules.client_checks import check_client
from idp.protocol.rules.client_metadata import PARTS
from idp.protocol.rules.registration_metadata import GUARDED, METADATA, OWN, Kind, change_client, find_changes, list_metadata
from tests.support.protocol_samples import CLIENT, make_client

OURS = {
    "client_id", "sector_id", "version", "status", "resumes", "secret_mac", "sealed_secret", "previous_secret_mac",
    "previous_sealed_secret", "previous_secret_until", *PARTS,
}  # fmt: skip


def test_every_field_has_a_name_on_the_wire() -> None:
    named = {(row.part, row.field) for row in METADATA.values()}
    assert {(part, f.name) for part, kind in PARTS.items() for f in fields(kind)} <= named
    assert {(None, f.name) for f in fields(Client) if f.name not in OURS} <= named


def test_a_part_is_called_on_the_wire_as_in_the_code() -> None:
    assert all(row.name == row.field for row in METADATA.values() if row.part is not None)


def test_algorithms_are_those_that_the_keys_know() -> None:
    assert set(CLIENT_SIGNING) == set(keys.SIGNATURE_KINDS)
    assert set(ENCRYPTION) == set(keys.ENCRYPTION_ALGORITHMS)
    assert set(CONTENT_ENCRYPTION) == set(keys.ENCRYPTION_METHODS)
    for row in METADATA.values():
        if row.name.endswith("_signed_response_alg"):
            assert not {"none", "HS256"} & set(row.choices)


def test_what_the_law_of_two_persons_names_is_guarded() -> None:
    named = {
        "redirect_uris", "post_logout_redirect_uris", "backchannel_logout_uri", "frontchannel_logout_uri", "jwks", "jwks_uri",
        "token_endpoint_auth_method", "sector", "sector_identifier_uri", "entitlements", "scope", "profile",
        "client_name", "client_name#en", "logo_uri", "policy_uri", "tos_uri", "client_uri",
    }  # fmt: skip
    assert named <= GUARDED
    assert METADATA.keys() - {"contacts", "software_id", "software_version"} == GUARDED


def test_what_is_the_operators_is_not_a_clients_own() -> None:
    assert not {"sector", "entitlements", "minimum_acr", "resources", "requires_pkce", "keeps_secret", "isolated"} & OWN


def test_what_is_read_is_written_again() -> None:
    wanted: dict[str, Any] = {
        "client_name": "名",
        "client_name#en": "Name",
        "sector": "s",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["https://a.example/cb"],
        "scope": "profile identity",
        "entitlements": [{"purpose": "p", "purpose_en": "e", "basis": "consent", "claims": ["name"], "version": 1}],
        "minimum_acr": "urn:yizheng:acr:substantial",
        "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]},
        "default_max_age": 0,
        "contacts": ["a@b.example"],
        "tls_client_certificate_bound_access_tokens": True,
        "profile": "fapi2",
    }
    client = change_client(Client("c", ""), wanted)
    assert {name: value for name, value in list_metadata(client).items() if name in wanted} == wanted
    assert change_client(Client("c", ""), list_metadata(client)) == client
    assert find_changes(client, client) == {}


def test_null_is_the_default_again() -> None:
    client = change_client(CLIENT, {"default_max_age": 5, "contacts": ["x"], "minimum_acr": "urn:yizheng:acr:high"})
    again = change_client(client, {"default_max_age": None, "contacts": None, "minimum_acr": None})
    assert again == CLIENT
    assert find_changes(client, again) == {"default_max_age": None, "contacts": None, "minimum_acr": "urn:yizheng:acr:low"}
    with pytest.raises(BadRegistration, match="sector"):
        change_client(CLIENT, {"sector": None})


def test_another_sector_is_found_anew() -> None:
    assert change_client(CLIENT, {"sector": "land"}).sector_id == CLIENT.sector_id
    assert change_client(CLIENT, {"sector": "other"}).sector_id.int == 0


def test_versions_of_entitlements_are_ours() -> None:
    known = make_client(entitlements=(Entitlement("p", Basis.CONSENT, ("name",), 4),))
    said = [
        {"purpose": "p", "basis": "consent", "claims": ["name"], "version": 9},
        {"purpose": "q", "basis": "consent", "claims": ["name"]},
    ]
    assert [e.version for e in change_client(known, {"entitlements": said}).entitlements] == [4, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonsense", 1),
        ("client_name", ""),
        ("client_name", 1),
        ("client_name", "a\nb"),
        ("application_type", "desktop"),
        ("requires_pkce", 1),
        ("default_max_age", True),
        ("default_max_age", 1.5),
        ("default_max_age", -1),
        ("default_max_age", 2**40),
        ("redirect_uris", "https://a.example/"),
        ("redirect_uris", [1]),
        ("redirect_uris", ["https://a.example/"] * 2),
        ("redirect_uris", [f"https://a.example/{n}" for n in range(21)]),
        ("grant_types", ["implicit"]),
        ("scope", "profile everything"),
        ("scope", 5),
        ("jwks", []),
        ("jwks", {"keys": {}}),
        ("jwks", {"keys": [{"kty": "RSA", "n": "A" * 17_000}]}),
        ("entitlements", {}),
        ("entitlements", [{}] * 21),
        ("entitlements", ["x"]),
        ("entitlements", [{"purpose": "p", "basis": "consent", "claims": ["name"], "more": 1}]),
        ("entitlements", [{"purpose": 1, "basis": "consent", "claims": ["name"]}]),
        ("entitlements", [{"purpose": "p", "basis": [], "claims": ["name"]}]),
        ("entitlements", [{"purpose": "p", "basis": "consent", "claims": [1]}]),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(name: str, value: Any) -> None:
    with pytest.raises(BadRegistration) as caught:
        change_client(CLIENT, {name: value})
    assert caught.value.field == name


def test_only_what_is_allowed_is_read() -> None:
    with pytest.raises(BadRegistration, match="sector"):
        change_client(CLIENT, {"sector": "x"}, OWN)
    assert change_client(CLIENT, {"scope": "openid profile"}).scopes == ("profile",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def make_likely_value(name: str) -> st.SearchStrategy[Any]:
    row = METADATA[name]
    one = st.sampled_from(row.choices or ("https://a.example/cb", "https://b.example/x", "text", "10.0.0.1"))
    match row.kind:
        case Kind.TEXT | Kind.ADDRESS:
            return one
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.NUMBER:
            return st.integers(-1, 10_000)
        case Kind.WORDS:
            return st.lists(one, max_size=3).map(" ".join)
        case Kind.TEXTS | Kind.ADDRESSES:
            return st.lists(one, max_size=3)
        case Kind.KEYS:
            return st.just({"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "k"}]})
        case Kind.ENTITLEMENTS:
            entitlement = st.fixed_dictionaries(
                {"purpose": st.sampled_from("pq"), "basis": st.sampled_from(list(Basis)), "claims": st.just(["name"])}
            )
            return st.lists(entitlement, max_size=2)


def attempt(make: Callable[[], Client]) -> tuple[Client | None, BadRegistration | None]:
    """Return a client that may be registered, or why there is none; any other error fails the test."""
    try:
        client = make()
        check_client(client)
    except BadRegistration as fault:
        return None, fault
    return client, None


DOCUMENTS = st.lists(st.sampled_from(sorted(METADATA)), max_size=6, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: make_likely_value(name) | JSON for name in names})
)


@given(DOCUMENTS)
def test_every_document_is_a_client_or_one_sentence(document: dict[str, Any]) -> None:
    client, fault = attempt(lambda: change_client(make_client(name_en=""), document))
    if client is None:
        assert fault is not None
        assert fault.field in METADATA
        assert 0 < len(str(fault)) < 1_000
        return
    written = json.loads(json.dumps(list_metadata(client)))
    assert change_client(Client(client.client_id, "x"), written) == change_client(
        Client(client.client_id, "x"), list_metadata(change_client(Client(client.client_id, "x"), written))
    )
    assert not find_changes(client, change_client(client, written))


@given(st.dictionaries(st.text(max_size=30), JSON, max_size=4))
def test_strange_names_are_one_sentence(document: dict[str, Any]) -> None:
    _, fault = attempt(lambda: change_client(CLIENT, document))
    assert fault is None or len(fault.field) <= 100


def test_the_scopes_of_the_admin_api_are_for_nobody_else() -> None:
    with pytest.raises(BadRegistration, match="client_credentials alone"):
        check_client(make_client(scopes=(ADMIN_SCOPES[0],)))
