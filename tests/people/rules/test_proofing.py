"""Which answers open an account, at which level, and what is asked again (domain.md §1, S34)."""

from datetime import UTC, datetime
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.proofing import CheckAnswer, Proved, Short, judge_items, judge_raising, list_matched, name_attempt, plan_items
from idp.people.rules.proofing_items import DAILY, ITEM_OF, ITEMS

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
KINDS = tuple(ITEM_OF)
ANSWERS = st.lists(st.builds(CheckAnswer, st.sampled_from(CheckKind), st.sampled_from(CheckResult), st.just(NOW)), max_size=12)


def match(*kinds: CheckKind) -> list[CheckAnswer]:
    return [CheckAnswer(kind, CheckResult.MATCH, NOW) for kind in kinds]


def test_s34_one_item_besides_the_register_is_refused_and_two_pass() -> None:
    for kind in KINDS:
        assert judge_items(match(CheckKind.IDENTITY, kind)) == Short(1, ())
        assert judge_items([*match(kind), *match(kind)]) == Short(1, ()), "the same item twice is one"
    for pair in combinations(KINDS, 2):
        assert isinstance(judge_items(match(*pair)), Proved)


def test_the_register_the_face_and_the_risk_service_are_no_items() -> None:
    assert judge_items(match(CheckKind.IDENTITY, CheckKind.REAL_PERSON, CheckKind.REGISTRATION_RISK)) == Short(2, ())


def test_level_three_needs_an_item_that_binds_the_phone() -> None:
    assert judge_items(match(CheckKind.PHONE, CheckKind.BANK_CARD)) == Proved(3)
    assert judge_items(match(CheckKind.HOUSING_FUND_ACCOUNT, CheckKind.BANK_CARD)) == Proved(2)
    assert judge_items(match(CheckKind.HOUSING_FUND_ACCOUNT, CheckKind.BANK_CARD), bank_names_phone=True) == Proved(3)
    assert judge_items(match(CheckKind.HOUSING_FUND_ACCOUNT, CheckKind.SOCIAL_SECURITY_CARD), bank_names_phone=True) == Proved(2)


@given(ANSWERS)
def test_only_matches_count_and_nothing_takes_them_away(answers: list[CheckAnswer]) -> None:
    verdict = judge_items(answers)
    matched = {a.kind for a in answers if a.result is CheckResult.MATCH} & set(KINDS)
    assert isinstance(verdict, Proved) == (len(matched) >= 2)
    if isinstance(verdict, Short):
        assert verdict.missing == 2 - len(matched)
    worse = [*answers, *(CheckAnswer(kind, CheckResult.MISMATCH, NOW) for kind in KINDS)]
    assert judge_items(worse) == verdict


def test_a_silent_authority_is_named_unless_its_item_matched_after_all() -> None:
    waits = judge_items(match(CheckKind.PHONE), [CheckKind.BANK_CARD, CheckKind.PHONE])
    assert waits == Short(1, (CheckKind.BANK_CARD,))


def test_what_matched_is_not_asked_again() -> None:
    offered = {CheckKind.BANK_CARD: "1", CheckKind.PHONE: "2", CheckKind.IDENTITY: "3"}
    assert plan_items(offered, match(CheckKind.PHONE)) == {CheckKind.BANK_CARD: "1"}
    assert list(plan_items(offered, [])) == [CheckKind.PHONE, CheckKind.BANK_CARD], "in the order of the table, and items only"


def test_an_answered_question_is_over_and_the_next_is_another_one() -> None:
    answers = [CheckAnswer(CheckKind.BANK_CARD, CheckResult.MISMATCH, NOW)]
    assert name_attempt(answers, CheckKind.BANK_CARD) == 2
    assert name_attempt(answers, CheckKind.PHONE) == 1
    assert list_matched(answers) == frozenset()


@pytest.mark.parametrize("kind,daily", [(CheckKind.IDENTITY, 5), (CheckKind.BANK_CARD, 3), (CheckKind.PHONE, 5)])
def test_cards_are_checked_less_often(kind: CheckKind, daily: int) -> None:
    assert DAILY[kind] == daily


def test_the_table_names_every_field_once() -> None:
    assert len({item.field for item in ITEMS}) == len({item.label for item in ITEMS}) == len({item.authority for item in ITEMS}) == 5
    assert [item.kind for item in ITEMS if not item.typed] == [CheckKind.PHONE]


FUND, SOCIAL, BANK, PHONE = CheckKind.HOUSING_FUND_ACCOUNT, CheckKind.SOCIAL_SECURITY_CARD, CheckKind.BANK_CARD, CheckKind.PHONE


@pytest.mark.parametrize(
    "ial,earlier,fresh,verdict",
    [
        (2, (FUND, SOCIAL), (PHONE,), Proved(3)),
        (2, (FUND, SOCIAL), (BANK,), Short(1, ())),
        (2, (FUND,), (PHONE,), Proved(3)),
        (2, (), (PHONE,), Short(1, ())),
        (2, (), (), Short(2, ())),
        (2, (), (PHONE, BANK), Proved(3)),
        (2, (PHONE, FUND), (), Short(1, ())),
        (2, (CheckKind.IDENTITY,), (PHONE,), Short(1, ())),
        (3, (), (PHONE,), Proved(3)),
        (3, (), (BANK, FUND), Short(1, ())),
        (3, (), (), Short(1, ())),
    ],
)
def test_raising_asks_anew_only_what_binds_the_phone(
    ial: int, earlier: tuple[CheckKind, ...], fresh: tuple[CheckKind, ...], verdict: Proved | Short
) -> None:
    assert judge_raising(ial, earlier, match(*fresh)) == verdict


def test_a_bank_that_named_the_phone_binds_it_too() -> None:
    assert judge_raising(2, (FUND,), match(BANK), bank_names_phone=True) == Proved(3)
    assert judge_raising(2, (FUND,), match(SOCIAL), [PHONE], bank_names_phone=True) == Short(1, (PHONE,))
