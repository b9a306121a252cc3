"""Decides by form, check character and birth date alone whether a text can be the number of one kind of document, or why it cannot."""

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Final

OLDEST: Final = 130
"""Years; nobody alive is older, so an older birth date is a slip of the pen."""

WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS: Final = "10X98765432"

PROVINCES: Final = frozenset(
    [str(n) for block in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65)) for n in range(block[0], block[1] + 1)] + ["71"]
)
"""GB/T 2260, first two digits. County codes are those at issue, so they are never refused (abolished ones stay valid)."""

RESIDENCE_PERMITS: Final = ("810000", "820000", "830000")
"""What the residence permits of Hong Kong, Macao and Taiwan begin with."""

HK_MACAO_LENGTH: Final = 9
"""The number of a travel permit for Hong Kong and Macao: its holder's for life; two digits that follow count the issues of the card."""

_EIGHTEEN = re.compile(r"[0-9]{17}[0-9X]")
_ENDED = re.compile(r"[0-9]{15}")
_CARD_OF_2017 = re.compile(r"[A-Z]{3}[0-9]{12}")
_HK_MACAO_TRAVEL = re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?")
_TAIWAN_TRAVEL = re.compile(r"[0-9]{8}")
_LETTERS_AND_DIGITS = re.compile(r"[A-Z0-9]+")
_LONG_RUN = re.compile(r"[0-9]{10}")


class DocumentSlip(StrEnum):
    """Why a text is not a number of the chosen kind; precise enough to say where to look."""

    EMPTY = "empty"
    WRONG_LENGTH = "wrong_length"
    WRONG_CHARACTER = "wrong_character"
    UNKNOWN_PROVINCE = "unknown_province"
    IMPOSSIBLE_DATE = "impossible_date"
    FUTURE_BIRTH = "future_birth"
    TOO_OLD = "too_old"
    WRONG_CHECK_CHARACTER = "wrong_check_character"
    NOT_THIS_KIND = "not_this_kind"
    ENDED = "ended"
    """Fifteen digits: resident cards of the first generation ended on 2013-01-01."""


FindSlip = Callable[[str, date], DocumentSlip | None]
"""Takes a normalized, non-empty text and the Asia/Shanghai day; None when nothing is wrong."""


def find_check_character(seventeen: str) -> str:
    """Return the 18th character of GB 11643 (ISO 7064 MOD 11-2) for 17 digits."""
    return CHECK_CHARACTERS[sum(w * int(d) for w, d in zip(WEIGHTS, seventeen, strict=True)) % 11]


def find_card_check_digit(fourteen: str) -> str:
    """Return the last digit of a foreign permanent resident's card of 2017: weights 7, 3, 1, letters counted from A = 10 (as ICAO 9303)."""
    return str(sum(int(character, 36) * (7, 3, 1)[place % 3] for place, character in enumerate(fourteen)) % 10)


def list_birthdates(two_digit: str, today: date) -> tuple[date, ...]:
    """Return the possible days of a ``YYMMDD``, the latest first; more than one when the century cannot be told."""
    possible = (_read_date(str(century) + two_digit) for century in (today.year // 100, today.year // 100 - 1))
    return tuple(day for day in possible if day is not None and _find_age_slip(day, today) is None)


def find_resident_id_slip(value: str, today: date) -> DocumentSlip | None:
    """GB 11643: province, 4 digits of the county at issue, birth, sequence, check character."""
    if _ENDED.fullmatch(value):
        return DocumentSlip.ENDED
    slip = _find_form_slip(value)
    if slip is not None:
        return slip
    if value.startswith(("81", "82", "83", "9")):
        return DocumentSlip.NOT_THIS_KIND
    return _find_eighteen_slip(value, value[:2], today)


def find_hmt_residence_slip(value: str, today: date) -> DocumentSlip | None:
    """GB 11643 with 810000, 820000 or 830000 in the place of the county."""
    slip = _find_form_slip(value)
    if slip is not None:
        return slip
    return _find_eighteen_slip(value, None, today) if value.startswith(RESIDENCE_PERMITS) else DocumentSlip.NOT_THIS_KIND


def find_foreign_resident_slip(value: str, today: date) -> DocumentSlip | None:
    """The card of 2023: 9, province, ISO 3166-1 numeric country, birth, sequence, check character. Countries come and go: never refused."""
    slip = _find_form_slip(value)
    if slip is not None:
        return slip
    return _find_eighteen_slip(value, value[1:3], today) if value.startswith("9") else DocumentSlip.NOT_THIS_KIND


def find_foreign_resident_2017_slip(value: str, today: date) -> DocumentSlip | None:
    """The card of 2017: country in 3 letters, area 4, birth 6, sequence 1, check digit, which never refuses (formats.md §3.1)."""
    slip = _find_form_slip(value, _CARD_OF_2017, (15,))
    if slip is not None:
        return slip
    if value[3:5] not in PROVINCES:
        return DocumentSlip.UNKNOWN_PROVINCE
    return None if list_birthdates(value[7:13], today) else DocumentSlip.IMPOSSIBLE_DATE


def find_hk_macao_travel_slip(value: str, today: date) -> DocumentSlip | None:
    """H or M with 8 digits, or 10 when the count of issues is typed too. No check digit, no birth date."""
    return _find_form_slip(value, _HK_MACAO_TRAVEL, (9, 11))


def find_taiwan_travel_slip(value: str, today: date) -> DocumentSlip | None:
    """8 digits. No check digit, no birth date."""
    return _find_form_slip(value, _TAIWAN_TRAVEL, (8,))


def find_passport_slip(value: str, today: date) -> DocumentSlip | None:
    """5 to 20 letters and digits, at least one of them a digit (ICAO 9303; each country has its own form).

    Not a passport's: 18 characters (the length of GB 11643 and GB 32100), and ten digits in a row, which phones, cards and
    ID numbers have; a passport's number has nine places in its machine-readable zone.
    """
    slip = _find_form_slip(value, _LETTERS_AND_DIGITS, range(5, 21))
    if slip is not None:
        return slip
    foreign = len(value) != 18 and _LONG_RUN.search(value) is None and not value.isalpha()
    return None if foreign else DocumentSlip.NOT_THIS_KIND


def _find_form_slip(value: str, form: re.Pattern[str] = _EIGHTEEN, lengths: range | tuple[int, ...] = (18,)) -> DocumentSlip | None:
    if len(value) not in lengths:
        return DocumentSlip.WRONG_LENGTH
    return None if form.fullmatch(value) else DocumentSlip.WRONG_CHARACTER


def _find_eighteen_slip(value: str, province: str | None, today: date) -> DocumentSlip | None:
    """Name the most precise reason first: a wrong digit in the date also makes the check character wrong."""
    if province is not None and province not in PROVINCES:
        return DocumentSlip.UNKNOWN_PROVINCE
    born = _read_date(value[6:14])
    if born is None:
        return DocumentSlip.IMPOSSIBLE_DATE
    slip = _find_age_slip(born, today)
    if slip is None and find_check_character(value[:17]) != value[17]:
        return DocumentSlip.WRONG_CHECK_CHARACTER
    return slip


def _find_age_slip(born: date, today: date) -> DocumentSlip | None:
    if born > today:
        return DocumentSlip.FUTURE_BIRTH
    return DocumentSlip.TOO_OLD if today.year - born.year > OLDEST else None


def _read_date(eight: str) -> date | None:
    try:
        return date(int(eight[:4]), int(eight[4:6]), int(eight[6:]))
    except ValueError:
        return None
