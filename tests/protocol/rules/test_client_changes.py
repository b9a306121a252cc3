"""Who changes what on which client alone, and where a client goes from where it stands."""

from datetime import timedelta

import pytest

from idp.kernel.transitions import IllegalTransition
from idp.protocol.rules.client_changes import (
    CHANGE_LIFE,
    Change,
    ChangeKind,
    ChangeState,
    administers,
    find_state,
    needs_second_person,
    serves_people,
)
from idp.protocol.rules.client_status import CLIENT_TRANSITIONS, ClientEvent, ClientStatus
from tests.support.protocol_samples import NOW, make_client


@pytest.mark.parametrize(
    ("status", "resumes", "serves"), [("sandbox", "", False), ("live", "", True), ("suspended", "live", True), ("suspended", "", False)]
)
def test_only_what_serves_people_needs_a_second_person(status: str, resumes: str, serves: bool) -> None:
    client = make_client(status=status, resumes=resumes)
    assert serves_people(client) is serves
    assert needs_second_person(client, ["redirect_uris", "client_name"]) is serves
    assert not needs_second_person(client, ["contacts"])


def test_a_change_waits_for_thirty_days() -> None:
    change = Change("c", "land", ChangeKind.CHANGE, ChangeState.PENDING, {}, "client:a", NOW, NOW + CHANGE_LIFE)
    assert find_state(change, NOW + CHANGE_LIFE - timedelta(seconds=1)) is ChangeState.PENDING
    assert find_state(change, NOW + CHANGE_LIFE) is ChangeState.EXPIRED


def test_whoever_administers_is_known_by_a_scope() -> None:
    assert administers(make_client(scopes=("clients:read",)))
    assert not administers(make_client())


def test_nothing_leads_back_from_retirement_and_nothing_live_comes_without_approval() -> None:
    for event in ClientEvent:
        with pytest.raises(IllegalTransition):
            CLIENT_TRANSITIONS.follow(ClientStatus.RETIRED, event)
    leading = {event for (_, event), after in CLIENT_TRANSITIONS.rows.items() if after is ClientStatus.LIVE}
    assert leading == {ClientEvent.APPROVE, ClientEvent.RESUME_LIVE}
