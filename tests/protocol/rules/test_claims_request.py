"""What the ``claims`` parameter may ask for, and what of it is kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.claims import GUARDED, limit_to_plain, list_unasked, narrow_asked, select_claims
from idp.protocol.rules.claims_request import (
    MAX_CLAIMS_REQUEST,
    MAX_VERIFIED,
    NOTHING,
    Asked,
    ClaimAsk,
    ClaimsRequest,
    VerifiedAsk,
    load_claims_request,
    read_claims_request,
    write_claims_request,
)
from idp.protocol.rules.client import Basis, Entitlement
from tests.protocol.rules.test_json_shapes import JSON, find_refusal
from tests.support.protocol_samples import make_client

KNOWN = frozenset({"given_name", "nickname", "email", "email_verified", "picture", "auth_time", "acr", "name", "birthdate"})
CORE_5_5 = """
  {
   "userinfo":
    {
     "given_name": {"essential": true},
     "nickname": null,
     "email": {"essential": true},
     "email_verified": {"essential": true},
     "picture": null,
     "http://example.info/claims/groups": null
    },
   "id_token":
    {
     "auth_time": {"essential": true},
     "acr": {"values": ["urn:mace:incommon:iap:silver"] }
    }
  }
"""
"""The example of OpenID Connect Core §5.5."""

IDA_SIMPLE = {
    "userinfo": {
        "verified_claims": {
            "verification": {"trust_framework": None, "time": {"max_age": 63113852}},
            "claims": {"name": {"essential": True}, "birthdate": None, "unheard_of": None},
        }
    }
}


def test_the_example_of_core() -> None:
    request = read_claims_request(CORE_5_5, KNOWN)
    assert request.userinfo.claims["given_name"] == ClaimAsk(essential=True)
    assert request.userinfo.claims["nickname"] == ClaimAsk()
    assert "http://example.info/claims/groups" not in request.userinfo.claims, "unknown ones are ignored"
    assert request.id_token.claims == {"auth_time": ClaimAsk(essential=True), "acr": ClaimAsk(values=("urn:mace:incommon:iap:silver",))}
    assert request.names == KNOWN - {"name", "birthdate"}


def test_verified_claims_keep_what_is_known() -> None:
    request = read_claims_request(json.dumps(IDA_SIMPLE), KNOWN)
    (ask,) = request.userinfo.verified
    assert ask == VerifiedAsk(
        {"trust_framework": None, "time": {"max_age": 63113852}}, {"name": ClaimAsk(essential=True), "birthdate": ClaimAsk()}
    )
    assert request.names == {"name", "birthdate"}
    several = {"userinfo": {"verified_claims": [IDA_SIMPLE["userinfo"]["verified_claims"]] * 2}}
    assert len(read_claims_request(json.dumps(several), KNOWN).userinfo.verified) == 2
    nothing_known = {"id_token": {"verified_claims": {"verification": {"trust_framework": None}, "claims": {"unheard_of": None}}}}
    assert read_claims_request(json.dumps(nothing_known), KNOWN) == ClaimsRequest()


def ask_verified(**changes: Any) -> dict[str, Any]:
    """Return a request for verified claims with some of it changed; None removes a member."""
    entry = {"verification": {"trust_framework": None}, "claims": {"name": None}, **changes}
    return {"userinfo": {"verified_claims": {name: value for name, value in entry.items() if value is not None}}}


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        {"userinfo": []},
        {"userinfo": {"name": "yes"}},
        {"userinfo": {"name": {"essential": "yes"}}},
        {"userinfo": {"name": {"values": "a"}}},
        {"userinfo": {"name": {"value": "a", "values": ["a"]}}},
        {"userinfo": {"name": {"purpose": "ab"}}},
        {"userinfo": {"name": {"purpose": "x" * 301}}},
        {"userinfo": {"name": {"purpose": 5}}},
        {"userinfo": {"省": "a"}},
        {"userinfo": {"verified_claims": []}},
        {"userinfo": {"verified_claims": [5]}},
        {"userinfo": {"verified_claims": [ask_verified()["userinfo"]["verified_claims"]] * (MAX_VERIFIED + 1)}},
        ask_verified(verification=None),
        ask_verified(verification={}),
        ask_verified(claims=None),
        ask_verified(claims={}),
    ],
)
def test_refused(value: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_claims_request(json.dumps(value), KNOWN)
    assert caught.value.error == "invalid_request"


@pytest.mark.parametrize(
    "text", ["", "{", '{"userinfo":{},"userinfo":{}}', '{"userinfo":{"name":null,"name":null}}', "[" * 5_000, "x" * 9_000]
)
def test_unreadable_text_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_claims_request(text, KNOWN)
    assert caught.value.error == "invalid_request"


def test_the_length_is_exact() -> None:
    text = json.dumps({"x": ""})
    assert read_claims_request(json.dumps({"x": "a" * (MAX_CLAIMS_REQUEST - len(text))}), KNOWN) == ClaimsRequest()


@given(JSON)
def test_any_json_is_read_or_refused_and_what_is_read_is_kept(value: Any) -> None:
    for whole in (value, {"userinfo": value}, {"id_token": {"name": value}}, {"userinfo": {"verified_claims": value}}):
        read: list[ClaimsRequest] = []
        refused = find_refusal(lambda whole=whole, read=read: read.append(load_claims_request(whole, KNOWN)))  # type: ignore[misc]
        assert refused is None or refused.error == "invalid_request"
        for request in read:
            assert load_claims_request(write_claims_request(request)) == request


def test_what_was_read_is_written_and_read_again() -> None:
    for text in (CORE_5_5, json.dumps(IDA_SIMPLE)):
        request = read_claims_request(text, KNOWN)
        assert load_claims_request(json.loads(json.dumps(write_claims_request(request)))) == request
    assert write_claims_request(ClaimsRequest()) == {}


NAME = Entitlement("登记", Basis.STATUTORY_DUTY, ("name",))


def test_a_name_asks_for_no_more_than_may_be_released() -> None:
    known: dict[str, Any] = {"sub": "s", "name": "测试", "gender": "female", "ial": 3}
    asks = {"name": ClaimAsk(essential=True), "gender": ClaimAsk(), "ial": ClaimAsk(), "email": ClaimAsk()}
    assert select_claims((), (NAME,), known, asks) == {"name": "测试", "ial": 3}
    assert select_claims((), (), known, asks) == {"ial": 3}


def test_another_value_than_the_one_asked_for_is_left_out() -> None:
    known: dict[str, Any] = {"ial": 3, "locale": "zh-CN"}
    assert select_claims((), (), known, {"ial": ClaimAsk(values=(4,)), "locale": ClaimAsk(values=("en", "zh-CN"))}) == {"locale": "zh-CN"}
    assert select_claims(("real_name",), (), known, {"ial": ClaimAsk(values=(4,))}) == {"ial": 3}, "the scope asks for it too"


def test_the_consent_page_names_what_is_asked_for_by_name() -> None:
    assert list_unasked(("openid",), make_client(entitlements=(NAME,)), (), ("name", "ial", "gender")) == ("sub", "name", "ial")


def test_a_plain_id_token_says_nothing_that_needs_an_entitlement() -> None:
    asked = Asked({"name": ClaimAsk(), "ial": ClaimAsk()}, (VerifiedAsk({"trust_framework": None}, {"name": ClaimAsk()}),))
    assert limit_to_plain(asked) == Asked({"ial": ClaimAsk()})
    assert limit_to_plain(NOTHING) == NOTHING
    assert {"name", "id_document", "phone_number"} <= GUARDED


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), st.booleans()))
def test_essential_is_no_privilege(asked: dict[str, bool]) -> None:
    known = dict.fromkeys(KNOWN, "x")
    asks = {name: ClaimAsk(essential) for name, essential in asked.items()}
    assert GUARDED.isdisjoint(select_claims((), (), known, asks))


def test_a_narrowed_scope_gives_up_what_was_named_and_belongs_to_it() -> None:
    verified = VerifiedAsk({"trust_framework": None}, {"name": ClaimAsk(), "phone_number": ClaimAsk()})
    asked = Asked({"name": ClaimAsk(), "phone_number": ClaimAsk()}, (verified, VerifiedAsk({}, {"name": ClaimAsk()})))
    granted = ("openid", "profile", "real_name")
    assert narrow_asked(asked, granted, granted) == asked
    assert narrow_asked(asked, granted, ("openid", "profile")) == asked
    left = {"phone_number": ClaimAsk()}
    assert narrow_asked(asked, granted, ("openid",)) == Asked(left, (VerifiedAsk({"trust_framework": None}, left),)), (
        "no scope stood for it"
    )
    assert narrow_asked(asked, ("profile", "identity"), ("identity",)) == asked, "a name is of both scopes"
