"""Codes: six even digits, bound, short-lived, few tries."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authenticators.rules.sms_code import (
    CodeDead,
    CodeGone,
    CodeLimits,
    PendingCode,
    bind_code,
    is_over,
    judge_before,
    judge_wrong,
    keep_earlier,
    make_code,
    normalize_code,
    read_pending,
    write_pending,
)

FIRST = datetime(2020, 1, 1)  # noqa: DTZ001 - hypothesis draws naive instants
LAST = datetime(2090, 1, 1)  # noqa: DTZ001
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LIMITS = CodeLimits()
PENDING = PendingCode(b"\x01" * 32, "k1", NOW)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31))
def test_codes_have_six_digits(first: int, second: int) -> None:
    numbers = itertools.chain([first], itertools.repeat(second))
    code = make_code(lambda size: next(numbers).to_bytes(size, "big"))
    assert len(code) == 6
    assert code.isdigit()


def test_a_fixed_code_is_the_code() -> None:
    assert make_code(lambda size: bytes(size), "135790") == "135790"


def test_the_uneven_rest_is_rejected() -> None:
    numbers = iter([2**32 - 1, 2**32 - 2**32 % 10**6, 7])
    assert make_code(lambda size: next(numbers).to_bytes(size, "big")) == "000007"


@pytest.mark.parametrize(
    "typed, code",
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("１２３４５６", "123456"),
        ("123-456", "123456"),
        ("12345", None),
        ("1234567", None),
        ("12345a", None),
        ("", None),
        ("١٢٣٤٥٦", None),
        ("1" * 500, None),
    ],
)
def test_what_people_type(typed: str, code: str | None) -> None:
    assert normalize_code(typed) == code


parts = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.tuples(parts, parts, parts, parts), st.tuples(parts, parts, parts, parts))
def test_no_two_bindings_share_a_message(one: tuple[str, str, str, str], other: tuple[str, str, str, str]) -> None:
    assert (bind_code(*one) == bind_code(*other)) is (one == other)


@given(st.floats(0, 299.9))
def test_a_code_lives_five_minutes(age: float) -> None:
    counted = judge_before(PENDING, NOW + timedelta(seconds=age), LIMITS)
    assert isinstance(counted, PendingCode)
    assert counted.tries == 1


@given(st.floats(300, 10**6))
def test_an_old_code_is_gone(age: float) -> None:
    assert judge_before(PENDING, NOW + timedelta(seconds=age), LIMITS) == CodeGone()


def test_no_code_is_gone() -> None:
    assert judge_before(None, NOW, LIMITS) == CodeGone()


def test_five_tries_kill_it() -> None:
    pending, left = PENDING, []
    for _ in range(5):
        counted = judge_before(pending, NOW, LIMITS)
        assert isinstance(counted, PendingCode)
        pending = counted
        left.append(judge_wrong(pending, LIMITS).tries_left)
    assert left == [4, 3, 2, 1, 0]
    assert judge_before(pending, NOW, LIMITS) == CodeDead()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 5), st.datetimes(FIRST, LAST))
def test_written_codes_read_back(mac: bytes, tries: int, at: datetime) -> None:
    pending = PendingCode(mac, "codes-1", at.replace(tzinfo=UTC, microsecond=0), tries)
    assert read_pending(write_pending(pending)) == pending


def test_another_format_is_no_code() -> None:
    assert read_pending(b'[2, "", "k", 0, 0]') is None


@pytest.mark.parametrize("minutes,tries,kept", [(1, 0, True), (4, 4, True), (1, 5, False), (5, 0, False)])
def test_a_message_that_did_not_leave_replaces_no_code_that_did(minutes: int, tries: int, kept: bool) -> None:
    earlier = PendingCode(b"\x01" * 32, "k1", NOW, tries)
    fresh = PendingCode(b"\x02" * 32, "k2", NOW + timedelta(minutes=minutes))
    waiting = keep_earlier(earlier, fresh, LIMITS)
    assert (waiting.mac, waiting.key_id) == ((earlier if kept else fresh).mac, (earlier if kept else fresh).key_id)
    assert waiting.ends_at == (NOW + LIMITS.life if kept else None), "it lives no longer for it"
    assert keep_earlier(None, fresh, LIMITS) == fresh


def test_a_code_that_was_kept_ends_when_it_would_have() -> None:
    kept = keep_earlier(PENDING, PendingCode(b"\x02" * 32, "k2", NOW + timedelta(minutes=3)), LIMITS)
    again = keep_earlier(kept, PendingCode(b"\x03" * 32, "k3", NOW + timedelta(minutes=4)), LIMITS)
    assert again.ends_at == NOW + LIMITS.life
    assert not is_over(again, NOW + LIMITS.life - timedelta(seconds=1))
    assert is_over(again, NOW + LIMITS.life)
    assert not is_over(PENDING, NOW + timedelta(days=1))
