"""Decides what needs a second person, what may become of a change that waits for one, and who that may be (domain.md §4)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from idp.protocol.rules.admin_scopes import ADMIN_SCOPES
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_status import ClientStatus
from idp.protocol.rules.registration_metadata import GUARDED

CHANGE_LIFE: Final = timedelta(days=30)
"""How long a change waits; then it is asked for again."""

OPERATOR: Final = "operator:"
"""What the names of those at the command line begin with; clients begin otherwise, so none can be taken for the other."""


class ChangeKind(StrEnum):
    """What is asked for."""

    CHANGE = "change"
    GO_LIVE = "go_live"
    RESUME = "resume"


class ChangeState(StrEnum):
    """What became of it. ``expired`` is never written by itself: whoever looks finds the time over."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Change:
    """A change of a client that waits for a second person, or waited. ``wanted`` has metadata names and values; null leaves one out."""

    id: str
    client_id: str
    kind: ChangeKind
    state: ChangeState
    wanted: Mapping[str, Any]
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None


def find_state(change: Change, now: datetime) -> ChangeState:
    """Return what a change is by now."""
    return ChangeState.EXPIRED if change.state is ChangeState.PENDING and now >= change.expires_at else change.state


def serves_people(client: Client) -> bool:
    """Tell whether a client is live, or will be again when its suspension ends."""
    return ClientStatus.LIVE in (client.status, client.resumes)


def needs_second_person(client: Client, changed: Collection[str]) -> bool:
    """Tell whether these metadata of a client change only when two persons want it."""
    return serves_people(client) and not GUARDED.isdisjoint(changed)


def administers(client: Client) -> bool:
    """Tell whether a client changes other clients; then it is itself the operator's alone, or it could appoint its own approver."""
    return not set(ADMIN_SCOPES).isdisjoint(client.scopes)
