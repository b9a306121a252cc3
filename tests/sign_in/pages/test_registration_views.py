"""What a page may say of a registration: grouped, laid out, and never more than the person may know."""

from datetime import UTC, datetime

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.proofing import CheckAnswer
from idp.people.services.agreements import Agreement, load_agreements
from idp.sign_in.pages.registration_views import Section, group_number, lay_out, view_items

NOW = datetime(2026, 3, 2, tzinfo=UTC)
MATCH, MISMATCH, NOT_FOUND = CheckResult.MATCH, CheckResult.MISMATCH, CheckResult.NOT_FOUND
PHONE, BANK, SOCIAL, FUND = CheckKind.PHONE, CheckKind.BANK_CARD, CheckKind.SOCIAL_SECURITY_CARD, CheckKind.HOUSING_FUND_ACCOUNT


def answer(**results: CheckResult) -> list[CheckAnswer]:
    """Return answers by kind."""
    return [CheckAnswer(CheckKind(kind), result, NOW) for kind, result in results.items()]


def test_a_number_is_grouped_as_people_read_it() -> None:
    assert group_number("350***********0012") == "350*** ******** 0012"
    assert group_number("H******12") == "H******12"


def test_what_matched_is_named_as_long_as_nobody_said_no() -> None:
    view = view_items(answer(identity=MATCH, phone=MATCH), {BANK}, lambda kind: kind is not FUND)
    assert (view.done, view.count, view.waiting) == (("phone",), 1, ("bank_card",))
    assert [item.field for item in view.open] == ["social_security_card", "driver_license_file_number"]


def test_a_no_of_whatever_kind_leaves_the_count_alone_and_every_field() -> None:
    for no in (MISMATCH, NOT_FOUND, CheckResult.INVALID_INPUT):
        one = view_items(answer(identity=MATCH, phone=MATCH, bank_card=no), (), lambda _: True)
        other = view_items(answer(identity=MATCH, phone=no, bank_card=MATCH), (), lambda _: True)
        assert one == other
        assert (one.done, one.count, len(one.open)) == ((), 1, 5)


def test_the_agreement_is_laid_out_in_sections() -> None:
    text = "前言\n# 一、标题\n第一段\n\n第二段\n# 二、空\n"
    laid = lay_out(Agreement("natural_person", "1", "zh-CN", text))
    assert laid == [Section("", ("前言",)), Section("一、标题", ("第一段", "第二段")), Section("二、空", ())]


def test_the_agreement_that_comes_with_the_product_can_be_read() -> None:
    chinese, english = (lay_out(load_agreements("1")[language]) for language in ("zh-CN", "en"))
    assert len(chinese) == len(english) >= 5
    assert all(section.heading and section.paragraphs for section in chinese + english)
    assert "样例" in chinese[-1].paragraphs[-1]
    assert "sample" in english[-1].paragraphs[-1]
