"""What brings somebody back: code, register, operator and one item that is not the phone; and how a recovery is written."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import IdentifierKind, IdNumber
from idp.people.rules.proofing import CheckAnswer
from idp.people.rules.recovery import (
    OTHER_ITEMS,
    Recovery,
    RecoveryStep,
    fold_name,
    is_proved,
    is_unknown_to_register,
    list_awaited,
    read_recovery,
    write_recovery,
)

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DOCUMENT = IdNumber(IdentifierKind.RESIDENT_ID, "440106198811155674")
BEGUN = Recovery(UUID(int=7), "王小明", DOCUMENT, NOW)
CODED = replace(BEGUN, person_id=UUID(int=9), phone="+8613800138000", code_at=NOW)

instants = st.integers(1_500_000_000, 2_200_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
answers = st.lists(st.builds(CheckAnswer, st.sampled_from(CheckKind), st.sampled_from(CheckResult), instants), max_size=5).map(tuple)


def answer(kind: CheckKind, result: CheckResult = CheckResult.MATCH) -> CheckAnswer:
    return CheckAnswer(kind, result, NOW)


def test_the_phone_is_no_item_of_a_recovery() -> None:
    assert CheckKind.PHONE not in {item.kind for item in OTHER_ITEMS}
    assert not is_proved([answer(CheckKind.IDENTITY), answer(CheckKind.PHONE), answer(CheckKind.REAL_PERSON)])


@pytest.mark.parametrize("item", [item.kind for item in OTHER_ITEMS])
@pytest.mark.parametrize("register, said", list(itertools.product(CheckResult, CheckResult)))
def test_register_and_one_item_have_to_agree(item: CheckKind, register: CheckResult, said: CheckResult) -> None:
    given_answers = [answer(CheckKind.IDENTITY, register), answer(CheckKind.PHONE), answer(item, said)]
    assert is_proved(given_answers) is (register is CheckResult.MATCH and said is CheckResult.MATCH)


@pytest.mark.parametrize("operator", CheckResult)
def test_s52_the_operators_match_is_repeated_at_recovery(operator: CheckResult) -> None:
    agreed = [answer(CheckKind.IDENTITY), answer(CheckKind.BANK_CARD)]
    assert not is_proved(agreed)
    assert is_proved([*agreed, answer(CheckKind.PHONE, operator)]) is (operator is CheckResult.MATCH)


def test_steps_follow_each_other() -> None:
    assert BEGUN.step is RecoveryStep.CODE
    assert replace(CODED, code_at=None).step is RecoveryStep.CODE
    assert CODED.step is RecoveryStep.ITEM
    assert replace(CODED, answers=(answer(CheckKind.IDENTITY),)).step is RecoveryStep.ITEM
    agreed = (answer(CheckKind.IDENTITY), answer(CheckKind.PHONE), answer(CheckKind.BANK_CARD))
    assert replace(CODED, answers=agreed[:2]).step is RecoveryStep.ITEM
    assert replace(CODED, answers=agreed).step is RecoveryStep.PASSWORD


def test_s21_only_the_registers_own_answer_says_that_a_person_is_unknown() -> None:
    assert is_unknown_to_register([answer(CheckKind.IDENTITY, CheckResult.NOT_FOUND)])
    assert not is_unknown_to_register([answer(CheckKind.BANK_CARD, CheckResult.NOT_FOUND), answer(CheckKind.IDENTITY)])


def test_who_did_not_answer_is_named() -> None:
    said = [answer(CheckKind.IDENTITY, CheckResult.UNAVAILABLE), answer(CheckKind.BANK_CARD), answer(CheckKind.PHONE, CheckResult.LIMITED)]
    assert list_awaited(said) == (CheckKind.IDENTITY,)


@pytest.mark.parametrize("one, other", [("John  Smith", "JOHN SMITH"), ("王小明", " 王 小明")])
def test_capitals_and_spaces_of_a_name_do_not_matter(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@given(st.builds(Recovery, st.uuids(), st.text(max_size=20), st.just(DOCUMENT), instants, st.integers(0, 9), answers=answers))
def test_a_recovery_reads_back_as_it_was(recovery: Recovery) -> None:
    assert read_recovery(write_recovery(recovery)) == recovery
    coded = replace(recovery, person_id=UUID(int=9), phone="+8613800138000", code_at=NOW)
    assert read_recovery(write_recovery(coded)) == coded


def test_a_later_format_is_no_recovery() -> None:
    raw = json.loads(write_recovery(BEGUN))
    raw["v"] = 2
    assert read_recovery(json.dumps(raw).encode()) is None


def test_it_prints_nothing_of_the_person() -> None:
    assert "王" not in repr(BEGUN)
    assert DOCUMENT.value not in repr(BEGUN)
