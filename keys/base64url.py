"""Decides how bytes become text and back: base64url without padding (RFC 7515 §2), one spelling per value."""

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
# "+", "/" and "=" are no letters of base64url: they become one that the strict decoder refuses.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
# Unused bits of the last letter must be zero, else one value would have several spellings.
_LAST_LETTERS = (frozenset(range(256)), frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def encode_base64url(raw: bytes) -> bytes:
    """Return the ASCII letters of ``raw`` without padding."""
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL)


def decode_base64url(text: str | bytes) -> bytes:
    """Return the bytes that ``text`` spells; ValueError unless it is exactly the spelling that encode_base64url gives."""
    letters = text.encode("ascii") if isinstance(text, str) else text
    if not letters:
        return b""
    over = len(letters) & 3
    if letters[-1] not in _LAST_LETTERS[over]:
        raise ValueError("not base64url")
    return binascii.a2b_base64(letters.translate(_FROM_URL) + _PADDING[over], strict_mode=True)
