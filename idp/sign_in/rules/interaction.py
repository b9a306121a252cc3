"""Decides what is remembered while a person is on the way: one interaction per tab, bound to the browser that began it."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict
from urllib.parse import urlencode
from uuid import UUID

from idp.kernel.levels import ACR_ORDER, Acr, Proved

PORTAL = "portal"
"""The kind of interaction that leads to the person's own page; a closing account still reaches it."""


class WayBack(TypedDict):
    """The facts that an error page needs to offer the way to the department; "" is unknown."""

    department: str
    department_en: str
    home_url: str


@dataclass(frozen=True)
class Interaction:
    """One flow in one tab. ``request`` belongs to its kind (the protocol's own JSON) and is opaque here.

    ``proved`` are factors shown in this flow, not yet a session; ``fresh_after`` asks for factors proved at or after that
    instant (``prompt=login``, ``max_age``). ``unreachable_by`` names who proved all that can be proved without reaching ``wanted``:
    for that person the continuation lowers the class or refuses, but does not ask for sign-in again. ``declined``: the person does
    not want to, or cannot, prove more of the identity now. ``claimed`` is the identifier, as typed, that a code was asked for before
    anything was proved; "" when the flow does not wait for such a code. ``password_of`` names the password among ``proved``: when it was
    set, as read before it was compared; ``passkey_of`` the passkey, by its id.

    ``aal``: so many different factors at least, whatever the class. ``resistant``: one of them phishing-resistant, so no other way in is
    offered; ``essential``: without it the department gets an error, not a lower class; ``without_passkey``: the person said that there is
    none. ``isolated``: only what is proved in flows of this client counts; ``confirms``: the client wants to be told apart from those at
    which the person is signed in already; ``confirmed``: the person did so in this flow. ``answered_by``: whose answers ``declined``,
    ``without_passkey`` and ``confirmed`` are, None while nobody was known; they count for nobody else (``is_answered_by``).

    ``department`` and ``department_en`` are its name, ``home_url`` is where somebody who lost the way begins again there ("" unknown).
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
    unreachable_by: UUID | None = None
    department_en: str = ""
    home_url: str = ""
    declined: bool = False
    claimed: str = ""
    password_of: datetime | None = None
    passkey_of: UUID | None = None
    aal: int = 1
    resistant: bool = False
    essential: bool = False
    without_passkey: bool = False
    isolated: bool = False
    confirms: bool = False
    confirmed: bool = False
    answered_by: UUID | None = None

    def name_department(self, language: str) -> str:
        """Return the department's name in the language of a page."""
        return self.department if language == "zh-CN" else self.department_en or self.department

    def name_page(self, path: str, **more: str) -> str:
        """Return the address of a page in this flow; ``more`` is what that page is told beside it."""
        return f"{path}?{urlencode({'i': self.id, **more})}"

    @property
    def way_on(self) -> str:
        """Return the address at which the flow goes on after every step."""
        return self.name_page("/continue")

    @property
    def way_back(self) -> WayBack:
        """Return the facts that a refusal needs to offer the way to the department."""
        return {"department": self.department, "department_en": self.department_en, "home_url": self.home_url}


def hash_browser(cookie: str) -> bytes:
    """Return what an interaction remembers of the browser-binding cookie."""
    return hashlib.sha256(b"browser:" + cookie.encode()).digest()


@dataclass(frozen=True)
class Ending:
    """What is remembered of a flow that is over. ``done``: the person was signed in by it; ``way_back`` as of the flow."""

    browser_hash: bytes
    done: bool
    way_back: WayBack


def is_bound_to(flow: Interaction | Ending, browser_cookie: str) -> bool:
    """Tell in constant time whether this browser began the flow."""
    return hmac.compare_digest(flow.browser_hash, hash_browser(browser_cookie))


def is_answered_by(interaction: Interaction, person_id: UUID | None) -> bool:
    """Tell whether what was answered in this flow counts for whoever is signed in now: another tab may have changed that.

    What was answered before anybody was known counts for whoever then signed in here; while nobody is signed in it is nobody else's.
    """
    by = interaction.answered_by or interaction.person_id
    return by is None or person_id is None or by == person_id


def answer_as(interaction: Interaction, person_id: UUID | None) -> Interaction:
    """Return the flow for an answer of this person (None: not known yet): what somebody else answered before is forgotten."""
    if is_answered_by(interaction, person_id):
        return replace(interaction, answered_by=person_id or interaction.answered_by)
    return replace(interaction, answered_by=person_id, declined=False, without_passkey=False, confirmed=False)


@dataclass(frozen=True)
class SignInNeeded:
    """The flow cannot go on until the person proved more: to reach ``wanted`` (None: as the flow was begun), ``resistant``,
    ``essential`` and ``fresh_after`` as those fields of the interaction say.
    """

    wanted: Acr | None = None
    resistant: bool = False
    essential: bool = False
    fresh_after: datetime | None = None


@dataclass(frozen=True)
class PageNeeded:
    """The flow asks for a page of its own, for instance ``/consent``."""

    path: str


@dataclass(frozen=True)
class Leave:
    """The flow is over; the browser goes to this address (already complete, with code or error), or posts these ``fields`` to it."""

    url: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Refused:
    """The flow is over and the person is told; ``code`` is the message key of the error page.

    ``back_url`` is the address that tells the department, "" when it may not be told.
    """

    code: str
    back_url: str = ""


Step = SignInNeeded | PageNeeded | Leave | Refused
"""What a continuation answers the dispatcher (architecture decision 13)."""


def asks_more(interaction: Interaction, needed: SignInNeeded) -> bool:
    """Tell whether a flow has to ask for something else than it was begun for: another person is here by now, or said something."""
    if needed.wanted is None:
        return False
    higher = ACR_ORDER.index(needed.wanted) > ACR_ORDER.index(interaction.wanted)
    asked = (interaction.resistant, interaction.essential, interaction.fresh_after)
    return higher or (needed.resistant, needed.essential, needed.fresh_after) != asked


def ask_more(interaction: Interaction, needed: SignInNeeded) -> Interaction:
    """Return the flow that asks for it."""
    wanted = max(needed.wanted or interaction.wanted, interaction.wanted, key=ACR_ORDER.index)
    return replace(
        interaction,
        wanted=wanted,
        resistant=needed.resistant,
        essential=needed.essential,
        fresh_after=needed.fresh_after,
        unreachable_by=None,
    )
