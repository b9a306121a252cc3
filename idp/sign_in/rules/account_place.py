"""Decides how much of a network address its owner's page shows: the network, never the line."""

from ipaddress import IPv6Address, ip_address


def mask_address(address: str) -> str:
    """Return an IPv4 address without its last part, the first three groups of an IPv6 address; "" for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv6Address):
        return ":".join(f"{int(group, 16):x}" for group in parsed.exploded.split(":")[:3]) + ":*"
    return ".".join(str(parsed).split(".")[:3]) + ".*"
