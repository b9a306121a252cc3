"""Decides which addresses that a stranger names may be asked from here: https, and nothing that is not on the public network (CWE-918)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

MAX_ADDRESS = 2_000
"""Characters of an address."""

# The special-purpose registries of IANA (RFC 6890): nothing in them is somebody's public server.
NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers (RFC 6598)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata services of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
        # Of IPv6 only 2000::/3 is given out; these parts of it carry another address inside or are nobody's.
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
GIVEN_OUT = IPv6Network("2000::/3")
"""The rest of IPv6 is refused as a whole: loopback, link-local, ULA, multicast, IPv4-mapped, NAT64 (RFC 6052, RFC 8215)."""

# A name does not end in a number: resolvers read 127.1, 0x7f000001 and 2130706433 as addresses.
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]*[a-z0-9_])?")


@dataclass(frozen=True)
class OutsideRules:
    """``allowed`` networks may be asked although they are not public; ``loopback`` admits this machine, by plain http too."""

    allowed: tuple[Network, ...] = ()
    loopback: bool = False

    def admits(self, address: IpAddress) -> bool:
        """Tell whether a connection to ``address`` may be opened."""
        if any(address in network for network in self.allowed):
            return True
        if address.is_loopback:
            return self.loopback
        if isinstance(address, IPv6Address) and address not in GIVEN_OUT:
            return False
        return not any(address in network for network in NOT_PUBLIC)


@dataclass(frozen=True)
class OutsideAddress:
    """A parsed address: ``host`` is what the certificate must name, ``authority`` the Host header, ``target`` path and query."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks, written as CIDR; ValueError for one that is not a network's own address."""
    return tuple(ip_network(text) for text in texts)


def read_address(address: str, rules: OutsideRules) -> OutsideAddress:
    """Return the parts of an address; ValueError says in one word what is wrong: address, scheme or port.

    Plain http is for loopback hosts where the rules admit them. Ports below 1024, but for 443 (80), belong to services of another kind.
    """
    if len(address) > MAX_ADDRESS or not address.isascii() or not address.isprintable() or set(address) & set(' \\"<>^`{|}#'):
        raise ValueError("address")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("address") from None
    number = _read_number(host)
    if "@" in parts.netloc or parts.netloc.endswith(":") or (number is None and not _NAME.fullmatch(host)):
        raise ValueError("address")
    local = host == "localhost" or (number is not None and number.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and local and rules.loopback):
        raise ValueError("scheme")
    usual = 443 if parts.scheme == "https" else 80
    if port is not None and port != usual and port < 1024:
        raise ValueError("port")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return OutsideAddress(parts.scheme == "https", host, port or usual, parts.netloc, target)


def read_number(text: str) -> IpAddress:
    """Return the address that a resolver gave, its zone left out; ValueError for anything else."""
    return ip_address(text.partition("%")[0])


def _read_number(host: str) -> IpAddress | None:
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None
