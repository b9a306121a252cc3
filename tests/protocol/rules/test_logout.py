"""The way to each department, what its answer means, and what a logout token says."""

import pytest

from idp.protocol.rules.client_metadata import LogoutAddresses
from idp.protocol.rules.logout import (
    EVENT,
    Answered,
    Channel,
    build_front_address,
    choose_channel,
    describe_logout,
    judge_answer,
)

BACK, FRONT = "https://land.example/back", "https://land.example/front"


@pytest.mark.parametrize(
    ("back", "front", "channel"),
    [(None, None, Channel.NONE), (None, FRONT, Channel.FRONT), (BACK, None, Channel.BACK), (BACK, FRONT, Channel.BACK)],
)
def test_the_back_channel_goes_before_the_front_channel(back: str | None, front: str | None, channel: Channel) -> None:
    assert choose_channel(LogoutAddresses(backchannel_logout_uri=back, frontchannel_logout_uri=front)) is channel


@pytest.mark.parametrize("status", [200, 204])
def test_thanks(status: int) -> None:
    assert judge_answer(status) == Answered(told=True, final=True, reason=f"status_{status}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 415, 499])
def test_a_refusal_is_final(status: int) -> None:
    assert judge_answer(status) == Answered(told=False, final=True, reason=f"status_{status}")


@pytest.mark.parametrize("status", [100, 201, 206, 399, 408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_trouble_and_nonsense_are_tried_again(status: int) -> None:
    assert judge_answer(status) == Answered(told=False, final=False, reason=f"status_{status}")


def test_a_logout_token_says_who_left_whom_and_never_has_a_nonce() -> None:
    claims = describe_logout("https://id.example", "land", "subject", "sid-1", 1_000, "jti-1")
    assert claims == {
        "iss": "https://id.example",
        "sub": "subject",
        "aud": "land",
        "iat": 1_000,
        "exp": 1_120,
        "jti": "jti-1",
        "sid": "sid-1",
        "events": {EVENT: {}},
    }


def test_the_browser_takes_issuer_and_session_along() -> None:
    assert build_front_address(FRONT, "https://id.example", "s_1") == FRONT + "?iss=https%3A%2F%2Fid.example&sid=s_1"
    assert build_front_address(FRONT + "?x=1", "https://id.example", "s") == FRONT + "?x=1&iss=https%3A%2F%2Fid.example&sid=s"
