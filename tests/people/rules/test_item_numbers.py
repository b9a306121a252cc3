"""Cards and accounts: the worked examples of formats.md §3.2 (synthetic), the forms of a province, and S54."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.checks import CheckKind
from idp.people.rules.identifiers import IdentifierKind, IdNumber, parse_document
from idp.people.rules.item_numbers import (
    ITEM_KINDS,
    ItemForm,
    ItemForms,
    ItemNumber,
    ItemSlip,
    equals_document,
    find_luhn_digit,
    parse_item,
)

TODAY = date(2026, 3, 2)
BANK = CheckKind.BANK_CARD
SOCIAL = CheckKind.SOCIAL_SECURITY_CARD
FUND = CheckKind.HOUSING_FUND_ACCOUNT
LICENSE = CheckKind.DRIVER_LICENSE_FILE_NUMBER

VALID = {
    BANK: "6214830000000000015 6222020000000000018 6217000000000000012 6259000000000013 6228480000000000018 4000000000006 0000010000000009",
    LICENSE: "350100123456 110100000001 440300987654 310000555555 510100000777",
    SOCIAL: "FJ3500000 fj3500000 350100123456 A12345678",
    FUND: "350120000000 123456 12345678901234567890 ab1234",
}
INVALID = [
    (BANK, "6214830000000000016", ItemSlip.WRONG_CHECK_DIGIT),
    (BANK, "621483000000", ItemSlip.WRONG_LENGTH),
    (BANK, "62148300000000000152", ItemSlip.WRONG_LENGTH),
    (BANK, "6214-8300-0000-0000-015", ItemSlip.WRONG_CHARACTER),
    (BANK, "0000000000000000", ItemSlip.UNKNOWN_ISSUER),
    (BANK, "621483000000000001X", ItemSlip.WRONG_CHARACTER),
    (BANK, "", ItemSlip.EMPTY),
    (BANK, " \u3000", ItemSlip.EMPTY),
    (BANK, "6" * 65, ItemSlip.WRONG_LENGTH),
    (LICENSE, "35010012345", ItemSlip.WRONG_LENGTH),
    (LICENSE, "3501001234567", ItemSlip.WRONG_LENGTH),
    (LICENSE, "99010000000", ItemSlip.WRONG_LENGTH),
    (LICENSE, "A50100123456", ItemSlip.WRONG_CHARACTER),
    (LICENSE, "990100123456", ItemSlip.UNKNOWN_PROVINCE),
    (SOCIAL, "FJ350000", ItemSlip.WRONG_LENGTH),
    (SOCIAL, "FJ35000000000", ItemSlip.WRONG_LENGTH),
    (SOCIAL, "FJ-350000", ItemSlip.WRONG_CHARACTER),
    (SOCIAL, "闽3500000", ItemSlip.WRONG_CHARACTER),
    (FUND, "12345", ItemSlip.WRONG_LENGTH),
    (FUND, "123456789012345678901", ItemSlip.WRONG_LENGTH),
    (FUND, "1234_56", ItemSlip.WRONG_CHARACTER),
]


@pytest.mark.parametrize("kind, number", [(kind, number) for kind, numbers in VALID.items() for number in numbers.split()])
def test_a_right_number_is_read(kind: CheckKind, number: str) -> None:
    assert parse_item(kind, number) == ItemNumber(kind, number.upper())


@pytest.mark.parametrize("kind, number, slip", INVALID)
def test_a_wrong_number_is_refused_with_its_reason(kind: CheckKind, number: str, slip: ItemSlip) -> None:
    assert parse_item(kind, number) is slip


def test_every_kind_and_every_reason_has_a_case() -> None:
    assert set(VALID) == set(ITEM_KINDS)
    assert {slip for _, _, slip in INVALID} == set(ItemSlip)


@pytest.mark.parametrize("typed", ["6214 8300 0000 0000 015", "６２１４８３０００００００００００１５", " 6214830000000000015\u3000"])
def test_spaces_and_full_width_digits_are_read(typed: str) -> None:
    assert parse_item(BANK, typed) == ItemNumber(BANK, "6214830000000000015")


def test_a_province_has_forms_of_its_own() -> None:
    forms = ItemForms(social_security_card=ItemForm(8, 8), housing_fund_account=ItemForm(12, 12))
    assert parse_item(SOCIAL, "12345678", forms) == ItemNumber(SOCIAL, "12345678")
    assert parse_item(SOCIAL, "A2345678", forms) is ItemSlip.WRONG_CHARACTER
    assert parse_item(SOCIAL, "123456789", forms) is ItemSlip.WRONG_LENGTH
    assert parse_item(FUND, "123456", forms) is ItemSlip.WRONG_LENGTH


@pytest.mark.parametrize("kind", sorted(set(CheckKind) - set(ITEM_KINDS)))
def test_other_questions_have_no_number(kind: CheckKind) -> None:
    with pytest.raises(KeyError):
        parse_item(kind, "123456789")


@given(st.sampled_from(ITEM_KINDS), st.text(max_size=80))
def test_no_text_breaks_a_kind(kind: CheckKind, text: str) -> None:
    found = parse_item(kind, text)
    assert isinstance(found, ItemSlip) or (found.kind is kind and found.value.isascii() and found.value.isalnum())


@given(st.from_regex(r"[1-9][0-9]{11,17}", fullmatch=True), st.integers(0, 18), st.sampled_from("0123456789"))
def test_no_single_changed_digit_of_a_card_passes(digits: str, position: int, other: str) -> None:
    number = digits + find_luhn_digit(digits)
    changed = number[:position] + other + number[position + 1 :]
    if len(changed) == len(number) and changed != number:
        assert parse_item(BANK, changed) in {ItemSlip.WRONG_CHECK_DIGIT, ItemSlip.UNKNOWN_ISSUER}


@pytest.mark.parametrize("write", [str, repr, "{}".format, "{!r}".format, lambda v: f"{v}", lambda v: f"{v!s:>40}"])
def test_items_never_print_in_clear(write) -> None:
    for kind, number in ((BANK, "6214830000000000015"), (FUND, "350120000000"), (FUND, "123456"), (LICENSE, "350100123456")):
        for value in (ItemNumber(kind, number), [ItemNumber(kind, number)], {"item": ItemNumber(kind, number)}):
            written = write(value)
            assert number[:-4] not in written
            assert "****" in written


@pytest.mark.parametrize(
    "typed",
    [
        "110101195002280019",
        "110101 19500228 0019",
        "１１０１０１１９５００２２８００１９",
        "110101-19500228-0019",
        "11010119500228001",
        "110101500228001",
    ],
)
@pytest.mark.parametrize("kind", ITEM_KINDS)
def test_s54_the_documents_number_retyped_is_no_item(kind: CheckKind, typed: str) -> None:
    document = parse_document(IdentifierKind.RESIDENT_ID, "110101195002280019", TODAY)
    assert isinstance(document, IdNumber)
    assert equals_document(typed, document)
    item = parse_item(kind, typed)
    assert isinstance(item, ItemSlip) or equals_document(item, document)


@pytest.mark.parametrize(
    "document, typed, equal",
    [
        (IdNumber(IdentifierKind.RESIDENT_ID, "51010720240101002X"), "51010720240101002x", True),
        (IdNumber(IdentifierKind.RESIDENT_ID, "51010720240101002X"), "51010720240101002ｘ", True),
        (IdNumber(IdentifierKind.RESIDENT_ID, "51010720240101002X"), "510107202401010020", False),
        (IdNumber(IdentifierKind.PASSPORT, "E12345678"), "e 1234 5678", True),
        (IdNumber(IdentifierKind.PASSPORT, "E12345678"), "E12345679", False),
        (IdNumber(IdentifierKind.HK_MACAO_TRAVEL_PERMIT, "H12345678"), "h1234567803", True),
        (IdNumber(IdentifierKind.HK_MACAO_TRAVEL_PERMIT, "H12345678"), "h123456780", False),
        (IdNumber(IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017, "USA110090030712"), "usa110090030712", True),
        (IdNumber(IdentifierKind.RESIDENT_ID, "110101195002280019"), "6214830000000000015", False),
        (IdNumber(IdentifierKind.RESIDENT_ID, "110101195002280019"), "", False),
    ],
)
def test_s54_any_spelling_of_any_document_is_found(document: IdNumber, typed: str, equal: bool) -> None:
    assert equals_document(typed, document) is equal
