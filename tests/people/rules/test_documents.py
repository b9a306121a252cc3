"""Documents by chosen kind: the worked examples of formats.md §3.2 (synthetic), each refusal with its own reason."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.documents import (
    CHECK_CHARACTERS,
    DocumentSlip,
    find_card_check_digit,
    find_check_character,
    list_birthdates,
)
from idp.people.rules.identifiers import (
    DOCUMENT_KINDS,
    Gender,
    Identifier,
    IdentifierKind,
    IdNumber,
    list_readings,
    parse_document,
    parse_id_number,
    recognize,
)

TODAY = date(2026, 3, 2)
RESIDENT = IdentifierKind.RESIDENT_ID
PERMIT = IdentifierKind.HMT_RESIDENCE_PERMIT
CARD = IdentifierKind.FOREIGN_PERMANENT_RESIDENT
CARD_2017 = IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017
HK_MACAO = IdentifierKind.HK_MACAO_TRAVEL_PERMIT
TAIWAN = IdentifierKind.TAIWAN_TRAVEL_PERMIT
PASSPORT = IdentifierKind.PASSPORT

VALID = {
    RESIDENT: "110101195002280019 310104200109301246 350203201202290036 440106198811155674 51010720240101002X 620102199912319992",
    PERMIT: "810000197801010018 820000198505150020 830000200306100030 810000201912250144 830000196402290218",
    CARD: "911840199003070014 935124198510150021 944826200002290038 931392197707040116 951250199512310028",
    CARD_2017: "USA110090030712 CAN350085101521 GBR310077070403 JPN440095123135 FRA510000022918",
    HK_MACAO: "H12345678 M12345678 m00000000",
    TAIWAN: "01234567 12345678",
    PASSPORT: "E12345678 EA1234567 G98765432 123456789 12AB34567 TR1234567 C01X00T47 AB1234 A1B2C 1A2B3C4D5E6F7G8H9J0K",
}

INVALID = [
    (RESIDENT, "110101195002280018", DocumentSlip.WRONG_CHECK_CHARACTER),
    (RESIDENT, "350102199002300015", DocumentSlip.IMPOSSIBLE_DATE),
    (RESIDENT, "350102000001010010", DocumentSlip.IMPOSSIBLE_DATE),
    (RESIDENT, "350102199013070010", DocumentSlip.IMPOSSIBLE_DATE),
    (RESIDENT, "990102199003070011", DocumentSlip.NOT_THIS_KIND),
    (RESIDENT, "170102199003070011", DocumentSlip.UNKNOWN_PROVINCE),
    (RESIDENT, "010102199003070011", DocumentSlip.UNKNOWN_PROVINCE),
    (RESIDENT, "350102209901010018", DocumentSlip.FUTURE_BIRTH),
    (RESIDENT, "350102189501010018", DocumentSlip.TOO_OLD),
    (RESIDENT, "35010219900307001", DocumentSlip.WRONG_LENGTH),
    (RESIDENT, "1101011950022800190", DocumentSlip.WRONG_LENGTH),
    (RESIDENT, "350102900307001", DocumentSlip.ENDED),
    (RESIDENT, "11010519491231002Y", DocumentSlip.WRONG_CHARACTER),
    (RESIDENT, "1101O1195002280019", DocumentSlip.WRONG_CHARACTER),
    (RESIDENT, "810000197801010018", DocumentSlip.NOT_THIS_KIND),
    (RESIDENT, "911840199003070014", DocumentSlip.NOT_THIS_KIND),
    (RESIDENT, "", DocumentSlip.EMPTY),
    (RESIDENT, " \u3000-", DocumentSlip.EMPTY),
    (RESIDENT, "1" * 65, DocumentSlip.WRONG_LENGTH),
    (PERMIT, "810000197801010019", DocumentSlip.WRONG_CHECK_CHARACTER),
    (PERMIT, "840000197801010013", DocumentSlip.NOT_THIS_KIND),
    (PERMIT, "810001197801010014", DocumentSlip.NOT_THIS_KIND),
    (PERMIT, "810000209901010010", DocumentSlip.FUTURE_BIRTH),
    (PERMIT, "81000019780101001", DocumentSlip.WRONG_LENGTH),
    (PERMIT, "110101195002280019", DocumentSlip.NOT_THIS_KIND),
    (CARD, "911840199003070013", DocumentSlip.WRONG_CHECK_CHARACTER),
    (CARD, "811840199003070010", DocumentSlip.NOT_THIS_KIND),
    (CARD, "911840199013070018", DocumentSlip.IMPOSSIBLE_DATE),
    (CARD, "91184020990101001X", DocumentSlip.FUTURE_BIRTH),
    (CARD, "91184019900307001", DocumentSlip.WRONG_LENGTH),
    (CARD, "990102199003070011", DocumentSlip.UNKNOWN_PROVINCE),
    (CARD, "USA110090030712", DocumentSlip.WRONG_LENGTH),
    (CARD_2017, "US1110090030713", DocumentSlip.WRONG_CHARACTER),
    (CARD_2017, "USA110090130719", DocumentSlip.IMPOSSIBLE_DATE),
    (CARD_2017, "USA990090030712", DocumentSlip.UNKNOWN_PROVINCE),
    (CARD_2017, "USA11009003071", DocumentSlip.WRONG_LENGTH),
    (CARD_2017, "usa-10090030712", DocumentSlip.WRONG_LENGTH),
    (CARD_2017, "911840199003070014", DocumentSlip.WRONG_LENGTH),
    (HK_MACAO, "H1234567", DocumentSlip.WRONG_LENGTH),
    (HK_MACAO, "H123456780", DocumentSlip.WRONG_LENGTH),
    (HK_MACAO, "T12345678", DocumentSlip.WRONG_CHARACTER),
    (TAIWAN, "1234567", DocumentSlip.WRONG_LENGTH),
    (TAIWAN, "T1234567", DocumentSlip.WRONG_CHARACTER),
    (PASSPORT, "A123", DocumentSlip.WRONG_LENGTH),
    (PASSPORT, "A1234B5678C9012D34567", DocumentSlip.WRONG_LENGTH),
    (PASSPORT, "E1234567号", DocumentSlip.WRONG_CHARACTER),
    (PASSPORT, "E1234567<", DocumentSlip.WRONG_CHARACTER),
    (PASSPORT, "PASSPORT", DocumentSlip.NOT_THIS_KIND),
    (PASSPORT, "13800138000", DocumentSlip.NOT_THIS_KIND),
    (PASSPORT, "1380013800", DocumentSlip.NOT_THIS_KIND),
    (PASSPORT, "350102900307001", DocumentSlip.NOT_THIS_KIND),
    (PASSPORT, "110101195002280019", DocumentSlip.NOT_THIS_KIND),
    (PASSPORT, "USA110090030712", DocumentSlip.NOT_THIS_KIND),
    (IdentifierKind.PHONE, "13800138000", DocumentSlip.NOT_THIS_KIND),
]

CREDIT_CODES = """
    91350100MA2XN8K729 12350000488000126B 51350000508000167C 93350121MA3445677T 92350103MA2Y0001XH 91350100M000100Y43
    91350100M000100Y4A 91350100M000100Y4I AA350100M000100Y46 99350100M000100Y4A 91350100MA2XN8K73C 91999999M000100Y42
"""


def list_valid() -> list[tuple[IdentifierKind, str]]:
    return [(kind, number) for kind, numbers in VALID.items() for number in numbers.split()]


@pytest.mark.parametrize("kind, number", list_valid())
def test_a_right_number_of_its_kind_is_read(kind: IdentifierKind, number: str) -> None:
    found = parse_document(kind, number, TODAY)
    assert found == IdNumber(kind, number.upper())
    assert not found.doubtful


@pytest.mark.parametrize("kind, number, slip", INVALID)
def test_a_wrong_number_is_refused_with_its_reason(kind: IdentifierKind, number: str, slip: DocumentSlip) -> None:
    assert parse_document(kind, number, TODAY) is slip


@pytest.mark.parametrize("kind, number", [(kind, number) for kind, number in list_valid() if kind not in {HK_MACAO, TAIWAN}])
def test_a_right_number_fits_one_kind_only(kind: IdentifierKind, number: str) -> None:
    fitting = [other for other in DOCUMENT_KINDS if isinstance(parse_document(other, number, TODAY), IdNumber)]
    assert fitting == [kind]


def test_every_kind_has_examples_and_every_reason_a_case() -> None:
    assert set(VALID) == set(DOCUMENT_KINDS) == set(IdentifierKind) - {IdentifierKind.PHONE}
    assert {slip for _, _, slip in INVALID} == set(DocumentSlip)


@pytest.mark.parametrize("kind, number", list_valid())
def test_who_signs_in_need_not_name_the_kind(kind: IdentifierKind, number: str) -> None:
    found = recognize(number.lower(), TODAY)
    assert found == Identifier(kind, number.upper())
    assert IdentifierKind.PHONE not in {reading.kind for reading in list_readings(found)}


@pytest.mark.parametrize("kind, number, slip", INVALID)
def test_what_is_no_number_of_any_kind_is_not_recognized(kind: IdentifierKind, number: str, slip: DocumentSlip) -> None:
    fitting = [other for other in DOCUMENT_KINDS if isinstance(parse_document(other, number, TODAY), IdNumber)]
    found = parse_id_number(number, TODAY)
    assert (found is None) == (not fitting)
    assert kind not in fitting


@pytest.mark.parametrize("code", CREDIT_CODES.split())
def test_an_organizations_code_is_no_persons_document(code: str) -> None:
    assert parse_id_number(code, TODAY) is None
    assert recognize(code, TODAY) is None


@pytest.mark.parametrize(
    "typed, kind, value",
    [
        ("５１０１０７２０２４０１０１００２ｘ", RESIDENT, "51010720240101002X"),
        ("510107 20240101 002x", RESIDENT, "51010720240101002X"),
        ("usa 1100 900307 12", CARD_2017, "USA110090030712"),
        ("ｅ 1234 5678", PASSPORT, "E12345678"),
        ("h 12345678", HK_MACAO, "H12345678"),
        ("h1234567801", HK_MACAO, "H12345678"),
        ("H12345678 02", HK_MACAO, "H12345678"),
    ],
)
def test_spaces_full_width_and_small_letters_are_read(typed: str, kind: IdentifierKind, value: str) -> None:
    assert parse_document(kind, typed, TODAY) == IdNumber(kind, value)
    assert recognize(typed, TODAY) == Identifier(kind, value)


def test_a_wrong_check_digit_of_the_card_of_2017_is_left_to_the_source() -> None:
    found = parse_document(CARD_2017, "USA110090030713", TODAY)
    assert isinstance(found, IdNumber)
    assert found.doubtful
    assert recognize("USA110090030713", TODAY) == Identifier(CARD_2017, "USA110090030713")


@pytest.mark.parametrize(
    "kind, number, born, gender",
    [
        (RESIDENT, "310104200109301246", date(2001, 9, 30), Gender.FEMALE),
        (PERMIT, "810000197801010018", date(1978, 1, 1), Gender.MALE),
        (CARD, "935124198510150021", date(1985, 10, 15), None),
        (HK_MACAO, "H12345678", None, None),
        (TAIWAN, "12345678", None, None),
        (PASSPORT, "E12345678", None, None),
    ],
)
def test_birth_date_and_gender_are_what_the_number_carries(
    kind: IdentifierKind, number: str, born: date | None, gender: Gender | None
) -> None:
    document = IdNumber(kind, number)
    assert (document.birthdate, document.find_birthdate(TODAY), document.gender) == (born, born, gender)
    assert document.list_birthdates(TODAY) == ((born,) if born else ())


def test_the_card_of_2017_leaves_the_century_open() -> None:
    older, younger = IdNumber(CARD_2017, "USA110090030712"), IdNumber(CARD_2017, "FRA510010022218")
    assert older.birthdate is None
    assert older.gender is None
    assert older.list_birthdates(TODAY) == (date(1990, 3, 7),)
    assert younger.list_birthdates(TODAY) == (date(2010, 2, 22), date(1910, 2, 22))
    assert younger.find_birthdate(TODAY) == date(2010, 2, 22)


@pytest.mark.parametrize(
    "written, today, days",
    [
        ("260302", TODAY, [date(2026, 3, 2), date(1926, 3, 2)]),
        ("260303", TODAY, [date(1926, 3, 3)]),
        ("000229", TODAY, [date(2000, 2, 29)]),
        ("010101", date(2040, 1, 1), [date(2001, 1, 1)]),
        ("991301", TODAY, []),
        ("010229", TODAY, []),
    ],
)
def test_a_two_digit_year_is_placed_by_today(written: str, today: date, days: list[date]) -> None:
    assert list(list_birthdates(written, today)) == days


@pytest.mark.parametrize("number, others", [("M12345678", [PASSPORT]), ("12345678", [PASSPORT]), ("E12345678", [])])
def test_a_permit_of_nine_characters_may_be_a_passport(number: str, others: list[IdentifierKind]) -> None:
    found = recognize(number, TODAY)
    assert found is not None
    readings = list_readings(found)
    assert readings == (found, *(Identifier(kind, number) for kind in others))
    assert all(isinstance(parse_document(reading.kind, number, TODAY), IdNumber) for reading in readings)


def test_a_phone_is_never_read_as_a_document() -> None:
    found = recognize("13800138000", TODAY)
    assert found == Identifier(IdentifierKind.PHONE, "+8613800138000")
    assert list_readings(found) == (found,)
    assert parse_id_number("13800138000", TODAY) is None


def test_check_characters_cover_the_alphabet() -> None:
    assert {find_check_character(f"{n:017}") for n in range(200)} == set(CHECK_CHARACTERS)
    assert {find_card_check_digit(f"USA11009003{n:03}") for n in range(200)} == set("0123456789")


@given(st.sampled_from(DOCUMENT_KINDS), st.text(max_size=80))
def test_no_text_breaks_a_kind(kind: IdentifierKind, text: str) -> None:
    found = parse_document(kind, text, TODAY)
    assert isinstance(found, DocumentSlip) or (found.kind is kind and found.value.isascii())


@given(st.sampled_from(DOCUMENT_KINDS), st.text(alphabet="0123456789XHMEA -", min_size=5, max_size=24))
def test_what_is_registered_is_recognized_at_the_next_sign_in(kind: IdentifierKind, text: str) -> None:
    document = parse_document(kind, text, TODAY)
    if isinstance(document, IdNumber):
        found = recognize(text, TODAY)
        assert found is not None
        assert Identifier(document.kind, document.value) in list_readings(found)
