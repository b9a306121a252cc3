"""Decides how cookies are named and flagged: ``__Host-`` and Secure on https, a name of its own for every loopback process."""

import re
from collections.abc import Iterable

_VALUE = re.compile(r"[A-Za-z0-9_\-.~]*\Z")
_SUFFIX = re.compile(r"[A-Za-z0-9_\-]{0,32}\Z")
MAX_COOKIES = 100


class CookieNames:
    """The names of our cookies and how each is written. All are HttpOnly, SameSite=Lax, Path=/ and without Domain."""

    def __init__(self, issuer: str, suffix: str = "") -> None:
        if not _SUFFIX.match(suffix):
            raise ValueError("a cookie suffix has letters, digits, - and _ only")
        secure = issuer.startswith("https://")
        before = "__Host-idp_" if secure else "idp_"
        after = f"_{suffix}" if suffix else ""
        self.session = f"{before}session{after}"
        self.browser = f"{before}browser{after}"
        self.device = f"{before}device{after}"
        self.draft = f"{before}draft{after}"
        self.language = f"{before}language{after}"
        self.elder = f"{before}elder{after}"
        self._flags = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    def set(self, name: str, value: str, max_age: int | None = None) -> bytes:
        """Return a Set-Cookie value; without ``max_age`` (seconds) the cookie lives as long as the browser."""
        if not _VALUE.match(value) or len(value) > 3_500:
            raise ValueError("a cookie value is short unreserved ASCII")
        life = "" if max_age is None else f"; Max-Age={max_age}"
        return f"{name}={value}{life}{self._flags}".encode("ascii")

    def clear(self, name: str) -> bytes:
        """Return the Set-Cookie value that removes a cookie."""
        return self.set(name, "", 0)


def read_cookies(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return name → value of every Cookie header (RFC 6265 §5.4); of a repeated name the first counts."""
    cookies: dict[str, str] = {}
    for name, value in headers:
        if name != b"cookie":
            continue
        for pair in value.decode("latin-1").split(";", MAX_COOKIES)[:MAX_COOKIES]:
            key, separator, text = pair.partition("=")
            if separator:
                # Only RFC 6265's white space: another blank before __Host- is part of a name that anybody may set for us.
                cookies.setdefault(key.strip(" \t"), text.strip(" \t").strip('"'))
    return cookies
