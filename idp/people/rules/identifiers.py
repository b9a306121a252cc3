"""Decides what text is a document number or a phone, checks it without any source, and never lets it print in clear."""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from idp.people.rules.documents import (
    HK_MACAO_LENGTH,
    DocumentSlip,
    FindSlip,
    find_card_check_digit,
    find_foreign_resident_2017_slip,
    find_foreign_resident_slip,
    find_hk_macao_travel_slip,
    find_hmt_residence_slip,
    find_passport_slip,
    find_resident_id_slip,
    find_taiwan_travel_slip,
    list_birthdates,
)
from idp.people.rules.masking import mask_document, mask_phone

MAX_TEXT: Final = 64
"""Longer text is no identifier, whatever it holds."""

_RESIDENT_FORM = re.compile(r"[1-9][0-9]{16}[0-9X]")
_MOBILE = re.compile(r"(?:\+?86)?(1(?:3[0-9]|4[57]|5[0-35-9]|6[2567]|7[0-35-8]|8[0-9]|9[0-35-9])[0-9]{8})")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SEPARATORS = dict.fromkeys(map(ord, " \t\u3000\u00a0\u2002\u2003\u2009\u200b-\uff0d\u2010\u2011\u2013\u2014"), None)


class IdentifierKind(StrEnum):
    """What an identifier is; the first part of its uniqueness."""

    RESIDENT_ID = "resident_id"
    HMT_RESIDENCE_PERMIT = "hmt_residence_permit"
    HK_MACAO_TRAVEL_PERMIT = "hk_macao_travel_permit"
    TAIWAN_TRAVEL_PERMIT = "taiwan_travel_permit"
    FOREIGN_PERMANENT_RESIDENT = "foreign_permanent_resident"
    FOREIGN_PERMANENT_RESIDENT_2017 = "foreign_permanent_resident_2017"
    PASSPORT = "passport"
    PHONE = "phone"


_FIND_SLIP: Final[dict[IdentifierKind, FindSlip]] = {
    IdentifierKind.RESIDENT_ID: find_resident_id_slip,
    IdentifierKind.HMT_RESIDENCE_PERMIT: find_hmt_residence_slip,
    IdentifierKind.HK_MACAO_TRAVEL_PERMIT: find_hk_macao_travel_slip,
    IdentifierKind.TAIWAN_TRAVEL_PERMIT: find_taiwan_travel_slip,
    IdentifierKind.FOREIGN_PERMANENT_RESIDENT: find_foreign_resident_slip,
    IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017: find_foreign_resident_2017_slip,
    IdentifierKind.PASSPORT: find_passport_slip,
}

DOCUMENT_KINDS: Final = tuple(_FIND_SLIP)
"""What a person may register with, in the order to offer it; a text of unknown kind is read as the first that it fits."""


class Gender(StrEnum):
    """As OIDC Core §5.1 spells it."""

    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, repr=False)
class IdNumber:
    """A checked document number. It prints masked; ``value`` is the number itself, letters upper-case.

    Of a travel permit for Hong Kong and Macao it is the nine characters that stay for life, without the count of issues.
    """

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
        """Return the birth date that the number states in full, None when it states none or only two digits of the year."""
        return date(int(self.value[6:10]), int(self.value[10:12]), int(self.value[12:14])) if len(self.value) == 18 else None

    def list_birthdates(self, today: date) -> tuple[date, ...]:
        """Return the birth dates that the number allows, the likeliest first; more than one when the century is uncertain."""
        if self.kind is IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017:
            return list_birthdates(self.value[7:13], today)
        return (self.birthdate,) if self.birthdate is not None else ()

    def find_birthdate(self, today: date) -> date | None:
        """Return the likeliest birth date that the number allows, None for numbers that carry none."""
        return next(iter(self.list_birthdates(today)), None)

    @property
    def gender(self) -> Gender | None:
        """Return the gender that the number carries (17th digit: odd = male); None where it carries none, or none that is published."""
        if self.kind not in {IdentifierKind.RESIDENT_ID, IdentifierKind.HMT_RESIDENCE_PERMIT}:
            return None
        return Gender.MALE if int(self.value[16]) % 2 else Gender.FEMALE

    @property
    def doubtful(self) -> bool:
        """Tell whether the number breaks a rule that is not published with certainty: its source decides (formats.md §3.1)."""
        return self.kind is IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017 and find_card_check_digit(self.value[:14]) != self.value[14]


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


def parse_document(kind: IdentifierKind, text: str, today: date) -> IdNumber | DocumentSlip:
    """Return the number of a document of this kind, or why ``text`` is none. ``today`` is the Asia/Shanghai day."""
    value = normalize(text)
    if not value:
        return DocumentSlip.WRONG_LENGTH if len(text) > MAX_TEXT else DocumentSlip.EMPTY
    if kind not in _FIND_SLIP:
        return DocumentSlip.NOT_THIS_KIND
    slip = _FIND_SLIP[kind](value, today)
    if slip is not None:
        return slip
    return IdNumber(kind, value[:HK_MACAO_LENGTH] if kind is IdentifierKind.HK_MACAO_TRAVEL_PERMIT else value)


def parse_id_number(text: str, today: date) -> IdNumber | None:
    """Return the document that ``text`` is, None when it fits no kind. A permit goes before a passport of the same characters."""
    found = (parse_document(kind, text, today) for kind in DOCUMENT_KINDS)
    return next((number for number in found if isinstance(number, IdNumber)), None)


def has_form_of_resident_id(text: str) -> bool:
    """Tell whether ``text`` is as long as an ID number and written like one; when it is refused all the same, a digit is wrong."""
    return _RESIDENT_FORM.fullmatch(normalize(text)) is not None


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


def list_readings(identifier: Identifier) -> tuple[Identifier, ...]:
    """Return everything that the same characters may be, ``identifier`` first: a travel permit's may be a passport's as well."""
    if identifier.kind in {IdentifierKind.HK_MACAO_TRAVEL_PERMIT, IdentifierKind.TAIWAN_TRAVEL_PERMIT} and len(identifier.value) < 10:
        return identifier, Identifier(IdentifierKind.PASSPORT, identifier.value)
    return (identifier,)
