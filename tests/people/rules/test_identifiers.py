"""Document numbers and phones: the worked examples of formats.md §3.2 (synthetic) and thousands of made ones."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.documents import CHECK_CHARACTERS, PROVINCES, find_check_character
from idp.people.rules.identifiers import (
    Gender,
    IdentifierKind,
    IdNumber,
    Phone,
    has_form_of_resident_id,
    normalize,
    parse_id_number,
    parse_phone,
    recognize,
)

TODAY = date(2026, 3, 2)
RESIDENTS = sorted(PROVINCES)

VALID_IDS = [
    "110101195002280019",
    "310104200109301246",
    "350203201202290036",
    "440106198811155674",
    "51010720240101002X",
    "620102199912319992",
]
INVALID_IDS = {
    "110101195002280018": "check character",
    "350102199002300015": "30 February, check right",
    "990102199003070011": "province",
    "350102209901010018": "future",
    "35010219900307001": "17 characters",
    "350102900307001": "15 characters",
    "11010519491231002Y": "letter",
    "": "empty",
    "1101011950022800190": "19 characters",
}
VALID_PERMITS = ["810000197801010018", "820000198505150020", "830000200306100030", "810000201912250144", "830000196402290218"]
INVALID_PERMITS = ["810000197801010019", "840000197801010013", "810001197801010014", "810000209901010010", "81000019780101001"]
VALID_PHONES = ["13800138000", "17012345678", "19212345678", "16212345678", "+8613912345678"]
INVALID_PHONES = ["14912345678", "15412345678", "12345678901", "1380013800", "059187654321", "+14155550100", "138001380000"]


@st.composite
def resident_numbers(draw: st.DrawFn) -> str:
    """Synthetic numbers with a right check character; nobody's, for they are made here."""
    born = draw(st.dates(date(1900, 1, 1), TODAY))
    seventeen = f"{draw(st.sampled_from(RESIDENTS))}{draw(st.integers(0, 9999)):04}{born:%Y%m%d}{draw(st.integers(0, 999)):03}"
    return seventeen + find_check_character(seventeen)


@pytest.mark.parametrize("number", VALID_IDS)
def test_a_right_resident_number_is_recognized(number: str) -> None:
    found = recognize(number, TODAY)
    assert found is not None
    assert (found.kind, found.value) == (IdentifierKind.RESIDENT_ID, number)


@pytest.mark.parametrize("number", INVALID_IDS)
def test_a_wrong_resident_number_is_refused(number: str) -> None:
    assert recognize(number, TODAY) is None


@pytest.mark.parametrize("number", VALID_PERMITS)
def test_a_right_residence_permit_is_recognized(number: str) -> None:
    found = recognize(number, TODAY)
    assert found is not None
    assert (found.kind, found.value) == (IdentifierKind.HMT_RESIDENCE_PERMIT, number)


@pytest.mark.parametrize("number", INVALID_PERMITS)
def test_a_wrong_residence_permit_is_refused(number: str) -> None:
    assert recognize(number, TODAY) is None


@pytest.mark.parametrize(
    "number, kind",
    [
        ("H12345678", IdentifierKind.HK_MACAO_TRAVEL_PERMIT),
        ("m1234567801", IdentifierKind.HK_MACAO_TRAVEL_PERMIT),
        ("01234567", IdentifierKind.TAIWAN_TRAVEL_PERMIT),
    ],
)
def test_travel_permits_carry_no_birth_date(number: str, kind: IdentifierKind) -> None:
    found = parse_id_number(number, TODAY)
    assert found is not None
    assert (found.kind, found.birthdate, found.gender) == (kind, None, None)


@pytest.mark.parametrize("number", VALID_PHONES)
def test_a_mainland_mobile_becomes_e164(number: str) -> None:
    found = recognize(number, TODAY)
    assert found is not None
    assert found.kind is IdentifierKind.PHONE
    assert found.value == "+86" + number.removeprefix("+86")


@pytest.mark.parametrize("number", INVALID_PHONES)
def test_other_numbers_are_no_phone(number: str) -> None:
    assert parse_phone(number) is None


@pytest.mark.parametrize(
    "typed, value",
    [
        ("１１０１０１１９５００２２８００１９", "110101195002280019"),
        (" 51010720240101002x ", "51010720240101002X"),
        ("51010720240101002ｘ", "51010720240101002X"),
        ("110101 19500228 0019", "110101195002280019"),
        ("138 0013 8000", "+8613800138000"),
        ("＋86-138-0013-8000", "+8613800138000"),
        ("138　0013　8000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
    ],
)
def test_what_people_type_is_read(typed: str, value: str) -> None:
    found = recognize(typed, TODAY)
    assert found is not None
    assert found.value == value


@given(resident_numbers())
def test_every_made_number_is_recognized_with_its_birth_date(number: str) -> None:
    found = parse_id_number(number, TODAY)
    if TODAY.year - int(number[6:10]) > 130:
        assert found is None
        return
    assert found is not None
    assert found.birthdate is not None
    assert f"{found.birthdate:%Y%m%d}" == number[6:14]
    assert found.gender is (Gender.MALE if int(number[16]) % 2 else Gender.FEMALE)


@given(resident_numbers(), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_no_single_changed_character_passes(number: str, position: int, other: str) -> None:
    changed = number[:position] + other + number[position + 1 :]
    if changed != number:
        assert parse_id_number(changed, TODAY) is None


@given(resident_numbers(), st.integers(0, 15))
def test_no_swap_of_neighbours_passes(number: str, position: int) -> None:
    changed = number[:position] + number[position + 1] + number[position] + number[position + 2 :]
    if changed != number:
        assert parse_id_number(changed, TODAY) is None


@given(st.integers(1, 20_000))
def test_a_birth_date_after_today_is_refused(days: int) -> None:
    born = TODAY + timedelta(days=days)
    seventeen = f"350102{born:%Y%m%d}001"
    number = seventeen + find_check_character(seventeen)
    assert parse_id_number(number, TODAY) is None
    assert parse_id_number(number, born) is not None


@given(st.text(max_size=200))
def test_no_text_breaks_recognition(text: str) -> None:
    found = recognize(text, TODAY)
    assert found is None or found.value.isascii()


@given(resident_numbers(), st.text(alphabet=" \t　\u00a0", max_size=5))
def test_normalizing_twice_changes_nothing(number: str, blank: str) -> None:
    once = normalize(blank + number.lower() + blank)
    assert once == number
    assert normalize(once) == once


def test_over_long_text_is_no_identifier() -> None:
    assert recognize("13800138000" + " " * 100, TODAY) is None


def test_check_characters_cover_the_alphabet() -> None:
    assert {find_check_character(f"{n:017}") for n in range(200)} == set(CHECK_CHARACTERS)


@pytest.mark.parametrize("write", [str, repr, "{}".format, "{!r}".format, lambda v: f"{v}", lambda v: f"{v!s:>40}"])
def test_identifiers_never_print_in_clear(write) -> None:
    document = IdNumber(IdentifierKind.RESIDENT_ID, "110101195002280019")
    phone = Phone("+8613800138000")
    for value in (document, phone, recognize("110101195002280019", TODAY), recognize("13800138000", TODAY), [document], {"p": phone}):
        written = write(value)
        assert "19500228" not in written
        assert "0013" not in written
    assert f"{phone:>12}" == " 138****8000"


def test_a_refused_number_of_eighteen_characters_has_a_wrong_digit() -> None:
    right = "110101195002280019"
    wrong = right[:-1] + "8"
    assert parse_id_number(wrong, TODAY) is None
    assert has_form_of_resident_id(wrong)
    assert has_form_of_resident_id(f" {right[:6]} {right[6:14]} {right[14:]} ")
    for text in (right[:-1], right + "0", "A" + right[1:], "13800138000", ""):
        assert not has_form_of_resident_id(text)
