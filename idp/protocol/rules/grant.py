"""Decides whether a grant still stands and which generation of its refresh token is good (RFC 9700 §4.14)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from idp.kernel.levels import Proved

GRACE = timedelta(seconds=10)


class Grant(NamedTuple):
    """A redeemed authorization with what the database says, at this moment, of all that it rests on.

    ``confirmation`` names the key that its latest tokens are bound to (``jkt:…`` RFC 9449 §6.1, ``x5t#S256:…`` RFC 8705 §3.1), None for
    one without a key (``confirmation.choose_lasting``); ``terms`` is the JSON of what else was asked and granted; ``idle_limit`` is in
    seconds, None without one. ``subject`` is the person's in the sector of this client, whoever else may hear of the grant. ``parent_id``
    is the grant whose token was exchanged for this one, None for most; ``parents_stand`` says whether that one and all before it would
    still let their own clients do anything.
    """

    id: UUID
    client_id: str
    person_id: UUID | None
    scope: tuple[str, ...]
    subject: str | None
    lineage: bytes | None
    audience: str | None
    proved: tuple[Proved, ...]
    acr: str | None
    created_at: datetime
    expires_at: datetime
    generation: int
    rotated_at: datetime | None
    graced: bool
    ended_at: datetime | None
    client_usable: bool
    person_status: str | None
    session_alive: bool
    confirmation: str | None = None
    terms: str | None = None
    idle_limit: int | None = None
    used_at: datetime | None = None
    parent_id: UUID | None = None
    parents_stand: bool = True

    @property
    def is_offline(self) -> bool:
        """Tell whether the grant outlives the session it came from."""
        return "offline_access" in self.scope


def is_effective(grant: Grant, now: datetime) -> bool:
    """Tell whether anything issued under the grant still counts: ban, logout, suspension and revocation hold at once."""
    if grant.ended_at is not None or now >= grant.expires_at or not grant.client_usable or not grant.parents_stand:
        return False
    if grant.person_id is None:
        return True
    if grant.idle_limit is not None and (now - (grant.used_at or grant.created_at)).total_seconds() >= grant.idle_limit:
        return False
    # Without a lineage it came from no browser session here: a kiosk's, or what a person confirmed for a counter.
    return grant.person_status == "active" and (grant.is_offline or grant.lineage is None or grant.session_alive)


@dataclass(frozen=True)
class Rotate:
    """The presented generation is the current one."""


@dataclass(frozen=True)
class Repeat:
    """The successor got lost on the way: issue it once more, unchanged."""


@dataclass(frozen=True)
class Reused:
    """An old refresh token came back: the grant ends."""


@dataclass(frozen=True)
class Ineffective:
    """The grant no longer stands."""


RefreshDecision = Rotate | Repeat | Reused | Ineffective


def decide_refresh(grant: Grant, presented: int, forgiving: bool, now: datetime) -> RefreshDecision:
    """Return what to do with a refresh token of generation ``presented``.

    The predecessor of an unused successor is forgiven once, within ten seconds, where ``forgiving``: to a client that authenticated or
    proved the same key as before.
    """
    if not is_effective(grant, now):
        return Ineffective()
    if presented == grant.generation:
        return Rotate()
    recent = grant.rotated_at is not None and now - grant.rotated_at <= GRACE
    if forgiving and recent and presented == grant.generation - 1 and not grant.graced:
        return Repeat()
    return Reused()
