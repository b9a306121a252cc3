"""Who changes what on which client alone, and where a client goes from where it stands."""

from dataclasses import replace
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
    gives_secret,
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


ROTATION = Change(
    "c", "land", ChangeKind.ROTATE_SECRET, ChangeState.APPROVED, {"overlap_seconds": 60}, "client:a", NOW, NOW + CHANGE_LIFE, "client:b"
)
OPENED = replace(ROTATION, kind=ChangeKind.CHANGE, wanted={"token_endpoint_auth_method": None})


@pytest.mark.parametrize("change", [ROTATION, OPENED])
def test_an_approved_secret_is_taken_once_and_in_time(change: Change) -> None:
    assert gives_secret(change, NOW)
    assert not gives_secret(change, NOW + CHANGE_LIFE)
    for state in set(ChangeState) - {ChangeState.APPROVED}:
        assert not gives_secret(replace(change, state=state), NOW)


def test_nothing_else_gives_a_secret() -> None:
    assert not gives_secret(replace(OPENED, wanted={"redirect_uris": []}), NOW)
    for kind in (ChangeKind.GO_LIVE, ChangeKind.RESUME):
        assert not gives_secret(replace(OPENED, kind=kind), NOW)


def test_a_rotation_changes_no_metadata_and_only_a_rotation_overlaps() -> None:
    assert (ROTATION.metadata, ROTATION.overlap) == ({}, timedelta(seconds=60))
    assert (OPENED.metadata, OPENED.overlap) == (OPENED.wanted, timedelta(0))


def test_whoever_administers_is_known_by_a_scope() -> None:
    assert administers(make_client(scopes=("clients:read",)))
    assert not administers(make_client())


def test_nothing_leads_back_from_retirement_and_nothing_live_comes_without_approval() -> None:
    for event in ClientEvent:
        with pytest.raises(IllegalTransition):
            CLIENT_TRANSITIONS.follow(ClientStatus.RETIRED, event)
    leading = {event for (_, event), after in CLIENT_TRANSITIONS.rows.items() if after is ClientStatus.LIVE}
    assert leading == {ClientEvent.APPROVE, ClientEvent.RESUME_LIVE}
