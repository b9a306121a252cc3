"""The kernel: identifiers, levels, transitions."""

from datetime import UTC, datetime, timedelta
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.clock import SHANGHAI, read_system_clock, read_system_random
from idp.kernel.errors import ProtocolError, Refusal
from idp.kernel.ids import decode_base64url, encode_base64url, make_outward_id, make_uuid7
from idp.kernel.levels import Acr, Factor, Proved, find_aal, find_acr, list_counted, meets
from idp.kernel.transitions import IllegalTransition, Transitions

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def test_a_uuid7_has_version_variant_and_time() -> None:
    made = make_uuid7(lambda: NOW, lambda size: b"\xff" * size)
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == int(NOW.timestamp() * 1000)


def test_uuid7s_sort_by_time() -> None:
    times = [NOW + timedelta(milliseconds=n) for n in range(100)]
    made = [make_uuid7(lambda at=at: at, read_system_random) for at in times]  # type: ignore[misc]
    assert made == sorted(made)


@given(st.binary(max_size=100))
def test_base64url_reads_back(value: bytes) -> None:
    assert decode_base64url(encode_base64url(value)) == value


@pytest.mark.parametrize("text", ["A", "AB=", "A+", "A/", "AB CD", "é", "AB\n", "AAB"])
def test_base64url_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        decode_base64url(text)


def test_an_outward_id_has_at_least_128_random_bits() -> None:
    assert len(decode_base64url(make_outward_id(read_system_random))) == 16
    with pytest.raises(ValueError, match="128"):
        make_outward_id(read_system_random, 15)


def test_the_clock_is_utc_and_shanghai_has_one_offset() -> None:
    assert read_system_clock().utcoffset() == timedelta(0)
    assert NOW.astimezone(SHANGHAI).hour == 9
    assert NOW.replace(month=7).astimezone(SHANGHAI).utcoffset() == timedelta(hours=8)


def prove(*factors: Factor) -> list[Proved]:
    return [Proved(factor, NOW) for factor in factors]


@pytest.mark.parametrize(
    ("factors", "matched_days_ago", "aal"),
    [
        ((), 1, 0),
        ((Factor.PASSWORD,), 1, 1),
        ((Factor.SMS,), 1, 1),
        ((Factor.SMS,), None, 1),
        ((Factor.PASSWORD, Factor.PASSWORD), 1, 1),
        ((Factor.PASSWORD, Factor.SMS), 1, 2),
        ((Factor.PASSWORD, Factor.SMS), 89.99, 2),
        ((Factor.PASSWORD, Factor.SMS), 90, 1),
        ((Factor.PASSWORD, Factor.SMS), None, 1),
        ((Factor.PASSWORD, Factor.OTP), None, 2),
        ((Factor.PASSKEY,), None, 2),
    ],
)
def test_what_factors_amount_to(factors: tuple[Factor, ...], matched_days_ago: float | None, aal: int) -> None:
    matched = None if matched_days_ago is None else NOW - timedelta(days=matched_days_ago)
    assert find_aal(prove(*factors), matched, NOW) == aal


@pytest.mark.parametrize(
    ("ial", "aal", "acr"),
    [(1, 2, None), (2, 0, None), (2, 1, Acr.LOW), (2, 2, Acr.LOW), (3, 1, Acr.LOW), (3, 2, Acr.SUBSTANTIAL), (4, 2, Acr.SUBSTANTIAL)],
)
def test_which_class_is_reached(ial: int, aal: int, acr: Acr | None) -> None:
    assert find_acr(ial, aal) is acr


def test_a_class_meets_itself_and_the_lower_ones() -> None:
    assert meets(Acr.SUBSTANTIAL, Acr.LOW)
    assert meets(Acr.LOW, Acr.LOW)
    assert not meets(Acr.LOW, Acr.SUBSTANTIAL)
    assert not meets(None, Acr.LOW)


class Light(Enum):
    RED = "red"
    GREEN = "green"


class Press(Enum):
    GO = "go"


def test_a_table_of_transitions_is_followed_and_drawn() -> None:
    table = Transitions({(Light.RED, Press.GO): Light.GREEN})
    assert table.follow(Light.RED, Press.GO) is Light.GREEN
    with pytest.raises(IllegalTransition, match="'go' cannot happen while 'green'"):
        table.follow(Light.GREEN, Press.GO)
    assert table.draw() == "stateDiagram-v2\n    red --> green: go"


def test_a_protocol_error_prints_without_its_hint() -> None:
    error = ProtocolError("invalid_grant", "No.", "used twice")
    assert str(error) == "invalid_grant: No."


def test_a_refusal_carries_the_facts_of_its_message() -> None:
    class Closed(Refusal):
        code = "closed"

    assert Closed(minutes=3).facts == {"minutes": 3}


@pytest.mark.parametrize("hours, aal", [(0, 1), (23, 1), (24, 2), (48, 2)])
def test_for_a_day_after_a_recovery_nothing_counts_as_more_than_one_factor(hours: int, aal: int) -> None:
    recovered_at = NOW - timedelta(hours=hours)
    assert find_aal(prove(Factor.PASSWORD, Factor.SMS), NOW, NOW, recovered_at) == aal
    assert find_aal(prove(Factor.PASSKEY), None, NOW, recovered_at) == aal
    assert find_aal((), NOW, NOW, recovered_at) == 0


def test_only_what_counts_is_told_of_the_factors() -> None:
    code, password = Proved(Factor.SMS, NOW - timedelta(minutes=2)), Proved(Factor.PASSWORD, NOW)
    both = (code, password)
    assert list_counted(both, NOW, NOW) == both
    assert list_counted(both, None, NOW) == (password,), "a code without the operator's match is no factor beside another"
    assert list_counted(both, NOW - timedelta(days=90), NOW) == (password,)
    assert list_counted((code,), None, NOW) == (code,)
    assert list_counted(both, NOW, NOW, NOW - timedelta(hours=23)) == (code,), "within a day of a recovery one is one"
    assert list_counted(both, NOW, NOW, NOW - timedelta(hours=24)) == both
    assert list_counted((), NOW, NOW, NOW) == ()
