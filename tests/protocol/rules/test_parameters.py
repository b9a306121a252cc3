"""Request parameters: strict, bounded, never twice."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.protocol.rules.parameters import LONGER, MAX_VALUE, BadParameters, parse_parameters

text = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=50)


@given(st.dictionaries(text, text, max_size=20))
def test_what_was_encoded_is_read_back(parameters: dict[str, str]) -> None:
    assert parse_parameters(urlencode(parameters).encode()) == parameters


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = parse_parameters(raw)
    except BadParameters:
        return
    assert all(value for value in found.values())


@pytest.mark.parametrize("raw", [b"a=1&a=1", b"a=1&a=", b"a&a", b"state=x&%73tate=y"])
def test_a_repeated_parameter_is_refused(raw: bytes) -> None:
    with pytest.raises(BadParameters) as caught:
        parse_parameters(raw)
    assert caught.value.reason == "repeated"


def test_values_of_2000_characters_stay_intact_and_one_more_is_refused() -> None:
    state = "省" * MAX_VALUE
    assert parse_parameters(urlencode({"state": state}).encode()) == {"state": state}
    with pytest.raises(BadParameters) as caught:
        parse_parameters(urlencode({"state": state + "x"}).encode())
    assert (caught.value.reason, caught.value.name) == ("too_long", "state")


def test_sealed_values_may_be_longer() -> None:
    hint = "a" * LONGER["id_token_hint"]
    assert parse_parameters(b"id_token_hint=" + hint.encode())["id_token_hint"] == hint
    with pytest.raises(BadParameters):
        parse_parameters(b"id_token_hint=a" + hint.encode())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"a=%ff", "not_utf8"),
        (b"a=\xc3\xa9", "not_utf8"),
        (b"%ff=a", "not_utf8"),
        (b"a=%00", "control_character"),
        (b"a=%0d%0ax", "control_character"),
    ],
)
def test_what_is_not_text_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(BadParameters) as caught:
        parse_parameters(raw)
    assert caught.value.reason == reason


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(BadParameters):
        parse_parameters("&".join(f"p{i}=1" for i in range(41)).encode())


def test_an_empty_value_counts_as_absent() -> None:
    assert parse_parameters(b"a=&b=1&c") == {"b": "1"}
