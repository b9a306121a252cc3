"""What is kept of a passkey, and what its counter says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authenticators.rules.passkey import MAX_NAME, RelyingParty, clean_name, find_relying_party, is_copied, keep_transports


@pytest.mark.parametrize(
    "issuer, party",
    [
        ("https://id.example.gov.cn", RelyingParty("id.example.gov.cn", "https://id.example.gov.cn")),
        ("https://id.example.gov.cn:8443", RelyingParty("id.example.gov.cn", "https://id.example.gov.cn:8443")),
        ("http://localhost:8000", RelyingParty("localhost", "http://localhost:8000")),
        ("http://127.0.0.1:8000", None),
        ("http://[::1]:8000", None),
        ("nothing", None),
    ],
)
def test_passkeys_are_made_for_the_issuers_host_when_it_is_a_name(issuer: str, party: RelyingParty | None) -> None:
    assert find_relying_party(issuer) == party


@pytest.mark.parametrize("known, told, copied", [(0, 0, False), (0, 1, False), (1, 2, False), (1, 1, True), (2, 1, True), (1, 0, True)])
def test_a_counter_that_does_not_go_on_is_a_copys(known: int, told: int, copied: bool) -> None:
    assert is_copied(known, told) is copied


def test_only_known_transports_are_kept() -> None:
    assert keep_transports(["usb", "internal", "made-up", 7, "usb"]) == ("internal", "usb")
    assert keep_transports(None) == keep_transports("usb") == keep_transports({"usb": 1}) == ()


@pytest.mark.parametrize("text, name", [("", "手机"), ("   ", "手机"), (" 我的 \u202e 手机\n", "我的 手机"), ("键" * 60, "键" * 40)])
def test_a_name_is_one_short_line(text: str, name: str) -> None:
    assert clean_name(text, "手机") == name


@given(st.text(max_size=200))
def test_any_name_can_be_shown(text: str) -> None:
    name = clean_name(text, "?")
    assert 1 <= len(name) <= MAX_NAME
    assert name.isprintable()
