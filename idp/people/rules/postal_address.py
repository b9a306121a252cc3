"""Decides what a postal address may be: parts from the large to the small, as addresses are written in China."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idp.people.rules.masking import mask_address
from idp.people.rules.typed_text import WIDE_LETTERS, straighten

LENGTHS: Final[Mapping[str, range]] = {
    "province": range(2, 21),
    "city": range(2, 31),
    "district": range(2, 31),
    "detail": range(2, 121),
}
"""Characters of each part; the longest names of autonomous prefectures and counties stay below."""

OPTIONAL: Final = frozenset({"city", "district"})
"""Municipalities have no city beside the province, and a few cities no districts; one of the two is there."""

MAX_TEXT: Final = 400
"""Longer text is no part of an address, whatever it holds; nothing is computed over it."""

COUNTRY: Final = "中国"

_WIDE: Final = WIDE_LETTERS | {0xFF03: ord("#"), 0xFF0D: ord("-")}
_MARKS: Final = frozenset(" #-.,:;()&'/·、，。：；（）—")
_POSTAL_CODE = re.compile("[0-9]{6}")


class AddressSlip(StrEnum):
    """What is wrong with a part of an address."""

    EMPTY = "empty"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    WRONG_CHARACTER = "wrong_character"
    MALFORMED = "malformed"


@dataclass(frozen=True, repr=False)
class PostalAddress:
    """An address in China; ``city`` or ``district``, and ``postal_code``, may be "". It prints masked."""

    province: str
    city: str
    district: str
    detail: str
    postal_code: str = ""

    def __str__(self) -> str:
        return mask_address(self.area)

    def __repr__(self) -> str:
        return f"PostalAddress({self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @property
    def locality(self) -> str:
        """Return city and district; a municipality is not named a second time."""
        return (self.city if self.city != self.province else "") + self.district

    @property
    def area(self) -> str:
        """Return province, city and district in one text."""
        return self.province + self.locality

    def write(self) -> str:
        """Return the whole address in clear as it stands on an envelope: the postal code on a line of its own above it."""
        address = self.area + self.detail
        return f"{self.postal_code}\n{address}" if self.postal_code else address


def check_address(typed: Mapping[str, str]) -> PostalAddress | dict[str, AddressSlip]:
    """Return the address that the parts ``province``, ``city``, ``district``, ``detail``, ``postal_code`` are, or part → what is wrong.

    A part has letters, digits and the few marks that addresses have: no markup, no line ends, nothing that turns the writing around.
    """
    checked = {name: _check_part(typed.get(name, ""), lengths, optional=name in OPTIONAL) for name, lengths in LENGTHS.items()}
    slips = {name: part for name, part in checked.items() if isinstance(part, AddressSlip)}
    if checked["city"] == checked["district"] == "":
        slips["city"] = AddressSlip.EMPTY
    code = typed.get("postal_code", "")
    postal_code = straighten(code, _WIDE).replace(" ", "") if len(code) <= MAX_TEXT else code
    if postal_code and not _POSTAL_CODE.fullmatch(postal_code):
        slips["postal_code"] = AddressSlip.MALFORMED
    return slips or PostalAddress(**checked, postal_code=postal_code)


def _check_part(text: str, lengths: range, *, optional: bool) -> str | AddressSlip:
    if len(text) > MAX_TEXT:
        return AddressSlip.TOO_LONG
    written = straighten(text, _WIDE)
    if not written:
        return "" if optional else AddressSlip.EMPTY
    if not all(character in _MARKS or unicodedata.category(character)[0] in "LMN" for character in written):
        return AddressSlip.WRONG_CHARACTER
    if len(written) not in lengths:
        return AddressSlip.TOO_SHORT if len(written) < lengths.start else AddressSlip.TOO_LONG
    return written
