"""Resources, authorization details, terms, response modes and request objects: what is read, chosen and refused."""

from dataclasses import replace
from typing import Any

import pytest

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import Acr
from idp.protocol.rules.authorization_details import (
    MANDATE,
    grant_details,
    read_authorization_details,
    requires_representation,
)
from idp.protocol.rules.authorization_request import PARAMETERS, list_requestable, read_authorization_request
from idp.protocol.rules.claims_request import Asked, ClaimAsk, ClaimsRequest
from idp.protocol.rules.client_metadata import Profile, RequestDemands, ResponseProtection
from idp.protocol.rules.parameters import BadParameters, parse_parameters
from idp.protocol.rules.request_object import check_object, demands_pushing, demands_signature, read_object_parameters
from idp.protocol.rules.resources import MAX_RESOURCES, choose_resources, find_audience, is_of_issuer, is_resource, read_resources
from idp.protocol.rules.response_mode import ResponseMode, find_jarm_algorithm, find_response_mode, read_response_mode
from idp.protocol.rules.terms import MAX_TERMS, NO_TERMS, Terms, read_terms, write_terms
from tests.support.protocol_samples import CHALLENGE, make_client, make_parameters

CAL, CONTACTS = "https://cal.example.com/", "https://contacts.example.com/"
"""The resources of RFC 8707 §2.1."""

CLIENT = make_client(
    requests=RequestDemands(allowed_resources=(CAL, CONTACTS), authorization_details_types=(MANDATE,)), resources=("https://own.example/",)
)
SIGNING = make_client(requests=RequestDemands(require_signed_request_object=True))
ISSUER = "https://server.example.com"
NOW = 1_700_000_000


# resources (RFC 8707)


def test_the_example_of_rfc_8707() -> None:
    query = (
        b"response_type=code&client_id=s6BhdRkqt3&resource=https%3A%2F%2Fcal.example.com%2F&resource=https%3A%2F%2Fcontacts.example.com%2F"
    )
    parameters = parse_parameters(query)
    assert choose_resources(parameters, CLIENT) == (CAL, CONTACTS)
    assert find_audience((CAL, CONTACTS), {"resource": CAL}) == CAL


def test_no_other_parameter_comes_twice() -> None:
    with pytest.raises(BadParameters):
        parse_parameters(b"scope=a&scope=b")
    with pytest.raises(BadParameters):
        parse_parameters(b"&".join([b"resource=" + b"x" * 300] * 9))


@pytest.mark.parametrize(
    "text", ["", "calendar", "https://a.example/#x", "https://a.example/ b", "https://省.example/", "https://[", "x" * 600, "//a"]
)
def test_what_is_no_resource(text: str) -> None:
    assert not is_resource(text)


@pytest.mark.parametrize("text", [CAL, "urn:yizheng:service:1", "https://a.example/api?x=1"])
def test_what_is_one(text: str) -> None:
    assert is_resource(text)


def test_resources_are_read_once_and_bounded() -> None:
    assert read_resources({}) == ()
    assert read_resources({"resource": f"{CAL} {CAL}"}) == (CAL,)
    for text in ("a  b", " ".join(f"urn:x:{i}" for i in range(MAX_RESOURCES + 1))):
        with pytest.raises(ProtocolError) as caught:
            read_resources({"resource": text})
        assert caught.value.error == "invalid_target"


def test_only_what_is_registered_may_be_asked_for() -> None:
    assert choose_resources({"resource": "https://own.example/"}, CLIENT) == ("https://own.example/",)
    with pytest.raises(ProtocolError) as caught:
        choose_resources({"resource": f"{CAL} https://foreign.example/"}, CLIENT)
    assert caught.value.error == "invalid_target"


def test_a_token_is_for_one_audience() -> None:
    assert find_audience((), {}) is None
    assert find_audience((CAL,), {}) == CAL
    for granted, named in (((CAL, CONTACTS), ""), ((CAL,), CONTACTS), ((), CAL), ((CAL, CONTACTS), f"{CAL} {CONTACTS}")):
        with pytest.raises(ProtocolError) as caught:
            find_audience(granted, {"resource": named} if named else {})
        assert caught.value.error == "invalid_target"


# authorization details (RFC 9396)


def read_details(text: str) -> tuple[Any, ...]:
    """Return the entries of a parameter."""
    return read_authorization_details(text, CLIENT)


def test_a_mandate_is_understood() -> None:
    assert read_authorization_details(None, CLIENT) == ()
    (detail,) = read_details('[{"type":"urn:yizheng:mandate","services":["330000-0123"],"actions":["submit"],"principal_hint":"uscc:1"}]')
    assert detail["representation"] == "optional"
    assert not requires_representation((detail,))
    assert requires_representation(read_details('[{"type":"urn:yizheng:mandate","representation":"required"}]'))


def test_nobody_acts_for_anybody_yet() -> None:
    details = read_details('[{"type":"urn:yizheng:mandate","representation":"none","services":["330000-0123"]}]')
    assert grant_details((*details, {"type": "other", "kept": True})) == (
        {"type": MANDATE, "capacity": "none"},
        {"type": "other", "kept": True},
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "[{}]",
        '[{"type":5}]',
        '[{"type":"payment_initiation"}]',
        '[{"type":"urn:yizheng:mandate","type":"x"}]',
        '[{"type":"urn:yizheng:mandate","more":1}]',
        '[{"type":"urn:yizheng:mandate","representation":"always"}]',
        '[{"type":"urn:yizheng:mandate","principal_hint":""}]',
        '[{"type":"urn:yizheng:mandate","principal_hint":5}]',
        '[{"type":"urn:yizheng:mandate","services":"a"}]',
        '[{"type":"urn:yizheng:mandate","services":[""]}]',
        '[{"type":"urn:yizheng:mandate","actions":[5]}]',
        '[{"type":"urn:yizheng:mandate","actions":["a b"]}]',
        "[" + ",".join(['{"type":"urn:yizheng:mandate"}'] * 6) + "]",
        "[" * 3_000,
        " " * 4_001,
    ],
)
def test_other_details_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_details(text)
    assert caught.value.error == "invalid_authorization_details"


def test_a_type_is_for_those_who_are_registered_for_it() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_authorization_details('[{"type":"urn:yizheng:mandate"}]', make_client())
    assert caught.value.error == "invalid_authorization_details"


# terms


def test_terms_are_written_and_read_again() -> None:
    assert write_terms(NO_TERMS) is None
    assert read_terms(None) is NO_TERMS
    for terms in (
        Terms(resources=(CAL,)),
        Terms(claims=ClaimsRequest(id_token=Asked({"name": ClaimAsk(True, ("测试",))}))),
        Terms(authorization_details=({"type": MANDATE, "capacity": "none"},), actor={"sub": "x"}, kind="exchange"),
    ):
        text = write_terms(terms)
        assert text is not None
        assert read_terms(text) == terms


def test_terms_of_a_newer_release_are_read_as_far_as_they_are_known() -> None:
    assert read_terms('{"resources":["a"],"later":{"x":1}}') == Terms(resources=("a",))
    assert read_terms('{"resources":5,"authorization_details":5,"actor":5}') == NO_TERMS
    with pytest.raises(ValueError, match="not the terms"):
        read_terms("[]")


def test_terms_are_bounded() -> None:
    with pytest.raises(ValueError, match="too much"):
        write_terms(Terms(kind="x" * MAX_TERMS))
    claims = '{"userinfo":{"ial":{"values":[' + ",".join(str(n) for n in range(1_500)) + "]}}}"
    with pytest.raises(ProtocolError) as caught:
        read_authorization_request(make_parameters(claims=claims), CLIENT, "https://land.example/callback")
    assert caught.value.error == "invalid_request"


# what a request says besides


def read(client: Any = CLIENT, **changes: str | None) -> Any:
    """Return a request."""
    return read_authorization_request(make_parameters(**changes), client, "https://land.example/callback")


def test_claims_and_resources_become_terms() -> None:
    request = read(claims='{"userinfo":{"name":null,"locale":null,"nobody_knows":null}}', resource=CAL)
    assert request.terms.resources == (CAL,)
    assert "locale" in request.asked_claims
    assert "nobody_knows" not in request.asked_claims
    assert request.verified_names == frozenset()
    assert read(scope="openid").asked_claims == ("sub",)
    assert read().terms is NO_TERMS
    assert read(claims="{}").terms == NO_TERMS
    for place in ("userinfo", "id_token"):
        asked = f'{{"{place}":{{"verified_claims":{{"verification":{{"trust_framework":null}},"claims":{{"name":null}}}}}}}}'
        assert read(claims=asked).verified_names == {"name"}


def test_only_claims_of_a_clients_own_scopes_may_be_named() -> None:
    assert "phone_number" in list_requestable(CLIENT)
    assert "phone_number" not in list_requestable(make_client(scopes=("profile",)))
    assert read(make_client(scopes=()), claims='{"userinfo":{"name":null}}').terms == NO_TERMS


def test_levels_are_found_in_the_order_of_preference() -> None:
    by_default = make_client(requests=RequestDemands(default_acr_values=("unknown", Acr.HIGH.value), default_max_age=600))
    assert (read(by_default).wanted, read(by_default).max_age) == (Acr.HIGH, 600)
    assert (read(by_default, acr_values=Acr.LOW.value).wanted, read(by_default, max_age="5").max_age) == (Acr.LOW, 5)
    assert read(by_default, acr_values="unknown").wanted is None, "what was asked for and is not known asks for nothing"
    asked = read(claims=f'{{"id_token":{{"acr":{{"values":[5,"phr","{Acr.SUBSTANTIAL.value}"]}}}}}}')
    assert (asked.wanted, asked.essential) == (Acr.PHR, ())
    essential = read(claims=f'{{"id_token":{{"acr":{{"essential":true,"values":["silver","{Acr.SUBSTANTIAL.value}"]}}}}}}')
    assert essential.essential == (Acr.SUBSTANTIAL,)
    assert read(claims='{"id_token":{"acr":{"essential":true}}}').essential == ()
    with pytest.raises(ProtocolError) as caught:
        read(claims='{"id_token":{"acr":{"essential":true,"value":"silver"}}}')
    assert caught.value.error == "unmet_authentication_requirements"


def test_a_subject_is_demanded_by_one_value() -> None:
    assert read(claims='{"id_token":{"sub":{"value":"s-1"}}}').subject == "s-1"
    assert read(claims='{"id_token":{"sub":null}}').subject is None
    for values in ("[5]", '["a","b"]'):
        with pytest.raises(ProtocolError):
            read(claims=f'{{"id_token":{{"sub":{{"values":{values}}}}}}}')


def test_the_key_of_the_code_is_a_thumbprint() -> None:
    assert read(dpop_jkt=CHALLENGE).dpop_jkt == CHALLENGE
    assert read().dpop_jkt is None


def test_a_profile_needs_pkce_whatever_is_registered() -> None:
    with pytest.raises(ProtocolError):
        read(make_client(profile=Profile.FAPI2, requires_pkce=False), code_challenge=None, code_challenge_method=None)


# response modes


@pytest.mark.parametrize("mode", list(ResponseMode))
def test_every_mode_is_found(mode: ResponseMode) -> None:
    assert read(response_mode=mode.value).response_mode is mode
    assert mode.is_signed == mode.value.endswith("jwt")
    assert mode.is_posted == mode.value.startswith("form_post")


def test_an_unknown_mode_answers_in_the_query() -> None:
    assert find_response_mode({"response_mode": "fragment"}, CLIENT) is find_response_mode({}, CLIENT) is ResponseMode.QUERY
    with pytest.raises(ProtocolError):
        read_response_mode({"response_mode": "fragment"}, CLIENT)
    read_response_mode({}, CLIENT)


def test_a_profile_may_want_signed_responses_alone() -> None:
    strict = make_client(profile=Profile.FAPI2_MESSAGE_SIGNING)
    for text in (None, "query", "form_post"):
        with pytest.raises(ProtocolError):
            read_response_mode({} if text is None else {"response_mode": text}, strict)
    read_response_mode({"response_mode": "jwt"}, strict)
    assert find_response_mode({}, strict) is ResponseMode.JWT
    assert find_response_mode({"response_mode": "form_post"}, strict) is ResponseMode.FORM_POST_JWT
    plain = make_client(profile=Profile.FAPI2)
    read_response_mode({}, plain)
    assert find_response_mode({}, plain) is ResponseMode.QUERY


def test_responses_are_signed_as_registered() -> None:
    assert find_jarm_algorithm(CLIENT) == "RS256"
    assert find_jarm_algorithm(make_client(responses=ResponseProtection(authorization_signed_response_alg="PS256"))) == "PS256"
    assert find_jarm_algorithm(make_client(profile=Profile.FAPI2)) == "ES256"


# request objects (RFC 9101)


RFC_9101 = {
    "iss": "s6BhdRkqt3",
    "aud": "https://server.example.com",
    "response_type": "code id_token",
    "client_id": "s6BhdRkqt3",
    "redirect_uri": "https://client.example.org/cb",
    "scope": "openid",
    "state": "af0ifjsldkj",
    "nonce": "n-0S6_WzA2Mj",
    "max_age": 86400,
}
"""The claims of the request object of RFC 9101 §4."""


def test_the_example_of_rfc_9101() -> None:
    client = make_client(client_id="s6BhdRkqt3")
    check_object(RFC_9101, client, ISSUER, NOW)
    outside = {"client_id": "s6BhdRkqt3", "request": "…", "ui_locales": "en"}
    parameters = read_object_parameters(RFC_9101, outside, client, PARAMETERS)
    assert parameters["max_age"] == "86400"
    assert (parameters["state"], parameters["ui_locales"]) == ("af0ifjsldkj", "en")
    assert not {"iss", "aud", "request"} & parameters.keys()


def test_what_stands_outside_counts_for_nothing_where_signing_is_demanded() -> None:
    claims = {"client_id": "land", "scope": "openid", "resource": [CAL, CONTACTS], "claims": {"userinfo": {"name": None}}, "nonce": None}
    parameters = read_object_parameters(claims, {"client_id": "land", "state": "s", "nonce": "n"}, SIGNING, PARAMETERS)
    assert parameters == {"client_id": "land", "scope": "openid", "resource": f"{CAL} {CONTACTS}", "claims": '{"userinfo":{"name":null}}'}


@pytest.mark.parametrize(
    ("claims", "outside"),
    [
        ({"response_type": "token"}, {"response_type": "code"}),
        ({"client_id": "x"}, {"client_id": "land"}),
        ({"client_id": "x"}, {}),
        ({"state": True}, {}),
        ({"state": 1.5}, {}),
        ({"state": "a\nb"}, {}),
        ({"state": "x" * 100_000}, {}),
        ({"resource": [CAL, 5]}, {"resource": "x"}),
    ],
)
def test_a_contradiction_is_refused(claims: dict[str, Any], outside: dict[str, str]) -> None:
    if "resource" in claims:
        read = read_object_parameters(claims, outside, CLIENT, PARAMETERS)
        assert read["resource"] == '["https://cal.example.com/",5]', "no resource, refused later"
        return
    with pytest.raises(ProtocolError) as caught:
        read_object_parameters(claims, outside, CLIENT, PARAMETERS)
    assert caught.value.error == "invalid_request_object"


@pytest.mark.parametrize("value", [True, 1.5, "a\nb", "x" * 100_000, {"a": 1.5}, [None], 7, "text"])
def test_a_claim_that_is_no_parameter_of_ours_is_ignored(value: object) -> None:
    claims = {"state": "s", "x_flag": value, "iss": value, "jti": value}
    assert read_object_parameters(claims, {}, CLIENT, PARAMETERS) == {"state": "s", "client_id": "land"}


def test_demands_come_from_the_client_or_from_its_profile() -> None:
    assert not demands_signature(CLIENT)
    assert demands_signature(SIGNING)
    assert demands_signature(make_client(profile=Profile.FAPI2_MESSAGE_SIGNING))
    assert not demands_signature(make_client(profile=Profile.FAPI2))
    assert not demands_pushing(CLIENT)
    assert demands_pushing(make_client(profile=Profile.FAPI2))
    assert demands_pushing(replace(CLIENT, requests=RequestDemands(require_pushed_authorization_requests=True)))


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"aud": [ISSUER, "https://other.example"]}, True),
        ({"exp": NOW - 9}, True),
        ({"exp": NOW - 10}, False),
        ({"nbf": NOW + 10}, True),
        ({"nbf": NOW + 11}, False),
        ({"nbf": NOW - 3_600, "exp": NOW}, True),
        ({"nbf": NOW - 3_601, "exp": NOW - 1}, False),
        ({"nbf": NOW, "exp": NOW + 3_601}, False),
        ({"exp": "soon"}, False),
        ({"exp": None}, False),
        ({"nbf": None}, False),
        ({"iss": None}, False),
        ({"aud": None}, False),
        ({"aud": "https://other.example"}, False),
        ({"request": "x"}, False),
        ({"sub": "land"}, False),
        ({"sub": "somebody"}, True),
    ],
)
def test_a_signed_object_is_of_this_client_for_us_and_of_this_hour(changes: dict[str, Any], good: bool) -> None:
    claims = {"iss": "land", "aud": ISSUER, "nbf": NOW - 5, "exp": NOW + 300, **changes}
    given = {name: value for name, value in claims.items() if value is not None}
    if good:
        check_object(given, SIGNING, ISSUER, NOW)
        return
    with pytest.raises(ProtocolError) as caught:
        check_object(given, SIGNING, ISSUER, NOW)
    assert caught.value.error == "invalid_request_object"


@pytest.mark.parametrize(
    ("resource", "ours"),
    [
        ("https://id.example/admin/v1", True),
        ("HTTPS://ID.example.:443/", True),
        ("https://id.example", True),
        ("https://id.example:8443/", False),
        ("https://id.example:99999/", False),
        ("http://id.example/", False),
        ("https://api.id.example/", False),
        ("urn:api", False),
    ],
)
def test_what_is_at_the_issuer_is_the_issuers(resource: str, ours: bool) -> None:
    assert is_of_issuer(resource, "https://id.example") is ours
