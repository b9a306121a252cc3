"""Decides which characters of a typed or pasted text nobody meant, and what stands in their place."""

import unicodedata
from typing import Final

UNSEEN: Final = dict.fromkeys([0x200B, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10)])
"""Joiners, byte order marks and variation selectors that come along when a text is pasted."""

WIDE_LETTERS: Final = {
    code: code - 0xFEE0 for first, last in ((0x10, 0x1A), (0x21, 0x3B), (0x41, 0x5B)) for code in range(0xFF00 + first, 0xFF00 + last)
}
"""Full-width digits and letters, as input methods for Chinese write them."""

WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Those and full-width punctuation."""


def straighten(text: str, wide: dict[int, int]) -> str:
    """Return ``text`` in NFC without unseen characters and with ``wide`` ones replaced; every run of white space is one space."""
    return " ".join(unicodedata.normalize("NFC", text.translate(UNSEEN | wide)).split())
