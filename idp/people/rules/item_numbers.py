"""Decides whether a text can be the number of a card or an account that proves a person, before its authority is asked."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idp.kernel.checks import CheckKind
from idp.people.rules.documents import PROVINCES
from idp.people.rules.identifiers import MAX_TEXT, IdentifierKind, IdNumber, normalize
from idp.people.rules.masking import mask_item

ITEM_KINDS: Final = (
    CheckKind.SOCIAL_SECURITY_CARD,
    CheckKind.BANK_CARD,
    CheckKind.HOUSING_FUND_ACCOUNT,
    CheckKind.DRIVER_LICENSE_FILE_NUMBER,
)
"""The questions whose subject is a number of its own; the phone's is an identifier."""

ISSUES: Final = 2
"""Digits that count the issues of a travel permit for Hong Kong and Macao."""

_DIGITS = re.compile(r"[0-9]+")
_LETTERS_AND_DIGITS = re.compile(r"[A-Z0-9]+")
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(map(ord, " \t\u3000\u00a0\u2002\u2003\u2009\u200b"))


class ItemSlip(StrEnum):
    """Why a text is not a number of the asked kind."""

    EMPTY = "empty"
    WRONG_LENGTH = "wrong_length"
    WRONG_CHARACTER = "wrong_character"
    WRONG_CHECK_DIGIT = "wrong_check_digit"
    UNKNOWN_ISSUER = "unknown_issuer"
    UNKNOWN_PROVINCE = "unknown_province"


@dataclass(frozen=True)
class ItemForm:
    """How long a number is, in characters, and whether it may hold letters."""

    shortest: int
    longest: int
    letters: bool = False


BANK_CARD: Final = ItemForm(13, 19)
"""ISO/IEC 7812-1; the same everywhere."""


@dataclass(frozen=True)
class ItemForms:
    """What differs between provinces and cities (formats.md §3.1); the defaults are the widest that is known."""

    social_security_card: ItemForm = ItemForm(9, 12, letters=True)
    housing_fund_account: ItemForm = ItemForm(6, 20, letters=True)
    driver_license_file_number: ItemForm = ItemForm(12, 12)

    def get(self, kind: CheckKind) -> ItemForm:
        """Return the form of a kind of ITEM_KINDS. Raises KeyError for a question that has no number."""
        return {
            CheckKind.SOCIAL_SECURITY_CARD: self.social_security_card,
            CheckKind.BANK_CARD: BANK_CARD,
            CheckKind.HOUSING_FUND_ACCOUNT: self.housing_fund_account,
            CheckKind.DRIVER_LICENSE_FILE_NUMBER: self.driver_license_file_number,
        }[kind]


DEFAULT_FORMS: Final = ItemForms()


@dataclass(frozen=True, repr=False)
class ItemNumber:
    """A checked number of a card or an account. It prints masked; ``value`` is the number, letters upper-case."""

    kind: CheckKind
    value: str

    def __str__(self) -> str:
        return mask_item(self.value)

    def __repr__(self) -> str:
        return f"ItemNumber({self.kind.value}, {self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def parse_item(kind: CheckKind, text: str, forms: ItemForms = DEFAULT_FORMS) -> ItemNumber | ItemSlip:
    """Return the number of this kind that ``text`` is, or why it is none. Raises KeyError for a question that has no number.

    Spaces are dropped; a hyphen is a wrong character, for card numbers are printed with spaces only (formats.md §3.2).
    """
    form = forms.get(kind)
    if len(text) > MAX_TEXT:
        return ItemSlip.WRONG_LENGTH
    value = text.translate(_NARROW).upper()
    if not value:
        return ItemSlip.EMPTY
    if not (_LETTERS_AND_DIGITS if form.letters else _DIGITS).fullmatch(value):
        return ItemSlip.WRONG_CHARACTER
    if not form.shortest <= len(value) <= form.longest:
        return ItemSlip.WRONG_LENGTH
    slip = None
    if kind is CheckKind.BANK_CARD:
        slip = _find_card_slip(value)
    elif kind is CheckKind.DRIVER_LICENSE_FILE_NUMBER and value[:2] not in PROVINCES:
        slip = ItemSlip.UNKNOWN_PROVINCE
    return ItemNumber(kind, value) if slip is None else slip


def find_luhn_digit(digits: str) -> str:
    """Return the check digit that follows ``digits`` (ISO/IEC 7812-1 Annex B)."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def equals_document(item: ItemNumber | str, document: IdNumber) -> bool:
    """Tell whether an item is the document's own number retyped, however it is spelled: such an item proves nothing (S54).

    Of an 18-character number also without its check character, and as the 15 digits of the first generation; of a travel permit for
    Hong Kong and Macao also with its count of issues.
    """
    value = normalize(item if isinstance(item, str) else item.value)
    number = document.value
    if document.kind is IdentifierKind.HK_MACAO_TRAVEL_PERMIT and len(value) == len(number) + ISSUES:
        value = value[: len(number)]
    spellings = {number, number[:17], number[:6] + number[8:17]} if len(number) == 18 else {number}
    return value in spellings


def _find_card_slip(value: str) -> ItemSlip | None:
    """Zeros pass the Luhn check, but no issuer's number is six zeros."""
    if value.startswith("000000"):
        return ItemSlip.UNKNOWN_ISSUER
    return None if find_luhn_digit(value[:-1]) == value[-1] else ItemSlip.WRONG_CHECK_DIGIT
