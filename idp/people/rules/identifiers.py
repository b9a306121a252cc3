"""Decides what text is a document number or a phone, checks it without any source, and never lets it print in clear."""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from idp.people.rules.masking import mask_document, mask_phone

MAX_TEXT: Final = 64
"""Longer text is no identifier, whatever it holds."""

OLDEST: Final = 130
"""Years; nobody alive is older, so an older birth date is a slip of the pen."""

WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS: Final = "10X98765432"

_EIGHTEEN = re.compile(r"[1-9][0-9]{16}[0-9X]")
_HMT_RESIDENCE = re.compile(r"8[123]0000")
_HK_MACAO_TRAVEL = re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?")
_TAIWAN_TRAVEL = re.compile(r"[0-9]{8}")
_MOBILE = re.compile(r"(?:\+?86)?(1(?:3[0-9]|4[57]|5[0-35-9]|6[2567]|7[0-35-8]|8[0-9]|9[0-35-9])[0-9]{8})")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SEPARATORS = dict.fromkeys(map(ord, " \t\u3000\u00a0\u2002\u2003\u2009\u200b-\uff0d\u2010\u2011\u2013\u2014"), None)

PROVINCES: Final = frozenset(
    [str(n) for block in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (81, 83)) for n in range(block[0], block[1] + 1)]
    + ["71", "91"]
)
"""First two digits of a resident ID. County codes are those at issue, so they are never refused (abolished ones stay valid)."""


class IdentifierKind(StrEnum):
    """What an identifier is; the first part of its uniqueness."""

    RESIDENT_ID = "resident_id"
    HMT_RESIDENCE_PERMIT = "hmt_residence_permit"
    HK_MACAO_TRAVEL_PERMIT = "hk_macao_travel_permit"
    TAIWAN_TRAVEL_PERMIT = "taiwan_travel_permit"
    PHONE = "phone"


class Gender(StrEnum):
    """As OIDC Core §5.1 spells it."""

    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, repr=False)
class IdNumber:
    """A checked document number. It prints masked; ``value`` is the number itself, letters upper-case."""

    kind: IdentifierKind
    value: str

    def __str__(self) -> str:
        return mask_document(self.value)

    def __repr__(self) -> str:
        return f"IdNumber({self.kind.value}, {self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @property
    def birthdate(self) -> date | None:
        """Return the birth date that the number carries, None for permits that carry none."""
        return date(int(self.value[6:10]), int(self.value[10:12]), int(self.value[12:14])) if len(self.value) == 18 else None

    @property
    def gender(self) -> Gender | None:
        """Return the gender that the number carries (17th digit: odd = male), None for permits that carry none."""
        if len(self.value) != 18:
            return None
        return Gender.MALE if int(self.value[16]) % 2 else Gender.FEMALE


@dataclass(frozen=True, repr=False)
class Phone:
    """A mainland mobile number. It prints masked; ``value`` is E.164 (``+8613800138000``)."""

    value: str

    def __str__(self) -> str:
        return mask_phone(self.value)

    def __repr__(self) -> str:
        return f"Phone({self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


@dataclass(frozen=True, repr=False)
class Identifier:
    """What a person signs in with. It prints masked; (kind, value) is what the blind index is computed over."""

    kind: IdentifierKind
    value: str

    def __str__(self) -> str:
        return mask_phone(self.value) if self.kind is IdentifierKind.PHONE else mask_document(self.value)

    def __repr__(self) -> str:
        return f"Identifier({self.kind.value}, {self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def normalize(text: str) -> str:
    """Return ``text`` with full-width forms narrowed, spaces and hyphens dropped, letters upper-case; empty when over-long."""
    if len(text) > MAX_TEXT:
        return ""
    return text.translate(_FULL_WIDTH).translate(_SEPARATORS).upper()


def find_check_character(seventeen: str) -> str:
    """Return the 18th character of GB 11643 (ISO 7064 MOD 11-2) for 17 digits."""
    return CHECK_CHARACTERS[sum(w * int(d) for w, d in zip(WEIGHTS, seventeen, strict=True)) % 11]


def parse_id_number(text: str, today: date) -> IdNumber | None:
    """Return the document that ``text`` is, None when its form, check character or birth date is wrong."""
    value = normalize(text)
    if _EIGHTEEN.fullmatch(value):
        return _parse_eighteen(value, today)
    if _HK_MACAO_TRAVEL.fullmatch(value):
        return IdNumber(IdentifierKind.HK_MACAO_TRAVEL_PERMIT, value)
    if _TAIWAN_TRAVEL.fullmatch(value):
        return IdNumber(IdentifierKind.TAIWAN_TRAVEL_PERMIT, value)
    return None


def _parse_eighteen(value: str, today: date) -> IdNumber | None:
    if find_check_character(value[:17]) != value[17] or value[:2] not in PROVINCES:
        return None
    try:
        born = date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return None
    if born > today or today.year - born.year > OLDEST:
        return None
    if value[:2] in {"81", "82", "83"}:
        return IdNumber(IdentifierKind.HMT_RESIDENCE_PERMIT, value) if _HMT_RESIDENCE.match(value) else None
    return IdNumber(IdentifierKind.RESIDENT_ID, value)


def has_form_of_resident_id(text: str) -> bool:
    """Tell whether ``text`` is as long as an ID number and written like one; when it is refused all the same, a digit is wrong."""
    return _EIGHTEEN.fullmatch(normalize(text)) is not None


def parse_phone(text: str) -> Phone | None:
    """Return the mainland mobile number that ``text`` is, None for machine cards, fixed lines and foreign numbers."""
    found = _MOBILE.fullmatch(normalize(text))
    return Phone("+86" + found[1]) if found else None


def recognize(text: str, today: date) -> Identifier | None:
    """Return what ``text`` identifies a person by: a phone, else a document; None when it is neither.

    ``today`` is the Asia/Shanghai day: a birth date after it is refused.
    """
    phone = parse_phone(text)
    if phone is not None:
        return Identifier(IdentifierKind.PHONE, phone.value)
    document = parse_id_number(text, today)
    return Identifier(document.kind, document.value) if document is not None else None
