"""Decides where a client stands between the sandbox and its end, and what leads from one to the other (domain.md §4)."""

from enum import StrEnum
from typing import Final

from idp.kernel.transitions import Transitions


class ClientStatus(StrEnum):
    """Where a client stands; ``find_usable_statuses`` says in which of them it may act."""

    SANDBOX = "sandbox"
    REVIEWING = "reviewing"
    LIVE = "live"
    SUSPENDED = "suspended"
    RETIRED = "retired"


CLOSED: Final = frozenset({ClientStatus.SUSPENDED, ClientStatus.RETIRED})
"""Where no browser is led to a client: the reason for it may be what waits there."""


class ClientEvent(StrEnum):
    """What happens to a client as a whole."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REFUSE = "refuse"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESUME_LIVE = "resume_live"
    RETIRE = "retire"


CLIENT_TRANSITIONS: Final = Transitions(
    {
        (ClientStatus.SANDBOX, ClientEvent.SUBMIT): ClientStatus.REVIEWING,
        (ClientStatus.REVIEWING, ClientEvent.APPROVE): ClientStatus.LIVE,
        (ClientStatus.REVIEWING, ClientEvent.REFUSE): ClientStatus.SANDBOX,
        (ClientStatus.SANDBOX, ClientEvent.SUSPEND): ClientStatus.SUSPENDED,
        (ClientStatus.REVIEWING, ClientEvent.SUSPEND): ClientStatus.SUSPENDED,
        (ClientStatus.LIVE, ClientEvent.SUSPEND): ClientStatus.SUSPENDED,
        (ClientStatus.SUSPENDED, ClientEvent.RESUME): ClientStatus.SANDBOX,
        (ClientStatus.SUSPENDED, ClientEvent.RESUME_LIVE): ClientStatus.LIVE,
        (ClientStatus.SANDBOX, ClientEvent.RETIRE): ClientStatus.RETIRED,
        (ClientStatus.REVIEWING, ClientEvent.RETIRE): ClientStatus.RETIRED,
        (ClientStatus.LIVE, ClientEvent.RETIRE): ClientStatus.RETIRED,
        (ClientStatus.SUSPENDED, ClientEvent.RETIRE): ClientStatus.RETIRED,
    }
)
"""A client that was live comes back by the same two persons who would set it live; one that is retired stays so, and keeps its id."""
