"""The session state that a client's page computes in our frame is the one it was given."""

import hashlib

import pytest

from idp.protocol.rules.session_state import make_session_state


@pytest.mark.parametrize(
    ("redirect_uri", "origin"),
    [
        ("https://land.example/callback?x=1", "https://land.example"),
        ("http://127.0.0.1:8001/callback", "http://127.0.0.1:8001"),
        ("https://LAND.Example:443/callback", "https://land.example"),
    ],
)
def test_it_is_made_of_client_origin_state_and_salt(redirect_uri: str, origin: str) -> None:
    expected = hashlib.sha256(f"land {origin} state salt".encode()).hexdigest() + ".salt"
    assert make_session_state("land", redirect_uri, "state", "salt") == expected


def test_each_part_counts() -> None:
    made = {
        make_session_state("land", "https://a.example/", "state", "salt"),
        make_session_state("fund", "https://a.example/", "state", "salt"),
        make_session_state("land", "https://b.example/", "state", "salt"),
        make_session_state("land", "https://a.example/", "other", "salt"),
        make_session_state("land", "https://a.example/", "state", "pepper"),
    }
    assert len(made) == 5
