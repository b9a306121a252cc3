"""JSON from outside: what it holds, and what is refused."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.json_text import MAX_DEPTH, parse_json

WORDS = r"^[ !#-\[\]-~]+$"
"""The characters of an ``error_description`` (RFC 6749 §5.2): no quote, no backslash."""

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
FLAT = st.lists(SCALARS, max_size=4) | st.dictionaries(st.text(), SCALARS, max_size=4)
VALUES = SCALARS | FLAT | st.lists(FLAT, max_size=4) | st.dictionaries(st.text(), FLAT, max_size=4)


def nest(levels: int) -> str:
    """Return lists inside each other, as many as that."""
    return "[" * levels + "]" * levels


@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    assert parse_json(json.dumps(value), 100_000) == value


@given(st.text() | st.text(alphabet='{}[]":,\\u0dx1ea'))
def test_any_text_is_read_or_refused_in_words_that_an_answer_may_hold(text: str) -> None:
    with suppress(ValueError):
        parse_json(text, 50)
        return
    with pytest.raises(ValueError, match=WORDS):
        parse_json(text, 50)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '[{"b":{"a":1,"a":2}}]',
        "NaN",
        "[Infinity]",
        "[-Infinity]",
        "1e999",
        nest(MAX_DEPTH + 1),
        nest(100_000),
        "",
        "{",
        '{"a":1} x',
        '"\\ud800"',
        '{"\\uDC00":1}',
        '{"a":"\\x"}',
        '{"a":"\\u12"}',
        "{a:1}",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=WORDS):
        parse_json(text, 1_000_000)


def test_a_whole_pair_is_a_character() -> None:
    assert parse_json('"\\ud83d\\ude00"', 20) == "\U0001f600"


def test_the_bounds_are_exact() -> None:
    assert parse_json('"' + "x" * 8 + '"', 10) == "x" * 8
    with pytest.raises(ValueError, match="too long"):
        parse_json('"' + "x" * 9 + '"', 10)
    assert json.dumps(parse_json(nest(MAX_DEPTH), 1_000)) == nest(MAX_DEPTH)
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(nest(MAX_DEPTH + 1), 1_000)
