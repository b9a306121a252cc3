"""Decides which account status may follow which and what each of them still allows at sign-in (domain.md §1)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, assert_never
from uuid import UUID

from idp.kernel.errors import Refusal
from idp.kernel.transitions import Transitions


class Status(StrEnum):
    """The status of an account."""

    PENDING = "pending"
    ACTIVE = "active"
    FROZEN = "frozen"
    BANNED = "banned"
    UNBAN_REQUESTED = "unban_requested"
    CLOSING = "closing"
    CLOSED = "closed"
    DECEASED = "deceased"


class StatusEvent(StrEnum):
    """What changes the status of an account."""

    ACTIVATE = "activate"
    FREEZE = "freeze"
    PROVE_IDENTITY = "prove_identity"
    BAN = "ban"
    REQUEST_UNBAN = "request_unban"
    APPROVE_UNBAN = "approve_unban"
    REFUSE_UNBAN = "refuse_unban"
    ASK_TO_CLOSE = "ask_to_close"
    CANCEL_CLOSING = "cancel_closing"
    CLOSE = "close"
    REGISTER_AGAIN = "register_again"
    REPORT_DEATH = "report_death"
    CORRECT_DEATH = "correct_death"


PERSON_TRANSITIONS = Transitions[Status, StatusEvent](
    {
        (Status.PENDING, StatusEvent.ACTIVATE): Status.ACTIVE,
        (Status.ACTIVE, StatusEvent.FREEZE): Status.FROZEN,
        (Status.ACTIVE, StatusEvent.BAN): Status.BANNED,
        (Status.ACTIVE, StatusEvent.ASK_TO_CLOSE): Status.CLOSING,
        (Status.ACTIVE, StatusEvent.REPORT_DEATH): Status.DECEASED,
        (Status.FROZEN, StatusEvent.PROVE_IDENTITY): Status.ACTIVE,
        (Status.FROZEN, StatusEvent.BAN): Status.BANNED,
        (Status.FROZEN, StatusEvent.REPORT_DEATH): Status.DECEASED,
        # A ban is left by unban only (two officers), so neither closing nor a register event may lead around it.
        (Status.BANNED, StatusEvent.REQUEST_UNBAN): Status.UNBAN_REQUESTED,
        (Status.UNBAN_REQUESTED, StatusEvent.APPROVE_UNBAN): Status.ACTIVE,
        (Status.UNBAN_REQUESTED, StatusEvent.REFUSE_UNBAN): Status.BANNED,
        (Status.CLOSING, StatusEvent.CANCEL_CLOSING): Status.ACTIVE,
        (Status.CLOSING, StatusEvent.CLOSE): Status.CLOSED,
        (Status.CLOSING, StatusEvent.BAN): Status.BANNED,
        (Status.CLOSING, StatusEvent.REPORT_DEATH): Status.DECEASED,
        (Status.CLOSED, StatusEvent.REGISTER_AGAIN): Status.PENDING,
        # A corrected death gives the account back frozen: the person proves to be alive.
        (Status.DECEASED, StatusEvent.CORRECT_DEATH): Status.FROZEN,
    }
)


STANDING_LOST = frozenset({Status.BANNED, Status.FROZEN, Status.CLOSED, Status.DECEASED})
"""Entering one of these ends every session and grant of the person at once; leaving it gives none of them back."""


class AccountPending(Refusal):
    """The registration is not finished."""

    code: ClassVar[str] = "account_pending"


class AccountFrozen(Refusal):
    """The account waits for proof of identity."""

    code: ClassVar[str] = "account_frozen"


class AccountBanned(Refusal):
    """The account was banned; shown only after every factor was right (S04)."""

    code: ClassVar[str] = "account_banned"


class AccountClosing(Refusal):
    """The account is in its cool-off: self-service and cancelling only."""

    code: ClassVar[str] = "account_closing"


class AccountClosed(Refusal):
    """The account was closed."""

    code: ClassVar[str] = "account_closed"


class AccountDeceased(Refusal):
    """The register reports a death (S21)."""

    code: ClassVar[str] = "account_deceased"


@dataclass(frozen=True)
class Standing:
    """What decisions need to know of a person: no name, no number.

    ``phone_matched_at``: the operator's last match; ``recovered_at``: the last recovery by phone.
    """

    person_id: UUID
    status: Status
    ial: int
    phone_matched_at: datetime | None
    recovered_at: datetime | None = None


def check_standing(status: Status, *, self_service: bool = False) -> Refusal | None:
    """Return why an account of this status may not sign in, None when it may.

    ``self_service`` is the person's own portal, which a closing account still reaches to cancel.
    """
    match status:
        case Status.ACTIVE:
            return None
        case Status.CLOSING:
            return None if self_service else AccountClosing()
        case Status.PENDING:
            return AccountPending()
        case Status.FROZEN:
            return AccountFrozen()
        case Status.BANNED | Status.UNBAN_REQUESTED:
            return AccountBanned()
        case Status.CLOSED:
            return AccountClosed()
        case Status.DECEASED:
            return AccountDeceased()
    assert_never(status)
