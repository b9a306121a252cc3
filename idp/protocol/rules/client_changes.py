"""Decides what waits for a second person, what becomes of it, and which clients are an operator's alone (domain.md §4)."""

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
    ROTATE_SECRET = "rotate_secret"  # noqa: S105


class ChangeState(StrEnum):
    """What became of it. ``expired`` is never written by itself: whoever looks finds the time over.

    ``done``: approved, and whoever asked has taken the secret that came of it.
    """

    PENDING = "pending"
    APPROVED = "approved"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Change:
    """A change of a client that waits for a second person, or waited.

    ``wanted`` has metadata names and values, null leaves one out; of a rotation the ``overlap_seconds``.
    """

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

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Return the metadata that are wanted, none for what is no change of metadata."""
        return self.wanted if self.kind is ChangeKind.CHANGE else {}

    @property
    def overlap(self) -> timedelta:
        """Return for how long the secret of before counts too."""
        return timedelta(seconds=int(self.wanted.get("overlap_seconds", 0)) if self.kind is ChangeKind.ROTATE_SECRET else 0)


def find_state(change: Change, now: datetime) -> ChangeState:
    """Return what a change is by now."""
    return ChangeState.EXPIRED if change.state is ChangeState.PENDING and now >= change.expires_at else change.state


def gives_secret(change: Change, now: datetime) -> bool:
    """Tell whether whoever asked may take a new secret: a rotation, or another method of authentication, was approved and still holds.

    The approver never sees it: one person would have both agreed and the means to speak as the client.
    """
    asked = change.kind is ChangeKind.ROTATE_SECRET or "token_endpoint_auth_method" in change.metadata
    return asked and change.state is ChangeState.APPROVED and now < change.expires_at


def serves_people(client: Client) -> bool:
    """Tell whether a client is live, or will be again when its suspension ends."""
    return ClientStatus.LIVE in (client.status, client.resumes)


def needs_second_person(client: Client, changed: Collection[str]) -> bool:
    """Tell whether these metadata of a client change only when two persons want it."""
    return serves_people(client) and not GUARDED.isdisjoint(changed)


def administers(client: Client) -> bool:
    """Tell whether a client changes other clients; then it is itself the operator's alone, or it could appoint its own approver."""
    return not set(ADMIN_SCOPES).isdisjoint(client.scopes)
