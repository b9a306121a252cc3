"""Decides what travels back to the client: code or error, its state untouched, and who answers (RFC 9207)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

_SAFE = "-._~"
_PLAIN = re.compile(r"[A-Za-z0-9\-._~]*\Z")
"""What stays as it is (RFC 3986 §2.3): codes and most states, for which quoting would only look at every letter once more."""


def build_response_url(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """Return the redirect URI with the parameters that have a value added to its query (RFC 6749 §4.1.2)."""
    query = "&".join(f"{name}={_quote(value)}" for name, value in parameters.items() if value is not None)
    joint = "" if redirect_uri.endswith("?") else "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{joint}{query}"


def _quote(value: str) -> str:
    return value if _PLAIN.match(value) else _escape(value)


@lru_cache(maxsize=16)
def _escape(value: str) -> str:
    # Remembered for the issuer, which is in every answer.
    return quote(value, safe=_SAFE)
