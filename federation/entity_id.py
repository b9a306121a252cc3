"""Decides what an entity identifier is: an https URL (OpenID Federation 1.0 §1.2); http only on this machine, for demonstrations."""

from urllib.parse import urlsplit

MAX_ENTITY_ID = 2048
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_entity_id(text: object) -> bool:
    """Tell whether ``text`` may name an entity: absolute, with a host, without user, query and fragment, at most 2,048 characters."""
    if not isinstance(text, str) or len(text) > MAX_ENTITY_ID or not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        return False
    if not host or port == 0 or "@" in url.netloc or "?" in text or "#" in text:
        return False
    return url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
