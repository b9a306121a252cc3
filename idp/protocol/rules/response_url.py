"""Decides what travels back to the client: code or error, its state untouched, and who answers (RFC 9207)."""

from collections.abc import Mapping
from urllib.parse import quote

_SAFE = "-._~"


def build_response_url(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """Return the redirect URI with the parameters that have a value added to its query (RFC 6749 §4.1.2)."""
    query = "&".join(f"{name}={quote(value, safe=_SAFE)}" for name, value in parameters.items() if value is not None)
    joint = "" if redirect_uri.endswith("?") else "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{joint}{query}"
