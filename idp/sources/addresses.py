"""Decides which addresses of an authority may be used: https, plain http on this machine only, and nothing hidden inside."""

import ipaddress
from urllib.parse import urlsplit


def find_fault(address: str, *, loopback_only: bool) -> str:
    """Return what is wrong with an endpoint or page, as the end of a sentence; empty when nothing is.

    ``loopback_only``: demo and sandbox hold synthetic people, who must never be sent to a real authority.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not an address"
    if not host or not address.isascii() or not address.isprintable() or set(address) & set(' \\"<>^`{|}'):
        return "is not an address; write https://HOST/PATH"
    if "@" in parts.netloc or parts.netloc.endswith(":"):
        return "must hold a host and a port only, no user and no password"
    if parts.query or parts.fragment or "?" in address or "#" in address or address.endswith("/"):
        return "must have no query, no fragment and no slash at its end"
    loopback = is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        return "must begin with https:// (http:// only on 127.0.0.1 or localhost)"
    if loopback_only and not loopback:
        return "must be a loopback address outside production: synthetic people are never sent to a real authority"
    return ""


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is a loopback address, written as a number or as localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
