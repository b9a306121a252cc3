"""Decides what a real name may be and how it is written when the register is asked."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idp.people.rules.masking import mask_name

SHORTEST: Final = 2
LONGEST: Final = 50
"""Characters of a Chinese name; the longest known ones, with several middle dots, stay below."""

LONGEST_LATIN: Final = 100
MAX_TEXT: Final = 200
"""Longer text is no name, whatever it holds; nothing is computed over it."""

DOT: Final = "·"
"""U+00B7, as names of several parts are written in the register."""

# What keyboards and web pages put in the place of the middle dot.
_DOTS: Final = dict.fromkeys(map(ord, "•‧∙⋅・･．.﹒●⸱⸳᛫˙"), DOT)
_APOSTROPHES: Final = dict.fromkeys(map(ord, "’‘ʼʹ`´"), "'")
_HYPHENS: Final = dict.fromkeys(map(ord, "\u2010\u2011"), "-")
_WIDE_LETTERS: Final = {code: code - 0xFEE0 for first in (0xFF21, 0xFF41) for code in range(first, first + 26)}
# Joiners, byte order marks and variation selectors come along when a name is pasted; they change no character.
_INVISIBLE: Final = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])

_HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fffd\U00030000-\U0003fffd"
"""The unified ideographs with all extensions: planes 2 and 3 hold nothing else, also what later versions of Unicode add."""

_ANY_HAN = re.compile(f"[{_HAN}]")
_CHINESE_CHARACTERS = re.compile(f"[{_HAN}{DOT}]+")
_CHINESE = re.compile(f"[{_HAN}]+(?:{DOT}[{_HAN}]+)*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_LATIN = re.compile(r"'?[^\W\d_]+(?:[ '.-]{1,2}[^\W\d_]+)*\.?")
_RADICALS = re.compile("[\u2e80-\u2fdf]")


class NameSlip(StrEnum):
    """Why a text is not a name."""

    EMPTY = "empty"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    WRONG_CHARACTER = "wrong_character"
    MIXED_SCRIPTS = "mixed_scripts"
    MISPLACED_MARK = "misplaced_mark"


@dataclass(frozen=True, repr=False)
class RealName:
    """A name as its document has it. It prints masked; ``value`` is NFC, a Chinese one without spaces, a Latin one in capitals."""

    value: str

    def __str__(self) -> str:
        return mask_name(self.value)

    def __repr__(self) -> str:
        return f"RealName({self})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def check_name(text: str) -> RealName | NameSlip:
    """Return the name that ``text`` is, or why it is none.

    A name is Chinese (2 to 50 ideographs and middle dots) or, for foreigners, in Latin letters (2 to 100 with spaces, hyphens,
    apostrophes, full stops), and then in capitals as documents print it (ICAO 9303-3). It is never both, for a document has one or
    the other in the field that the register compares.
    """
    if len(text) > MAX_TEXT:
        return NameSlip.TOO_LONG
    if _CONTROL.search(text):
        return NameSlip.WRONG_CHARACTER
    written = " ".join(_straighten(text).split())
    if not written:
        return NameSlip.EMPTY
    return _check_chinese(written) if _ANY_HAN.search(written) else _check_latin(written)


def _straighten(text: str) -> str:
    """Return ``text`` in NFC with look-alikes replaced: invisible characters, wide letters, apostrophes, radicals for ideographs."""
    text = text.translate(_INVISIBLE | _APOSTROPHES | _HYPHENS | _WIDE_LETTERS)
    text = _RADICALS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return unicodedata.normalize("NFC", text)


def _check_chinese(written: str) -> RealName | NameSlip:
    name = written.replace(" ", "").translate(_DOTS)
    if any(_is_latin(character) for character in name):
        return NameSlip.MIXED_SCRIPTS
    if not _CHINESE_CHARACTERS.fullmatch(name):
        return NameSlip.WRONG_CHARACTER
    return _bound(name, LONGEST) if _CHINESE.fullmatch(name) else NameSlip.MISPLACED_MARK


def _check_latin(written: str) -> RealName | NameSlip:
    if not all(_is_latin(character) or character in " '.-" for character in written):
        return NameSlip.WRONG_CHARACTER
    return _bound(_raise(written), LONGEST_LATIN) if _LATIN.fullmatch(written) else NameSlip.MISPLACED_MARK


def _raise(written: str) -> str:
    """Return Latin text in capitals. A letter whose capital is not made of Latin letters alone stays: it would be no name any more."""
    return "".join(big if all(map(_is_latin, big := letter.upper())) else letter for letter in written)


def _bound(name: str, longest: int) -> RealName | NameSlip:
    if len(name) < SHORTEST:
        return NameSlip.TOO_SHORT
    return RealName(name) if len(name) <= longest else NameSlip.TOO_LONG


def _is_latin(character: str) -> bool:
    return character.isalpha() and unicodedata.name(character, "").startswith("LATIN ")
