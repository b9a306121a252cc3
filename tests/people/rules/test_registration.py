"""The step table: each step needs the ones before it, going back forgets what follows, and a draft survives being written."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from uuid import UUID

import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import IdentifierKind, IdNumber, Phone, parse_document, parse_phone
from idp.people.rules.proofing import CheckAnswer
from idp.people.rules.proofing_items import join_bank_phone
from idp.people.rules.registration import STEPS, Draft, Step, add_answers, change_applicant, draw_steps, drop_stale, find_step, undo_from
from idp.people.rules.registration_format import read_draft, write_draft

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CASE, OTHER_CASE = UUID(int=1), UUID(int=2)
DRAFT_ID = UUID("0195e000-0000-7000-8000-000000000001")


def read_document(text: str) -> IdNumber:
    found = parse_document(IdentifierKind.RESIDENT_ID, text, date(2026, 3, 2))
    assert isinstance(found, IdNumber)
    return found


def read_phone(text: str) -> Phone:
    found = parse_phone(text)
    assert found is not None
    return found


DOCUMENT = read_document("110101195002280019")
OTHER = read_document("310104200109301246")
PHONE = read_phone("13800138000")


def match(kind: CheckKind) -> CheckAnswer:
    return CheckAnswer(kind, CheckResult.MATCH, NOW)


STARTED = Draft(DRAFT_ID, CASE, "zh-CN", "flow", "origin", NOW, NOW, "测试甲", DOCUMENT, PHONE)
PROVED = replace(STARTED, phone_proved_at=NOW, sends=1)
KNOWN = replace(PROVED, answers=(match(CheckKind.IDENTITY),))
MATCHED = replace(KNOWN, answers=(*KNOWN.answers, match(CheckKind.PHONE), match(CheckKind.BANK_CARD)))
SET = replace(MATCHED, verifier="verifier", password_at=NOW)
DONE = replace(SET, person_id=DRAFT_ID)
COURSE = [
    (replace(STARTED, correcting=True), Step.IDENTITY),
    (STARTED, Step.CODE),
    (PROVED, Step.CHECK),
    (KNOWN, Step.ITEMS),
    (MATCHED, Step.PASSWORD),
    (SET, Step.AGREEMENT),
    (DONE, Step.DONE),
]


@pytest.mark.parametrize("draft,step", COURSE)
def test_a_registration_stands_at_the_first_step_that_is_not_done(draft: Draft, step: Step) -> None:
    assert find_step(draft) is step


def test_nothing_later_makes_up_for_an_earlier_step() -> None:
    assert find_step(replace(SET, phone_proved_at=None)) is Step.CODE
    assert find_step(replace(SET, answers=())) is Step.CHECK
    assert find_step(replace(SET, answers=(match(CheckKind.IDENTITY), match(CheckKind.PHONE)))) is Step.ITEMS, "S34"
    assert find_step(replace(SET, correcting=True)) is Step.IDENTITY


@pytest.mark.parametrize("row", STEPS[:-1], ids=lambda row: row.step.value)
def test_going_back_leads_to_that_step_and_forgets_what_follows(row: object) -> None:
    step = row.step  # type: ignore[attr-defined]
    back = undo_from(SET, step)
    assert find_step(back) is step
    later = list(STEPS[:-1])[[r.step for r in STEPS].index(step) :]
    assert not any(r.done(back) for r in later)
    assert (back.name, back.document, back.phone) == (SET.name, SET.document, SET.phone), "what was typed stays"


def test_a_corrected_name_keeps_the_proved_phone_and_asks_the_register_again() -> None:
    changed = change_applicant(replace(SET, correcting=True), "测试乙", DOCUMENT, PHONE, OTHER_CASE)
    assert find_step(changed) is Step.CHECK
    assert changed.verifier is None
    assert changed.case == OTHER_CASE, "another name is another case"
    assert find_step(change_applicant(SET, "测试甲", OTHER, PHONE, OTHER_CASE)) is Step.CHECK


def test_another_phone_begins_with_its_code() -> None:
    changed = change_applicant(SET, "测试甲", DOCUMENT, read_phone("13900139000"), OTHER_CASE)
    assert find_step(changed) is Step.CODE
    assert (changed.sends, changed.verifier, changed.case) == (0, None, CASE)
    assert changed.matched == {CheckKind.IDENTITY, CheckKind.BANK_CARD}, "what the operator said was about the other number"


def test_the_same_again_changes_nothing() -> None:
    assert change_applicant(SET, "测试甲", DOCUMENT, PHONE, OTHER_CASE) == SET


def test_an_unanswered_item_stays_pending_and_is_no_answer() -> None:
    asking = replace(KNOWN, pending=MappingProxyType({CheckKind.BANK_CARD: "6214", CheckKind.PHONE: "+86"}))
    after = add_answers(asking, (match(CheckKind.PHONE), CheckAnswer(CheckKind.BANK_CARD, CheckResult.UNAVAILABLE, NOW)))
    assert after.pending == {CheckKind.BANK_CARD: "6214"}
    assert after.matched == {CheckKind.IDENTITY, CheckKind.PHONE}


def test_an_item_that_a_limit_kept_from_being_asked_is_no_answer_and_does_not_wait() -> None:
    asking = replace(KNOWN, pending=MappingProxyType({CheckKind.BANK_CARD: "6214"}))
    after = add_answers(asking, (CheckAnswer(CheckKind.BANK_CARD, CheckResult.LIMITED, NOW),))
    assert after.pending == {}
    assert after.answers == KNOWN.answers


@pytest.mark.parametrize(
    "value,result,binds",
    [
        (join_bank_phone("6214", PHONE.value), CheckResult.MATCH, True),
        (join_bank_phone("6214", "+8613900139000"), CheckResult.MATCH, False),
        (join_bank_phone("6214", PHONE.value), CheckResult.MISMATCH, False),
        ("6214", CheckResult.MATCH, False),
    ],
)
def test_the_bank_binds_the_phone_that_it_was_asked_about(value: str, result: CheckResult, binds: bool) -> None:
    asking = replace(KNOWN, pending=MappingProxyType({CheckKind.BANK_CARD: value}))
    after = add_answers(asking, (CheckAnswer(CheckKind.BANK_CARD, result, NOW),))
    assert after.bank_names_phone is binds
    assert undo_from(after, Step.ITEMS).bank_names_phone is False
    assert add_answers(after, (match(CheckKind.PHONE),)).bank_names_phone is binds, "said once, it stays"


def test_somebody_with_an_account_only_adds_items() -> None:
    assert find_step(replace(DONE, raising=True)) is Step.ITEMS


@pytest.mark.parametrize("draft", [draft for draft, _ in COURSE])
def test_a_draft_reads_as_it_was_written(draft: Draft) -> None:
    kept = replace(draft, pending=MappingProxyType({CheckKind.BANK_CARD: "6214830000000000015"}), created_at=NOW - timedelta(hours=1))
    assert read_draft(kept.id, write_draft(kept)) == kept


def test_a_later_releases_draft_is_not_read() -> None:
    assert read_draft(DRAFT_ID, b'{"v":2}') is None


def test_a_draft_prints_masked() -> None:
    for text in (repr(SET), str(SET)):
        assert "测试甲" not in text
        assert DOCUMENT.value not in text
        assert "0013" not in text


def test_after_a_pause_the_phone_is_proved_and_the_password_chosen_anew() -> None:
    later = NOW + timedelta(minutes=30)
    assert drop_stale(SET, later - timedelta(seconds=1)) == SET
    stale = drop_stale(SET, later)
    assert find_step(stale) is Step.CODE
    assert (stale.verifier, stale.password_at, stale.answers) == (None, None, SET.answers)
    assert drop_stale(DONE, later) == DONE
    assert drop_stale(replace(KNOWN, raising=True), later) == replace(KNOWN, raising=True)
    assert drop_stale(STARTED, later) == STARTED


def test_the_drawing_names_every_step() -> None:
    drawn = draw_steps()
    assert all(step.value in drawn for step in Step)
    assert drawn.count("-->") == len(STEPS) + 1
