"""Decides which characters of a typed or pasted text nobody meant, and what stands in their place."""

import unicodedata
from typing import Final

_FILLERS: Final = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0)
_SELECTORS: Final = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
UNSEEN: Final = dict.fromkeys([0x200B, 0x2060, 0xFEFF, *_FILLERS, *_SELECTORS])
"""Spaces without width, fillers and variation selectors: nobody sees them, though some count as letters or marks."""

WIDE_LETTERS: Final = {
    code: code - 0xFEE0 for first, last in ((0x10, 0x1A), (0x21, 0x3B), (0x41, 0x5B)) for code in range(0xFF00 + first, 0xFF00 + last)
}
"""Full-width digits and letters, as input methods for Chinese write them."""

WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Those and full-width punctuation."""


def straighten(text: str, wide: dict[int, int]) -> str:
    """Return ``text`` in NFC without unseen characters and with ``wide`` ones replaced; every run of white space is one space."""
    return " ".join(unicodedata.normalize("NFC", text.translate(UNSEEN | wide)).split())
