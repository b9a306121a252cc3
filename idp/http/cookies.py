"""Decides how cookies are named and flagged: ``__Host-`` and Secure on https, a name of its own for every loopback process."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from idp.kernel.browser_state import make_browser_state

_VALUE = re.compile(r"[A-Za-z0-9_\-.~]*\Z")
_SUFFIX = re.compile(r"[A-Za-z0-9_\-]{0,32}\Z")
MAX_COOKIES = 100


class CookieNames:
    """The names of our cookies and how each is written. All are HttpOnly, SameSite=Lax, Path=/ and without Domain.

    One is not: with ``shows_state`` a cookie that scripts may read follows the session's, and says only that it is another one.
    """

    def __init__(self, issuer: str, suffix: str = "", *, shows_state: bool = False) -> None:
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
        self.state = f"{before}state{after}"
        self._shows_state = shows_state
        # In a department's page our frame is a third party: the cookie must come along there too, which browsers only let Secure ones do.
        self._state_flags = "; Path=/; SameSite=None; Secure" if secure else "; Path=/; SameSite=Lax"
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

    def find_state(self, written: bytes) -> bytes | None:
        """Return the Set-Cookie value that goes with ``written``, another one: the browser's state with the session's cookie."""
        if not self._shows_state or not written.startswith(self.session.encode() + b"="):
            return None
        value = written.partition(b"=")[2].partition(b";")[0]
        if not value:
            return f"{self.state}=; Max-Age=0{self._state_flags}".encode("ascii")
        return f"{self.state}={make_browser_state(hashlib.sha256(value).digest())}{self._state_flags}".encode("ascii")

    def renew_state(self, cookies: Mapping[str, str]) -> bytes | None:
        """Return the Set-Cookie value that a browser with a session and without its state lacks, None when nothing does."""
        session = cookies.get(self.session) if self._shows_state else None
        if not session or cookies.get(self.state) == make_browser_state(hashlib.sha256(session.encode()).digest()):
            return None
        return self.find_state(f"{self.session}={session}".encode("ascii", "replace"))


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
