"""Decides what a browser's device cookie is and what is remembered of it."""

import hashlib
import re

COOKIE_BYTES = 32
LIFE_SECONDS = 180 * 86_400
"""How long the browser keeps the cookie after a sign-in."""

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_device_cookie(text: str | None) -> bool:
    """Tell whether ``text`` has the form of a device cookie (256 bits, base64url)."""
    return text is not None and _COOKIE.fullmatch(text) is not None


def hash_device(cookie: str | None) -> bytes | None:
    """Return what is stored of a device cookie, None for none or a malformed one."""
    if cookie is None or not is_device_cookie(cookie):
        return None
    return hashlib.sha256(b"device:" + cookie.encode()).digest()
