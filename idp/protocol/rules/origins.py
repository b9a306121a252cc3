"""Decides what the origin of an address is, as a browser writes it."""

from typing import Final
from urllib.parse import urlsplit

USUAL_PORTS: Final = {"https": 443, "http": 80}


def find_origin(uri: str) -> str:
    """Return the origin of a registered address: lower case, without the usual port (RFC 6454 §6.2)."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    port = "" if parts.port in (None, USUAL_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
