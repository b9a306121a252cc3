"""Decides what is remembered while a person is on the way: one interaction per tab, bound to the browser that began it."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.kernel.levels import Acr, Proved


@dataclass(frozen=True)
class Interaction:
    """One flow in one tab. ``request`` belongs to its kind (the protocol's own JSON) and is opaque here.

    ``proved`` are factors shown in this flow, not yet a session; ``fresh_after`` asks for factors proved at or after that
    instant (``prompt=login``, ``max_age``). ``unreachable`` says that the person proved all that can be proved and ``wanted``
    was not reached: the continuation lowers the class or refuses, but does not ask for sign-in again.
    """

    id: str
    kind: str
    browser_hash: bytes
    csrf: str
    created_at: datetime
    request: str
    client_id: str
    department: str
    wanted: Acr
    language: str | None = None
    fresh_after: datetime | None = None
    login_hint: str | None = None
    person_id: UUID | None = None
    proved: tuple[Proved, ...] = ()
    sends: int = 0
    unreachable: bool = False


def hash_browser(cookie: str) -> bytes:
    """Return what an interaction remembers of the browser-binding cookie."""
    return hashlib.sha256(b"browser:" + cookie.encode()).digest()


def is_bound_to(interaction: Interaction, browser_cookie: str) -> bool:
    """Tell in constant time whether this browser began the interaction."""
    return hmac.compare_digest(interaction.browser_hash, hash_browser(browser_cookie))


@dataclass(frozen=True)
class SignInNeeded:
    """The flow cannot go on until the person proved more."""


@dataclass(frozen=True)
class PageNeeded:
    """The flow asks for a page of its own, for instance ``/consent``."""

    path: str


@dataclass(frozen=True)
class Leave:
    """The flow is over; the browser goes to this address (already complete, with code or error)."""

    url: str
    department: str


@dataclass(frozen=True)
class Refused:
    """The flow is over and may not be told to the department; ``code`` is the message key of the error page."""

    code: str


Step = SignInNeeded | PageNeeded | Leave | Refused
"""What a continuation answers the dispatcher (architecture decision 13)."""
