"""Requests that are answered on another device: codes, polls, answers, storage."""

import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.backchannel_authentication import (
    MAX_JTI,
    SIGNED_LIFE,
    BackchannelRequest,
    check_signed_request,
    demands_signed_request,
    read_backchannel_request,
)
from idp.protocol.rules.client_metadata import BackchannelAuthentication, Profile, RequestDemands
from idp.protocol.rules.decoupled_request import (
    LONGEST_INTERVAL,
    USER_CODE_LETTERS,
    Answer,
    Approval,
    DecoupledRequest,
    Kind,
    Status,
    decide_poll,
    is_message,
    make_user_code,
    read_decoupled_request,
    read_user_code,
    show_user_code,
    write_decoupled_request,
)
from idp.protocol.rules.resources import keep_resources
from idp.protocol.rules.terms import Terms, read_terms, write_terms
from tests.support.protocol_samples import NOW, make_client

REQUEST = DecoupledRequest("r", Kind.DEVICE, "kiosk", ("openid",), NOW, NOW + timedelta(minutes=10), 5, "大厅1号机（样例）", "BCDFGHJK")
APPROVAL = Approval(UUID(int=7), "sub-7", "[]", "urn:yizheng:acr:low", 1_700_000_000)
CIBA = make_client(grant_types=frozenset({"urn:openid:params:grant-type:ciba"}))


def test_polls_follow_rfc_8628() -> None:
    first = decide_poll(REQUEST, NOW)
    assert (first.error, first.request.interval) == ("authorization_pending", 5)
    early = decide_poll(first.request, NOW + timedelta(seconds=4))
    assert (early.error, early.request.interval) == ("slow_down", 10)
    still = decide_poll(early.request, NOW + timedelta(seconds=13))
    assert (still.error, still.request.interval) == ("slow_down", 15)
    waited = decide_poll(early.request, NOW + timedelta(seconds=14))
    assert waited.error == "authorization_pending"
    assert decide_poll(REQUEST, NOW + timedelta(minutes=10)).error == "expired_token"
    fast = replace(REQUEST, interval=LONGEST_INTERVAL, polled_at=NOW)
    assert decide_poll(fast, NOW).request.interval == LONGEST_INTERVAL


def test_who_was_told_of_an_answer_need_not_wait() -> None:
    polled = replace(REQUEST, kind=Kind.CIBA, polled_at=NOW, interval=LONGEST_INTERVAL)
    for notify, error in (("token-1", ""), ("", "slow_down")):
        approved = replace(polled, notify=notify).after(Answer.APPROVE, APPROVAL)
        assert approved is not None
        assert decide_poll(approved, NOW).error == error
    assert decide_poll(replace(polled, notify="token-1"), NOW).error == "slow_down", "nobody answered"


def test_an_answer_is_given_once() -> None:
    approved = REQUEST.after(Answer.APPROVE, APPROVAL)
    assert approved is not None
    assert (approved.status, approved.approval) == (Status.APPROVED, APPROVAL)
    assert decide_poll(approved, NOW).error == ""
    denied = REQUEST.after(Answer.DENY)
    assert denied is not None
    assert decide_poll(denied, NOW).error == "access_denied"
    for over in (approved, denied):
        assert over.after(Answer.APPROVE, APPROVAL) is None
        assert over.after(Answer.DENY) is None


@pytest.mark.parametrize("typed", ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "BCDF–GHJK", "B.C_D-F G-H-J-K"])
def test_codes_are_read_as_people_type_them(typed: str) -> None:
    assert read_user_code(typed) == "BCDFGHJK"


@pytest.mark.parametrize("typed", ["", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "1CDFGHJK", "ＢCDFGHJK"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert read_user_code(typed) is None


@given(st.binary(min_size=64, max_size=64))
def test_made_codes_are_read_back(random: bytes) -> None:
    if sum(byte < 240 for byte in random) >= 8:
        code = make_user_code(random)
        assert read_user_code(show_user_code(code)) == code
        assert set(code) <= set(USER_CODE_LETTERS)


def test_a_code_needs_enough_randomness() -> None:
    with pytest.raises(ValueError, match="too little"):
        make_user_code(b"\xff" * 64)


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_codes(text: str) -> None:
    code = read_user_code(text)
    assert code is None or (len(code) == 8 and set(code) <= set(USER_CODE_LETTERS))


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        REQUEST.after(Answer.APPROVE, APPROVAL),
        REQUEST.after(Answer.APPROVE, replace(APPROVAL, sector_id=UUID(int=8))),
        replace(REQUEST, terms=write_terms(Terms(resources=("https://cal.example.com/",)))),
        replace(REQUEST, kind=Kind.CIBA, person_id=UUID(int=9), notify="token", wanted="urn:yizheng:acr:low", polled_at=NOW),
    ],
)
def test_what_is_stored_is_read_back(request_: DecoupledRequest) -> None:
    assert read_decoupled_request("r", write_decoupled_request(request_)) == request_


def test_what_the_release_before_stored_is_read() -> None:
    approved = REQUEST.after(Answer.APPROVE, APPROVAL)
    assert approved is not None
    document = json.loads(write_decoupled_request(approved))
    del document["sector_id"], document["terms"]
    assert read_decoupled_request("r", json.dumps(document).encode()) == approved


def test_the_resources_of_a_request_are_kept_with_it() -> None:
    long = tuple(f"urn:x:{i}:{'y' * 400}" for i in range(10))
    client = make_client(requests=RequestDemands(allowed_resources=("urn:a", "urn:b", *long)))
    assert keep_resources({}, client) is None
    assert read_terms(keep_resources({"resource": "urn:b urn:a"}, client)) == Terms(resources=("urn:b", "urn:a"))
    for error, named in (("invalid_target", "urn:c"), ("invalid_request", " ".join(long))):
        with pytest.raises(ProtocolError) as caught:
            keep_resources({"resource": named}, client)
        assert caught.value.error == error


@pytest.mark.parametrize(("text", "fits"), [("取号 A-17", True), ("", False), ("x" * 101, False), ("a\nb", False), ("a\u202eb", False)])
def test_a_message_is_one_printable_line(text: str, fits: bool) -> None:
    assert is_message(text) is fits


def test_a_backchannel_request_is_read() -> None:
    parameters = {"login_hint": "13800000001", "binding_message": "W4SCT", "requested_expiry": "120"}
    assert read_backchannel_request(parameters, CIBA, message_required=True) == BackchannelRequest("13800000001", None, "W4SCT", 120, "")
    assert read_backchannel_request({"id_token_hint": "t", "requested_expiry": "100000"}, CIBA, message_required=False).life == 600
    ping = replace(CIBA, ciba=BackchannelAuthentication("ping", "https://counter.example/ping"))
    asked = {"login_hint": "x", "client_notification_token": "8d67dc78-7faa-4d41-aabd-67707b374255"}
    assert read_backchannel_request(asked, ping, message_required=False).notify == asked["client_notification_token"]


@pytest.mark.parametrize(
    ("error", "parameters"),
    [
        ("invalid_request", {}),
        ("invalid_request", {"login_hint": "a", "id_token_hint": "b"}),
        ("invalid_request", {"login_hint": "a", "login_hint_token": "b"}),
        ("invalid_request", {"login_hint": "a" * 101}),
        ("invalid_request", {"login_hint": "a", "requested_expiry": "0"}),
        ("invalid_request", {"login_hint": "a", "requested_expiry": "-1"}),
        ("invalid_request", {"login_hint": "a", "requested_expiry": "１"}),
        ("invalid_binding_message", {"login_hint": "a", "binding_message": "x" * 101}),
        ("invalid_binding_message", {"login_hint": "a", "binding_message": "a\x00b"}),
    ],
)
def test_wrong_backchannel_requests_have_their_own_error(error: str, parameters: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_backchannel_request(parameters, CIBA, message_required=False)
    assert caught.value.error == error


def test_a_tight_profile_needs_a_binding_message() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_backchannel_request({"login_hint": "a"}, CIBA, message_required=True)
    assert caught.value.error == "invalid_binding_message"


@pytest.mark.parametrize("token", ["", "a b", "x" * 1025, "ü"])
def test_a_pinged_client_sends_a_token(token: str) -> None:
    ping = replace(CIBA, ciba=BackchannelAuthentication("ping", "https://counter.example/ping"))
    with pytest.raises(ProtocolError) as caught:
        read_backchannel_request({"login_hint": "x", "client_notification_token": token}, ping, message_required=False)
    assert caught.value.error == "invalid_request"


def test_the_grant_must_be_registered() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_backchannel_request({"login_hint": "x"}, make_client(), message_required=False)
    assert caught.value.error == "unauthorized_client"


def test_who_must_sign_the_request() -> None:
    assert not demands_signed_request(CIBA)
    assert demands_signed_request(replace(CIBA, profile=Profile.FAPI2)), "FAPI-CIBA §5.2.2"
    assert demands_signed_request(replace(CIBA, ciba=replace(CIBA.ciba, backchannel_authentication_request_signing_alg="ES256")))


SIGNED = {"iss": "kiosk", "aud": "https://id.example", "exp": 1_700_000_060, "iat": 1_700_000_000, "nbf": 1_700_000_000, "jti": "j"}


def test_a_signed_request_says_who_when_and_once() -> None:
    beside = {"request": "r", "client_id": "kiosk", "client_secret": "s"}
    assert check_signed_request(SIGNED, beside) == "j"
    longest = {**SIGNED, "exp": SIGNED["nbf"] + SIGNED_LIFE, "jti": "j" * MAX_JTI}  # type: ignore[operator]
    assert check_signed_request(longest, {}) == "j" * MAX_JTI


@pytest.mark.parametrize("missing", sorted(SIGNED))
def test_a_signed_request_lacks_nothing(missing: str) -> None:
    """CIBA §7.1.1."""
    with pytest.raises(ProtocolError) as caught:
        check_signed_request({name: value for name, value in SIGNED.items() if name != missing}, {})
    assert caught.value.error == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "beside"),
    [
        ({"exp": "1700000060"}, {}),
        ({"jti": ""}, {}),
        ({"jti": 7}, {}),
        ({"jti": "j" * (MAX_JTI + 1)}, {}),
        ({"exp": 1_700_000_000 + SIGNED_LIFE + 1}, {}),
        ({}, {"request": "r", "scope": "openid"}),
        ({}, {"request": "r", "login_hint": "x"}),
    ],
)
def test_a_signed_request_is_bounded_and_alone(changes: dict[str, object], beside: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_signed_request({**SIGNED, **changes}, beside)
    assert caught.value.error == "invalid_request"
