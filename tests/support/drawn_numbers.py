"""Synthetic numbers of every kind, drawn at random: right ones, and ones that are right but for one slip."""

from datetime import date, timedelta
from typing import Final

from stdnum import luhn
from stdnum.iso7064 import mod_11_2
from stdnum.md import idno

TODAY: Final = date(2026, 3, 2)
BYTES: Final = 24
"""How many random bytes make one number."""

DIGITS: Final = "0123456789"
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# fmt: off
LOCATIONS: Final = (
    "110101", "110105", "120103", "310104", "310115", "320102", "330106", "350102", "350203",
    "370202", "420106", "440106", "440305", "510107", "610113", "350181", "520201", "650188",
)
# fmt: on
"""Counties of now and of before, and two that never were."""


class Draw:
    """Deals one random number out in choices, so that one draw of hypothesis makes a whole case."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "big")

    def below(self, bound: int) -> int:
        """Return a number below ``bound``."""
        self._left, dealt = divmod(self._left, bound)
        return dealt

    def pick(self, choices: str) -> str:
        """Return one of the characters."""
        return choices[self.below(len(choices))]

    def digits(self, count: int) -> str:
        """Return so many digits."""
        return f"{self.below(10**count):0{count}}"


def make_birth(draw: Draw) -> str:
    """Return eight digits: mostly days of people alive, sometimes one around today, too old, or no day at all."""
    way = draw.below(12)
    if way == 0:
        return f"{TODAY + timedelta(days=draw.below(5) - 2):%Y%m%d}"
    if way == 1:
        return f"{1890 + draw.below(12)}{1 + draw.below(12):02}{1 + draw.below(28):02}"
    if way == 2:
        return f"{1900 + draw.below(200)}{draw.below(15):02}{draw.below(34):02}"
    return f"{date(1900, 1, 1) + timedelta(days=draw.below(46_000)):%Y%m%d}"


def spoil(draw: Draw, number: str, alphabet: str) -> str:
    """Return the number as it is in half of the cases; else with one character changed, two swapped, one lost or one too many."""
    way, place = draw.below(10), draw.below(len(number))
    if way == 0:
        return number[:place] + draw.pick(alphabet) + number[place + 1 :]
    if way == 1:
        return number[:place] + number[place : place + 2][::-1] + number[place + 2 :]
    if way == 2:
        return number[:place] + number[place + 1 :]
    if way == 3:
        return number[:place] + draw.pick(alphabet) + number[place:]
    if way == 4:
        return number[:-1] + draw.pick(alphabet)
    return number


def _make_eighteen(draw: Draw, six: str) -> str:
    seventeen = six + make_birth(draw) + draw.digits(3)
    return spoil(draw, seventeen + mod_11_2.calc_check_digit(seventeen), DIGITS + "XY")


def make_resident_id(draw: Draw) -> str:
    """Mostly of counties that exist or existed, sometimes of any six digits."""
    return _make_eighteen(draw, draw.digits(6) if draw.below(4) == 0 else LOCATIONS[draw.below(len(LOCATIONS))])


def make_hmt_residence_permit(draw: Draw) -> str:
    """810000 to 830000, and what looks like it."""
    beginnings = ("810000", "820000", "830000") if draw.below(3) else ("810001", "840000", "800000")
    return _make_eighteen(draw, beginnings[draw.below(3)])


def make_foreign_card(draw: Draw) -> str:
    """9, a province that mostly exists, a country."""
    return _make_eighteen(draw, ("9" if draw.below(12) else draw.pick(DIGITS)) + _make_province(draw) + draw.digits(3))


def make_foreign_card_2017(draw: Draw) -> str:
    """Three letters, area, birth, sequence, check digit."""
    first = "".join(draw.pick(LETTERS) for _ in range(3)) + _make_province(draw) + draw.digits(2) + make_birth(draw)[2:] + draw.digits(1)
    return spoil(draw, first + (find_731_digit(first) if draw.below(3) else draw.digits(1)), DIGITS + "AZ")


def make_hk_macao_travel_permit(draw: Draw) -> str:
    """H or M and 8 or 10 digits."""
    return spoil(draw, draw.pick("HM") + draw.digits(8 + 2 * draw.below(2)), DIGITS + "HMT")


def make_taiwan_travel_permit(draw: Draw) -> str:
    """Eight digits."""
    return spoil(draw, draw.digits(8), DIGITS + "T")


def make_passport(draw: Draw) -> str:
    """Letters and digits of any length around the allowed ones; seldom a character that no passport has."""
    length, alphabet = 4 + draw.below(18), DIGITS * 3 + LETTERS if draw.below(3) else DIGITS
    return spoil(draw, "".join(draw.pick(alphabet) for _ in range(length)), DIGITS + "AZ<é")


def make_phone(draw: Draw) -> str:
    """Every prefix of a mobile, with and without the country; seldom fixed lines, foreign countries, satellites."""
    prefix = ("", "", "", "+86", "+86", "86", "+1", "0")[draw.below(8)]
    way = draw.below(16)
    if way < 2:
        return prefix + draw.digits(11)
    local = ("1610", "1740")[way % 2] + draw.digits(7) if way < 4 else f"{130 + draw.below(70)}{draw.digits(8)}"
    return prefix + spoil(draw, local, DIGITS)


def make_bank_card(draw: Draw) -> str:
    """12 to 20 digits, mostly of UnionPay, sometimes of zeros."""
    first = ("62", "62", "4", "5", "000000")[draw.below(5)] + draw.digits(10 + draw.below(9))
    return spoil(draw, first + luhn.calc_check_digit(first), DIGITS)


def make_license_file_number(draw: Draw) -> str:
    """An area that mostly exists, and ten digits."""
    return spoil(draw, _make_province(draw) + draw.digits(10), DIGITS + "A")


def make_account(draw: Draw) -> str:
    """5 to 21 letters and digits; seldom another character."""
    return spoil(draw, "".join(draw.pick(DIGITS * 2 + LETTERS) for _ in range(5 + draw.below(17))), DIGITS + "AZ-")


def _make_province(draw: Draw) -> str:
    return draw.digits(2) if draw.below(4) == 0 else ("11", "35", "44", "65", "71")[draw.below(5)]


def find_731_digit(fourteen: str) -> str:
    """The weights 7, 3, 1 as python-stdnum computes them for Moldova: twelve places at a time; a letter counts modulo ten."""
    digits = "".join(str((LETTERS.index(c) if c in LETTERS else int(c)) % 10) for c in fourteen)
    return str((int(idno.calc_check_digit(digits[:12])) + int(idno.calc_check_digit(digits[12:].ljust(12, "0")))) % 10)
