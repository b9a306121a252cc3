"""The life of a signing key: the whole state table, and what a rotation plan does about it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import (
    KEY_TRANSITIONS,
    IllegalKeyTransition,
    KeyChange,
    KeyCreation,
    KeyEvent,
    KeyState,
    draw_key_states,
    follow_key_state,
    plan_rotation,
)
from keys.lifecycle import PUBLISHED

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DAY, MONTH = timedelta(days=1), timedelta(days=30)
P, A, G, T, R = KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING, KeyState.RETIRED, KeyState.REVOKED

LEGAL = {
    (P, KeyEvent.ACTIVATE): A,
    (A, KeyEvent.RETIRE): G,
    (G, KeyEvent.EXPIRE): T,
    (P, KeyEvent.REVOKE): R,
    (A, KeyEvent.REVOKE): R,
    (G, KeyEvent.REVOKE): R,
    (T, KeyEvent.REVOKE): R,
}


@dataclass(frozen=True)
class Standing:
    kid: str
    state: KeyState
    age: timedelta = timedelta(0)
    algorithm: str = "ES256"

    @property
    def state_since(self) -> datetime:
        return NOW - self.age


@pytest.mark.parametrize("state, event", list(product(KeyState, KeyEvent)))
def test_every_state_and_event(state: KeyState, event: KeyEvent) -> None:
    if (state, event) in LEGAL:
        assert follow_key_state(state, event) is LEGAL[state, event]
    else:
        with pytest.raises(IllegalKeyTransition, match=state.value):
            follow_key_state(state, event)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        KEY_TRANSITIONS[T, KeyEvent.ACTIVATE] = A  # type: ignore[index]


def test_states_are_spelled_as_in_the_database() -> None:
    assert [state.value for state in KeyState] == ["pending", "active", "retiring", "retired", "revoked"]
    assert {P, A, G} == PUBLISHED


def test_the_diagram_draws_every_row_and_the_end() -> None:
    assert draw_key_states().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> pending",
        "    pending --> active: activate",
        "    active --> retiring: retire",
        "    retiring --> retired: expire",
        "    pending --> revoked: revoke",
        "    active --> revoked: revoke",
        "    retiring --> revoked: revoke",
        "    retired --> revoked: revoke",
        "    revoked --> [*]",
    ]


QUARTER = timedelta(days=90)


def _plan(*keys: Standing, rotate_after: timedelta | None = None) -> list[KeyChange | KeyCreation]:
    return plan_rotation(keys, "ES256", NOW, DAY, MONTH, rotate_after)


RETIRE_A, ACTIVATE_P = KeyChange("a", KeyEvent.RETIRE), KeyChange("p", KeyEvent.ACTIVATE)
STAND_BY = KeyCreation("ES256", P)


def test_one_key_stands_by_and_one_is_enough() -> None:
    assert _plan(Standing("a", A)) == [STAND_BY]
    assert _plan(Standing("a", A, 9 * QUARTER), Standing("p", P, 9 * QUARTER)) == []


def test_a_ripe_key_takes_over_when_somebody_asks_by_publishing_another() -> None:
    assert _plan(Standing("a", A, MONTH), Standing("p", P, DAY), Standing("p2", P)) == [RETIRE_A, ACTIVATE_P]


def test_a_young_key_waits_because_clients_may_not_know_it_yet() -> None:
    young = Standing("p", P, DAY - timedelta(seconds=1))
    assert _plan(Standing("a", A, MONTH), young, Standing("p2", P)) == []
    assert _plan(Standing("a", A, QUARTER), young, rotate_after=QUARTER) == []


def test_the_oldest_pending_key_goes_first_and_only_one() -> None:
    assert _plan(Standing("p2", P, DAY), Standing("a", A, DAY), Standing("p", P, 2 * DAY)) == [RETIRE_A, ACTIVATE_P]


def test_an_old_active_key_is_replaced_by_itself() -> None:
    ready = Standing("p", P, DAY)
    assert _plan(Standing("a", A, QUARTER), ready, rotate_after=QUARTER) == [RETIRE_A, ACTIVATE_P, STAND_BY]
    assert _plan(Standing("a", A, QUARTER - timedelta(seconds=1)), ready, rotate_after=QUARTER) == []
    assert _plan(Standing("a", A, QUARTER), rotate_after=QUARTER) == [STAND_BY]
    assert _plan(Standing("a", A, 9 * QUARTER), ready) == []


def test_the_newest_of_two_active_keys_says_when_the_next_is_due() -> None:
    assert _plan(Standing("new", A, DAY), Standing("a", A, QUARTER), Standing("p", P, DAY), rotate_after=QUARTER) == [RETIRE_A]


def test_after_a_revocation_the_key_that_stands_by_is_taken_at_once_and_replaced() -> None:
    assert _plan(Standing("a", R), Standing("p", P)) == [ACTIVATE_P, STAND_BY]
    assert _plan(Standing("a", R), Standing("p", P, DAY), Standing("p2", P)) == [ACTIVATE_P]


def test_a_retiring_key_expires_when_no_token_of_it_lives() -> None:
    keys = (Standing("a", A), Standing("p", P), Standing("g", G, MONTH), Standing("g2", G, MONTH - DAY))
    assert _plan(*keys) == [KeyChange("g", KeyEvent.EXPIRE)]


def test_two_active_keys_become_one() -> None:
    assert _plan(Standing("new", A), Standing("a", A, DAY), Standing("p", P)) == [RETIRE_A]
    assert _plan(Standing("new", A), Standing("a", A, DAY), Standing("p", P, DAY), Standing("p2", P)) == [
        RETIRE_A,
        KeyChange("new", KeyEvent.RETIRE),
        ACTIVATE_P,
    ]


def test_what_nothing_could_sign_with_gets_a_key_and_one_to_stand_by() -> None:
    assert _plan() == [KeyCreation("ES256", A), STAND_BY]
    assert _plan(Standing("t", T), Standing("r", R), Standing("g", G)) == [KeyCreation("ES256", A), STAND_BY]


def test_other_algorithms_and_ended_keys_are_left_alone() -> None:
    ours = (Standing("a", A), Standing("p", P))
    assert _plan(*ours, Standing("rp", P, MONTH, "RS256"), Standing("rg", G, 2 * MONTH, "RS256")) == []
    assert _plan(*ours, Standing("t", T, 9 * MONTH), Standing("r", R, 9 * MONTH)) == []


@pytest.mark.parametrize("pending_for, retiring_for, rotate_after", [(-DAY, DAY, DAY), (DAY, -DAY, None), (DAY, DAY, -DAY)])
def test_negative_durations(pending_for: timedelta, retiring_for: timedelta, rotate_after: timedelta | None) -> None:
    with pytest.raises(ValueError, match="negative"):
        plan_rotation([], "ES256", NOW, pending_for, retiring_for, rotate_after)


@given(st.lists(st.tuples(st.sampled_from(KeyState), st.integers(0, 60)), max_size=8), st.none() | st.integers(0, 60))
def test_any_plan_is_legal_and_leaves_one_that_signs_and_one_that_stands_by(
    rows: list[tuple[KeyState, int]], rotate_after: int | None
) -> None:
    keys = [Standing(f"k{number}", state, timedelta(days=age)) for number, (state, age) in enumerate(rows)]
    states = {key.kid: key.state for key in keys}
    plan = _plan(*keys, rotate_after=None if rotate_after is None else timedelta(days=rotate_after))
    for number, change in enumerate(plan):
        if isinstance(change, KeyChange):
            states[change.kid] = follow_key_state(states[change.kid], change.event)
        else:
            states[f"new{number}"] = change.state
    assert list(states.values()).count(A) == 1
    assert list(states.values()).count(P) >= 1
