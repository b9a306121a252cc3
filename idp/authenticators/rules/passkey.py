"""Decides what is kept of a passkey, how many a person may have, and when a counter says that it was copied (WebAuthn Level 3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

MOST = 10
"""Passkeys that one person may have: a telephone, a computer, some security keys, and none forgotten among a hundred."""

MAX_NAME = 40
"""Characters of the name that a person gives to one."""

CHALLENGE_LIFE = timedelta(hours=1)
"""As long as a page may stay open."""

ASKED_MILLISECONDS = 300_000
"""How long the browser lets a person look for the passkey."""

MAX_RESPONSE = 20_000
"""Characters of what a browser may answer: room for keys and signatures that no quantum computer breaks."""

TRANSPORTS = frozenset({"ble", "hybrid", "internal", "nfc", "smart-card", "usb"})
"""The ways to an authenticator that are kept as hints for the browser (WebAuthn §5.8.4)."""


@dataclass(frozen=True)
class RelyingParty:
    """Who passkeys are made for: the host of the issuer, and its origin (WebAuthn §5.1.2)."""

    id: str
    origin: str


def find_relying_party(issuer: str) -> RelyingParty | None:
    """Return the relying party of an issuer; None when its host is an address and not a name, for which browsers make no passkeys."""
    parts = urlsplit(issuer)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return RelyingParty(host, f"{parts.scheme}://{parts.netloc}") if host else None
    return None


@dataclass(frozen=True)
class Passkey:
    """A registered passkey without its secret part, which we never see. ``name`` is what its owner calls it."""

    id: UUID
    person_id: UUID
    credential_id: bytes
    user_handle: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None = None
    name: str = ""


def is_copied(known: int, told: int) -> bool:
    """Tell whether the counter of a signature says that somebody else counts too (WebAuthn §6.1.1); 0 and 0 is one that does not count."""
    return (known > 0 or told > 0) and told <= known


def keep_transports(named: object) -> tuple[str, ...]:
    """Return the transports that are known among what a browser named, which may be anything."""
    return tuple(sorted({n for n in named if isinstance(n, str)} & TRANSPORTS)) if isinstance(named, list) else ()


def clean_name(text: str, otherwise: str) -> str:
    """Return the name that a person typed, on one line and bounded; ``otherwise`` when nothing is left of it."""
    name = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(name.split())[:MAX_NAME].strip() or otherwise[:MAX_NAME]
