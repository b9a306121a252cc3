"""Guessing: free, then slowed, then locked at one place; never more checks than the lock allows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authenticators.rules.throttling import (
    LONGEST_DELAY,
    Allowed,
    Delayed,
    Limits,
    Locked,
    Way,
    decide_origin,
    decide_throttle,
    find_delay,
    judge_failure,
    name_network,
    name_origin,
    name_subject,
)

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LIMITS = Limits()


def test_five_wrong_attempts_bring_a_delay_and_ten_the_lock() -> None:
    verdicts = [judge_failure(n, NOW, LIMITS) for n in range(1, 11)]
    assert verdicts[:4] == [Allowed()] * 4
    assert verdicts[4:9] == [Delayed(2), Delayed(4), Delayed(8), Delayed(16), Delayed(32)]
    assert verdicts[9] == Locked(NOW + timedelta(minutes=15))


@given(st.integers(0, 10_000))
def test_delays_never_shrink_and_stay_bounded(failures: int) -> None:
    assert 0 <= find_delay(failures, LIMITS) <= find_delay(failures + 1, LIMITS) <= LONGEST_DELAY


@given(st.integers(0, 50), st.integers(-100, 100), st.integers(-100, 100))
def test_a_lock_beats_a_delay_beats_the_count(attempts: int, delay: int, lock: int) -> None:
    verdict = decide_throttle(attempts, NOW + timedelta(seconds=delay), NOW + timedelta(seconds=lock), NOW, LIMITS)
    if lock > 0:
        assert verdict == Locked(NOW + timedelta(seconds=lock))
    elif delay > 0:
        assert verdict == Delayed(delay)
    elif attempts >= 10:
        assert verdict == Locked(NOW + LIMITS.lock)
    else:
        assert verdict == Allowed()


def test_a_part_of_a_second_is_rounded_up() -> None:
    assert decide_throttle(5, NOW + timedelta(seconds=1.2), None, NOW, LIMITS) == Delayed(2)
    assert decide_throttle(5, NOW + timedelta(seconds=0.001), None, NOW, LIMITS) == Delayed(1)


def test_a_lock_opens_at_its_instant() -> None:
    assert decide_throttle(0, None, NOW, NOW, LIMITS) == Allowed()


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("192.0.2.1", "192.0.2.200", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:1:2::1", "2001:db8:1:3::9", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("", "nonsense", True),
    ],
)
def test_networks(one: str, other: str, same: bool) -> None:
    assert (name_network(one) == name_network(other)) is same


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", "nonsense", True),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert (name_origin(one) == name_origin(other)) is same


def test_a_known_device_has_a_count_of_its_own_wherever_it_is() -> None:
    device = b"\x01" * 32
    at_home = name_subject(Way.PASSWORD, "id", device, "192.0.2.1")
    assert at_home == name_subject(Way.PASSWORD, "id", device, "198.51.100.1")
    assert at_home != name_subject(Way.PASSWORD, "id", None, "192.0.2.1")
    assert at_home != name_subject(Way.CODE, "id", device, "192.0.2.1")
    assert at_home != name_subject(Way.PASSWORD, "other", device, "192.0.2.1")


def test_an_origin_waits_until_its_window_ends() -> None:
    ends = NOW + timedelta(minutes=3)
    assert decide_origin(LIMITS.per_origin - 1, ends, NOW, LIMITS) == Allowed()
    assert decide_origin(LIMITS.per_origin, ends, NOW, LIMITS) == Locked(ends)
    assert decide_origin(LIMITS.per_origin, NOW, NOW, LIMITS) == Locked(NOW + timedelta(seconds=1)), "never open in the past"
