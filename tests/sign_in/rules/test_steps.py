"""What is asked next: all combinations of wanted class, proofing, factors, freshness and standing."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.levels import ACR_ORDER, PHONE_MATCH_LIFE, RECOVERY_HOLD, Acr, Factor, Proved, find_aal, find_acr, is_resistant, meets
from idp.sign_in.rules.steps import (
    FLOW_LIFE,
    AskCode,
    AskIdentifierAndPassword,
    AskNewPassword,
    AskPasskey,
    AskPassword,
    CannotReach,
    Enough,
    Subject,
    count_fresh,
    decide_next,
    drop_outlived,
    drop_stale,
    merge_proved,
    wants_phone_match,
)

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=5)
PASSWORD = Proved(Factor.PASSWORD, EARLIER)
SMS = Proved(Factor.SMS, EARLIER)
PASSKEY = Proved(Factor.PASSKEY, EARLIER)
GOOD = Subject(ial=3, has_phone=True, phone_matched_at=NOW - timedelta(days=10))

subjects = st.builds(
    Subject,
    ial=st.integers(1, 4),
    has_phone=st.booleans(),
    phone_matched_at=st.sampled_from([None, NOW - timedelta(days=1), NOW - timedelta(days=200)]),
    standing_good=st.booleans(),
    has_password=st.booleans(),
    must_change=st.booleans(),
    recovered_at=st.sampled_from([None, NOW - timedelta(hours=1), NOW - timedelta(days=2)]),
)
factors = st.lists(st.builds(Proved, st.sampled_from(Factor), st.sampled_from([EARLIER, NOW, NOW - timedelta(hours=2)])), max_size=4)


@pytest.mark.parametrize("wanted", list(ACR_ORDER))
def test_nobody_yet_means_identifier_and_password(wanted: Acr) -> None:
    assert decide_next(wanted, None, (), None, NOW) == AskIdentifierAndPassword()
    assert decide_next(wanted, GOOD, (), None, NOW) == AskIdentifierAndPassword()


def test_a_password_is_enough_for_low() -> None:
    assert decide_next(Acr.LOW, GOOD, (PASSWORD,), None, NOW) == Enough(Acr.LOW)


def test_substantial_asks_a_code_after_the_password() -> None:
    assert decide_next(Acr.SUBSTANTIAL, GOOD, (PASSWORD,), None, NOW) == AskCode()
    assert decide_next(Acr.SUBSTANTIAL, GOOD, (PASSWORD, SMS), None, NOW) == Enough(Acr.SUBSTANTIAL)


@pytest.mark.parametrize(
    "subject",
    [
        Subject(ial=2, has_phone=True, phone_matched_at=NOW),
        Subject(ial=3, has_phone=True, phone_matched_at=None),
        Subject(ial=3, has_phone=True, phone_matched_at=NOW - PHONE_MATCH_LIFE),
        Subject(ial=3, has_phone=False, phone_matched_at=None),
    ],
)
def test_no_code_is_sent_that_would_not_help(subject: Subject) -> None:
    assert decide_next(Acr.SUBSTANTIAL, subject, (PASSWORD,), None, NOW) == CannotReach(Acr.LOW)


def test_high_cannot_be_reached_with_these_factors_but_the_best_is_asked() -> None:
    assert decide_next(Acr.HIGH, GOOD, (PASSWORD,), None, NOW) == AskCode()
    assert decide_next(Acr.HIGH, Subject(2, True, NOW), (PASSWORD,), None, NOW) == CannotReach(Acr.LOW)
    assert decide_next(Acr.HIGH, GOOD, (PASSWORD, SMS), None, NOW) == CannotReach(Acr.SUBSTANTIAL)


def test_level_one_reaches_nothing() -> None:
    assert decide_next(Acr.LOW, Subject(1, True, NOW), (PASSWORD,), None, NOW) == CannotReach(None)


def test_stale_factors_are_asked_again() -> None:
    assert decide_next(Acr.LOW, GOOD, (PASSWORD, SMS), NOW, NOW) == AskIdentifierAndPassword()
    assert decide_next(Acr.SUBSTANTIAL, GOOD, (Proved(Factor.PASSWORD, NOW), SMS), NOW, NOW) == AskCode()


@pytest.mark.parametrize("wanted", [Acr.LOW, Acr.SUBSTANTIAL])
def test_s04_a_banned_person_hears_nothing_before_both_factors(wanted: Acr) -> None:
    banned = Subject(ial=3, has_phone=True, phone_matched_at=NOW, standing_good=False)
    assert decide_next(wanted, banned, (PASSWORD,), None, NOW) == AskCode()
    assert decide_next(wanted, banned, (PASSWORD, SMS), None, NOW) == Enough(Acr.SUBSTANTIAL)
    unmatched = Subject(ial=2, has_phone=True, phone_matched_at=None, standing_good=False)
    assert decide_next(wanted, unmatched, (PASSWORD,), None, NOW) == AskCode()
    assert decide_next(wanted, unmatched, (PASSWORD, SMS), None, NOW) == CannotReach(Acr.LOW)


@given(st.sampled_from(ACR_ORDER), subjects, factors, st.sampled_from([None, EARLIER, NOW]))
def test_enough_is_never_less_than_wanted(wanted: Acr, subject: Subject, proved: list[Proved], fresh_after: datetime | None) -> None:
    step = decide_next(wanted, subject, tuple(proved), fresh_after, NOW)
    counted = count_fresh(proved, fresh_after)
    if isinstance(step, Enough):
        what_counts = (counted, subject.phone_matched_at, NOW, subject.recovered_at)
        assert step.reached is find_acr(subject.ial, find_aal(*what_counts), is_resistant(*what_counts))
        assert meets(step.reached, wanted)
    if isinstance(step, AskCode):
        assert subject.has_phone
        assert Factor.PASSWORD in {p.factor for p in counted}
        assert Factor.SMS not in {p.factor for p in counted}


@given(st.sampled_from(ACR_ORDER), subjects, factors)
def test_following_the_steps_always_ends(wanted: Acr, subject: Subject, proved: list[Proved]) -> None:
    for _ in range(4):
        step = decide_next(wanted, subject, tuple(proved), None, NOW)
        if isinstance(step, AskIdentifierAndPassword):
            proved = [*proved, Proved(Factor.PASSWORD, NOW)]
        elif isinstance(step, AskPassword):
            assert subject.has_password
            proved = [*proved, Proved(Factor.PASSWORD, NOW)]
        elif isinstance(step, AskCode):
            proved = [*proved, Proved(Factor.SMS, NOW)]
        elif isinstance(step, AskNewPassword):
            subject = replace(subject, must_change=False)
        else:
            return
    raise AssertionError("the steps go in a circle")


@pytest.mark.parametrize("subject", [None, GOOD, replace(GOOD, has_password=False), replace(GOOD, must_change=True)])
@pytest.mark.parametrize("proved", [(), (PASSWORD,), (SMS,), (PASSWORD, SMS)])
def test_s12_where_a_passkey_is_asked_nothing_weaker_is(subject: Subject | None, proved: tuple[Proved, ...]) -> None:
    for wanted in ACR_ORDER:
        assert decide_next(wanted, subject, proved, None, NOW, resistant=True) == AskPasskey()


def test_a_passkey_is_two_factors_and_nothing_is_asked_beside_it() -> None:
    assert decide_next(Acr.SUBSTANTIAL, GOOD, (PASSKEY,), None, NOW) == Enough(Acr.SUBSTANTIAL)
    assert decide_next(Acr.SUBSTANTIAL, GOOD, (PASSKEY,), None, NOW, aal=2, resistant=True) == Enough(Acr.SUBSTANTIAL)
    assert decide_next(Acr.HIGH, replace(GOOD, ial=4), (PASSWORD, PASSKEY), None, NOW) == Enough(Acr.HIGH)
    assert decide_next(Acr.HIGH, GOOD, (PASSKEY,), None, NOW) == CannotReach(Acr.SUBSTANTIAL)
    assert decide_next(Acr.LOW, GOOD, (PASSKEY,), NOW, NOW, resistant=True) == AskPasskey(), "an old one does not count"


def test_s04_a_banned_person_with_a_passkey_is_told_at_once() -> None:
    assert decide_next(Acr.SUBSTANTIAL, replace(GOOD, standing_good=False), (PASSKEY,), None, NOW) == Enough(Acr.SUBSTANTIAL)
    assert decide_next(Acr.SUBSTANTIAL, replace(GOOD, standing_good=False, ial=1), (PASSKEY,), None, NOW) == CannotReach(None)


def test_two_factors_are_asked_whatever_the_class() -> None:
    low = replace(GOOD, ial=2)
    assert decide_next(Acr.LOW, low, (PASSWORD,), None, NOW, aal=2) == AskCode()
    assert decide_next(Acr.LOW, low, (SMS,), None, NOW, aal=2) == AskPassword()
    assert decide_next(Acr.LOW, low, (PASSWORD, SMS), None, NOW, aal=2) == Enough(Acr.LOW)
    unmatched = replace(low, phone_matched_at=None)
    assert decide_next(Acr.LOW, unmatched, (PASSWORD,), None, NOW, aal=2) == CannotReach(Acr.LOW)
    assert wants_phone_match(Acr.LOW, unmatched, (PASSWORD,), None, NOW, aal=2)


@given(factors, factors)
def test_merging_keeps_each_factor_once_and_the_latest(one: list[Proved], other: list[Proved]) -> None:
    merged = merge_proved(one, other)
    assert merged == merge_proved(other, one)
    for factor, found in itertools.groupby(sorted(merged, key=lambda p: p.factor), key=lambda p: p.factor):
        kept = list(found)
        assert len(kept) == 1
        assert kept[0].at == max(p.at for p in (*one, *other) if p.factor is factor)


def test_factors_of_an_unfinished_flow_age() -> None:
    old = Proved(Factor.PASSWORD, NOW - FLOW_LIFE)
    assert drop_stale((old, SMS), NOW) == (SMS,)


def test_a_code_alone_is_enough_for_low_and_asks_the_password_for_more() -> None:
    assert decide_next(Acr.LOW, GOOD, (SMS,), None, NOW) == Enough(Acr.LOW)
    assert decide_next(Acr.SUBSTANTIAL, GOOD, (SMS,), None, NOW) == AskPassword()
    assert decide_next(Acr.SUBSTANTIAL, replace(GOOD, has_password=False), (SMS,), None, NOW) == CannotReach(Acr.LOW)
    assert decide_next(Acr.SUBSTANTIAL, replace(GOOD, ial=2), (SMS,), None, NOW) == CannotReach(Acr.LOW)


@pytest.mark.parametrize("wanted", [Acr.LOW, Acr.SUBSTANTIAL])
def test_s04_a_banned_person_who_begins_with_a_code_gives_the_password_too(wanted: Acr) -> None:
    banned = replace(GOOD, standing_good=False)
    assert decide_next(wanted, banned, (SMS,), None, NOW) == AskPassword()
    assert decide_next(wanted, replace(banned, has_password=False), (SMS,), None, NOW) == CannotReach(Acr.LOW)


@pytest.mark.parametrize("wanted", [Acr.LOW, Acr.SUBSTANTIAL])
def test_s06_another_password_is_asked_after_everything_else(wanted: Acr) -> None:
    careless = replace(GOOD, must_change=True)
    assert decide_next(wanted, careless, (PASSWORD,), None, NOW) == AskCode()
    assert decide_next(wanted, careless, (PASSWORD, SMS), None, NOW) == AskNewPassword()
    assert decide_next(wanted, replace(careless, has_phone=False), (PASSWORD,), None, NOW) == AskNewPassword()
    assert decide_next(Acr.LOW, careless, (SMS,), None, NOW) == Enough(Acr.LOW), "one factor never replaces the other"
    assert decide_next(wanted, replace(careless, standing_good=False), (PASSWORD, SMS), None, NOW) == Enough(Acr.SUBSTANTIAL)


@pytest.mark.parametrize("ago, reached", [(timedelta(0), Acr.LOW), (RECOVERY_HOLD, Acr.SUBSTANTIAL)])
def test_for_a_day_after_a_recovery_no_code_is_sent_that_would_not_help(ago: timedelta, reached: Acr) -> None:
    recovered = replace(GOOD, recovered_at=NOW - ago)
    step = decide_next(Acr.SUBSTANTIAL, recovered, (PASSWORD,), None, NOW)
    assert step == (CannotReach(Acr.LOW) if reached is Acr.LOW else AskCode())
    both = decide_next(Acr.SUBSTANTIAL, recovered, (PASSWORD, SMS), None, NOW)
    assert both == (CannotReach(Acr.LOW) if reached is Acr.LOW else Enough(Acr.SUBSTANTIAL))


def test_the_operator_is_asked_again_only_when_a_code_could_count() -> None:
    stale = replace(GOOD, phone_matched_at=NOW - PHONE_MATCH_LIFE)
    assert wants_phone_match(Acr.SUBSTANTIAL, stale, (PASSWORD,), None, NOW)
    assert not wants_phone_match(Acr.LOW, stale, (PASSWORD,), None, NOW)
    assert not wants_phone_match(Acr.SUBSTANTIAL, replace(stale, ial=2), (PASSWORD,), None, NOW)
    assert not wants_phone_match(Acr.SUBSTANTIAL, replace(stale, has_phone=False), (PASSWORD,), None, NOW)
    assert not wants_phone_match(Acr.SUBSTANTIAL, None, (), None, NOW)
    assert wants_phone_match(Acr.LOW, replace(stale, standing_good=False), (PASSWORD,), None, NOW)


def test_a_password_counts_only_while_it_is_the_accounts() -> None:
    set_at = NOW - timedelta(days=9)
    assert drop_outlived((SMS, PASSWORD), set_at, set_at, None) == (SMS, PASSWORD)
    for changed_at in (NOW, set_at + timedelta(microseconds=1), set_at - timedelta(days=1), None):
        assert drop_outlived((SMS, PASSWORD), set_at, changed_at, None) == (SMS,)
    assert drop_outlived((PASSWORD,), None, set_at, None) == (), "nobody remembers which it was"
    assert drop_outlived((PASSWORD,), None, None, None) == ()


@pytest.mark.parametrize("seconds, kept", [(-1, 2), (0, 2), (1, 0)])
def test_nothing_from_before_a_recovery_counts(seconds: int, kept: int) -> None:
    assert len(drop_outlived((SMS, PASSWORD), NOW, NOW, EARLIER + timedelta(seconds=seconds))) == kept
