"""The entity configuration: what we publish, and every reason not to believe one. All entities are synthetic."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet

from federation import (
    MAX_STATEMENT,
    InvalidEntityStatement,
    Signer,
    Verifier,
    build_entity_configuration,
    parse_entity_configuration,
)
from federation.entity_id import is_entity_id
from keys import InvalidSignature, KeyState, SigningRing, generate_signing_key

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
PROVINCE, HUB = "https://id.province-b.example", "https://hub.example/federation"
METADATA: dict[str, dict[str, Any]] = {
    "openid_provider": {"issuer": PROVINCE, "acr_values_supported": ["urn:yizheng:acr:substantial"]},
    "federation_entity": {"organization_name": "乙省"},
}
RING = SigningRing([generate_signing_key(algorithm, NOW, KeyState.ACTIVE) for algorithm in ("ES256", "RS256")], max_token=MAX_STATEMENT)
STRANGER = SigningRing([generate_signing_key("ES256", NOW, KeyState.ACTIVE)], max_token=MAX_STATEMENT)
SIGNER: Signer = RING
VERIFIER: Verifier = RING


def _build(**changes: Any) -> str:
    values: dict[str, Any] = {"metadata": METADATA, "authority_hints": [HUB], "now": NOW, **changes}
    return build_entity_configuration(SIGNER, values.pop("entity_id", PROVINCE), **values)


def _sign(typ: str = "entity-statement+jwt", remove: str = "", **changes: Any) -> str:
    """A statement that our own builder would not make, properly signed."""
    seconds = int(NOW.timestamp())
    claims: dict[str, Any] = {
        "iss": PROVINCE,
        "sub": PROVINCE,
        "iat": seconds,
        "exp": seconds + 3600,
        "jwks": json.loads(RING.jwks),
        "metadata": METADATA,
        "authority_hints": [HUB],
        **changes,
    }
    claims.pop(remove, None)
    return RING.sign("ES256", json.dumps(claims).encode(), typ)


def _parse(token: str, now: datetime = NOW, entity_id: str = PROVINCE) -> Any:
    return parse_entity_configuration(token, VERIFIER, entity_id, now)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_what_we_build_we_read(algorithm: str) -> None:
    configuration = _parse(_build(algorithm=algorithm))
    assert configuration.entity_id == PROVINCE
    assert (configuration.issued_at, configuration.expires_at) == (NOW, NOW + timedelta(hours=24))
    assert configuration.metadata == METADATA
    assert configuration.authority_hints == (HUB,)
    assert list(configuration.keys) == json.loads(RING.jwks)["keys"]


def test_another_library_reads_it_by_the_keys_it_names() -> None:
    decoded = jwt.decode(_build(life=timedelta(hours=1)), KeySet.import_key_set(json.loads(RING.jwks)), algorithms=["ES256"])
    assert decoded.header["typ"] == "entity-statement+jwt"
    assert set(decoded.claims) == {"iss", "sub", "iat", "exp", "jwks", "metadata", "authority_hints"}
    assert decoded.claims["iss"] == decoded.claims["sub"] == PROVINCE
    assert decoded.claims["exp"] - decoded.claims["iat"] == 3600
    assert not any(set(key) & {"d", "p", "q"} for key in decoded.claims["jwks"]["keys"])


def test_an_anchor_names_no_authority() -> None:
    token = _build(authority_hints=[])
    assert _parse(token).authority_hints == ()
    assert "authority_hints" not in json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


@pytest.mark.parametrize(
    "changes",
    [
        {"life": timedelta(hours=24, seconds=1)},
        {"life": timedelta(0)},
        {"life": timedelta(seconds=-1)},
        {"life": timedelta(milliseconds=10)},
        {"authority_hints": [f"https://hub-{number}.example" for number in range(6)]},
        {"authority_hints": ["not a url"]},
        {"entity_id": "http://id.province-b.example"},
        {"metadata": {"openid_provider": {"issuer": None}}},
        {"metadata": {"openid_provider": "x"}},
        {"metadata": {"openid_provider": {"weight": float("nan")}}},
    ],
)
def test_we_do_not_publish_what_we_would_not_read(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"24 hours|authority_hints|iss and sub|metadata|exp|JSON"):
        _build(**changes)


def test_five_authorities_are_the_most() -> None:
    hints = [f"https://hub-{number}.example" for number in range(5)]
    assert _parse(_build(authority_hints=hints)).authority_hints == tuple(hints)


@pytest.mark.parametrize("now, believed", [(-61, False), (-60, True), (0, True), (3599, True), (3600, False), (86400, False)])
def test_a_configuration_is_believed_in_its_time_only(now: int, believed: bool) -> None:
    token = _build(life=timedelta(hours=1))
    if believed:
        assert _parse(token, NOW + timedelta(seconds=now))
    else:
        with pytest.raises(InvalidEntityStatement, match=r"iat|exp"):
            _parse(token, NOW + timedelta(seconds=now))


JWKS = json.loads(RING.jwks)
KEY = JWKS["keys"][0]


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"iss": HUB}, "iss and sub"),
        ({"sub": HUB}, "iss and sub"),
        ({"iss": HUB, "sub": HUB}, "iss and sub"),
        ({"remove": "iss"}, "iss and sub"),
        ({"sub": [PROVINCE]}, "iss and sub"),
        ({"remove": "iat"}, "seconds"),
        ({"remove": "exp"}, "seconds"),
        ({"exp": "1790000000"}, "seconds"),
        ({"exp": True}, "seconds"),
        ({"exp": 1e300}, "seconds"),
        ({"exp": 253402300800}, "seconds"),
        ({"iat": -1}, "seconds"),
        ({"exp": int(NOW.timestamp()), "iat": int(NOW.timestamp()) - 5}, "exp"),
        ({"exp": int(NOW.timestamp()) + 10, "iat": int(NOW.timestamp()) + 20}, "exp"),
        ({"remove": "jwks"}, "1 to 20"),
        ({"jwks": []}, "1 to 20"),
        ({"jwks": {"keys": []}}, "1 to 20"),
        ({"jwks": {"keys": {}}}, "1 to 20"),
        ({"jwks": {"keys": [1]}}, "1 to 20"),
        ({"jwks": {"keys": [{**KEY, "kid": str(number)} for number in range(21)]}}, "1 to 20"),
        ({"jwks": {"keys": [KEY, KEY]}}, "kid of its own"),
        ({"jwks": {"keys": [{**KEY, "kid": ""}]}}, "kid of its own"),
        ({"jwks": {"keys": [{**KEY, "kid": ["x"]}]}}, "kid of its own"),
        ({"jwks": {"keys": [{"kty": "EC"}]}}, "kid of its own"),
        ({"jwks": {"keys": [{**KEY, "d": "AAAA"}]}}, "private"),
        ({"jwks": {"keys": [KEY, {"kty": "oct", "kid": "x", "k": "AAAA"}]}}, "private"),
        ({"jwks": {"keys": [{**KEY, "kid": "another"}]}}, "names itself"),
        ({"metadata": []}, "metadata maps"),
        ({"metadata": {"openid_provider": None}}, "metadata maps"),
        ({"metadata": {"openid_provider": {"issuer": None}}}, "null"),
        ({"authority_hints": []}, "authority_hints"),
        ({"authority_hints": HUB}, "authority_hints"),
        ({"authority_hints": None}, "authority_hints"),
        ({"authority_hints": [HUB] * 6}, "authority_hints"),
        ({"authority_hints": [HUB, 1]}, "authority_hints"),
        ({"authority_hints": ["javascript:alert(1)"]}, "authority_hints"),
        ({"metadata_policy": {}}, "no place"),
        ({"metadata_policy_crit": []}, "no place"),
        ({"constraints": {"max_path_length": 1}}, "no place"),
        ({"source_endpoint": HUB}, "no place"),
        ({"crit": ["x"]}, "no place"),
    ],
)
def test_a_signed_statement_that_breaks_a_rule_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEntityStatement, match=reason):
        _parse(_sign(**changes))


def test_metadata_may_be_absent_and_instants_may_have_fractions() -> None:
    configuration = _parse(_sign(remove="metadata", iat=NOW.timestamp() - 0.5))
    assert configuration.metadata == {}
    assert configuration.issued_at == NOW - timedelta(milliseconds=500)


def test_the_entity_that_was_asked_is_the_one_that_answers() -> None:
    for entity_id in (HUB, PROVINCE + "/", "http://id.province-b.example", ""):
        with pytest.raises(InvalidEntityStatement, match="iss and sub"):
            _parse(_build(), entity_id=entity_id)


def test_another_type_of_token_is_no_statement() -> None:
    with pytest.raises(InvalidSignature):
        _parse(_sign(typ="JWT"))


class _Careless:
    """A verifier that checks nothing: the type and the self-signature must not depend on it."""

    def __init__(self, claims: dict[str, Any]) -> None:
        self._claims = claims

    def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
        return self._claims


@pytest.mark.parametrize(
    "header, reason",
    [
        ('{"typ":"JWT"}', "typ"),
        ("{}", "typ"),
        ("[]", "header"),
        ("[" * 200_000, "header"),
        ("{", "header"),
        ('{"typ":"entity-statement+jwt"}', "names itself"),
        ('{"typ":"entity-statement+jwt","kid":["x"]}', "names itself"),
    ],
)
def test_a_careless_verifier_does_not_help(header: str, reason: str) -> None:
    token = base64.urlsafe_b64encode(header.encode()).rstrip(b"=").decode()[:MAX_STATEMENT]
    with pytest.raises(InvalidEntityStatement, match=reason):
        parse_entity_configuration(token, _Careless(RING.verify(_build())), PROVINCE, NOW)


def test_a_stranger_cannot_speak_for_the_province() -> None:
    forged = build_entity_configuration(STRANGER, PROVINCE, METADATA, [HUB], NOW)
    with pytest.raises(InvalidSignature):
        _parse(forged)


def test_size_is_bounded_before_anything_is_verified() -> None:
    class Never:
        def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
            raise AssertionError("was asked")

    with pytest.raises(InvalidEntityStatement, match="256 KiB"):
        parse_entity_configuration("x" * (MAX_STATEMENT + 1), Never(), PROVINCE, NOW)
    large = {"federation_entity": {"organization_name": "x" * 150_000}}
    assert _parse(_build(metadata=large)).metadata == large


@given(st.data())
def test_every_altered_letter_is_refused(data: st.DataObject) -> None:
    token = TOKEN
    position = data.draw(st.integers(0, len(token) - 1))
    drawn = data.draw(st.characters())
    letter = drawn if drawn != token[position] else "!"
    for wrong in (token[:position] + letter + token[position + 1 :], token[:position]):
        with pytest.raises(InvalidSignature):
            _parse(wrong)


TOKEN = _build()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@given(st.sampled_from(["iss", "sub", "iat", "exp", "jwks", "metadata", "authority_hints"]), JSON)
def test_any_value_of_any_claim_is_read_or_refused(name: str, value: Any) -> None:
    try:
        configuration = _parse(_sign(**{name: value}))
    except InvalidEntityStatement:
        return
    assert configuration.entity_id == PROVINCE
    assert configuration.expires_at > NOW


@pytest.mark.parametrize(
    "text, is_one",
    [
        ("https://id.example", True),
        ("https://id.example:8443/a/b", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost", True),
        ("http://id.example", False),
        ("https://", False),
        ("https://:443", False),
        ("https://id.example:0", False),
        ("https://id.example:99999", False),
        ("https://[::1", False),
        ("https://user@id.example", False),
        ("https://id.example?x=1", False),
        ("https://id.example?", False),
        ("https://id.example#x", False),
        ("https://id.example/a b", False),
        ("https://id.example/\n", False),
        ("https://例子.example", False),
        ("ftp://id.example", False),
        ("id.example", False),
        ("https://id.example/" + "a" * 2048, False),
        ("", False),
        (None, False),
        (1, False),
    ],
)
def test_entity_identifiers(text: object, is_one: bool) -> None:
    assert is_entity_id(text) is is_one
