"""The table of account statuses: every pair of status and event, and what each status allows at sign-in."""

import itertools

import pytest

from idp.kernel.transitions import IllegalTransition
from idp.people.rules.person import PERSON_TRANSITIONS, Status, StatusEvent, check_standing


@pytest.mark.parametrize("status, event", list(itertools.product(Status, StatusEvent)))
def test_only_rows_of_the_table_can_happen(status: Status, event: StatusEvent) -> None:
    if (status, event) in PERSON_TRANSITIONS.rows:
        assert PERSON_TRANSITIONS.follow(status, event) in Status
    else:
        with pytest.raises(IllegalTransition):
            PERSON_TRANSITIONS.follow(status, event)


def test_a_ban_is_left_by_a_second_officer_only() -> None:
    ways = {event: state for (start, event), state in PERSON_TRANSITIONS.rows.items() if start is Status.BANNED}
    assert ways == {StatusEvent.REQUEST_UNBAN: Status.UNBAN_REQUESTED}
    ways = {event: state for (start, event), state in PERSON_TRANSITIONS.rows.items() if start is Status.UNBAN_REQUESTED}
    assert ways == {StatusEvent.APPROVE_UNBAN: Status.ACTIVE, StatusEvent.REFUSE_UNBAN: Status.BANNED}


def test_every_status_can_be_reached() -> None:
    assert set(PERSON_TRANSITIONS.rows.values()) == set(Status)


@pytest.mark.parametrize(
    "status, code",
    [
        (Status.PENDING, "account_pending"),
        (Status.ACTIVE, None),
        (Status.FROZEN, "account_frozen"),
        (Status.BANNED, "account_banned"),
        (Status.UNBAN_REQUESTED, "account_banned"),
        (Status.CLOSING, "account_closing"),
        (Status.CLOSED, "account_closed"),
        (Status.DECEASED, "account_deceased"),
    ],
)
def test_what_a_status_says_at_sign_in(status: Status, code: str | None) -> None:
    refusal = check_standing(status)
    assert (refusal.code if refusal else None) == code


def test_a_closing_account_reaches_its_own_portal_only() -> None:
    assert check_standing(Status.CLOSING, self_service=True) is None
    assert [s for s in Status if check_standing(s, self_service=True) is None] == [Status.ACTIVE, Status.CLOSING]
