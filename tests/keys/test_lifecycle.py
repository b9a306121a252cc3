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


def test_the_diagram_draws_every_row_and_both_ends() -> None:
    assert draw_key_states().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> pending",
        "    pending --> active: activate",
        "    active --> retiring: retire",
        "    retiring --> retired: expire",
        "    pending --> revoked: revoke",
        "    active --> revoked: revoke",
        "    retiring --> revoked: revoke",
        "    retired --> [*]",
        "    revoked --> [*]",
    ]


def _plan(*keys: Standing, prepare: bool = False) -> list[KeyChange | KeyCreation]:
    return plan_rotation(keys, "ES256", NOW, DAY, MONTH, prepare=prepare)


RETIRE_A, ACTIVATE_P = KeyChange("a", KeyEvent.RETIRE), KeyChange("p", KeyEvent.ACTIVATE)


def test_a_ripe_pending_key_takes_over() -> None:
    assert _plan(Standing("a", A, MONTH), Standing("p", P, DAY)) == [RETIRE_A, ACTIVATE_P]


def test_a_young_pending_key_waits_because_clients_may_not_know_it_yet() -> None:
    assert _plan(Standing("a", A, MONTH), Standing("p", P, DAY - timedelta(seconds=1))) == []


def test_the_oldest_pending_key_goes_first_and_only_one() -> None:
    assert _plan(Standing("p2", P, DAY), Standing("a", A, DAY), Standing("p", P, 2 * DAY)) == [RETIRE_A, ACTIVATE_P]


def test_after_a_revocation_the_pending_key_is_taken_at_once() -> None:
    assert _plan(Standing("a", R), Standing("p", P)) == [ACTIVATE_P]


def test_a_retiring_key_expires_when_no_token_of_it_lives() -> None:
    assert _plan(Standing("a", A), Standing("g", G, MONTH), Standing("g2", G, MONTH - DAY)) == [KeyChange("g", KeyEvent.EXPIRE)]


def test_two_active_keys_become_one() -> None:
    assert _plan(Standing("new", A), Standing("a", A, DAY)) == [RETIRE_A]
    assert _plan(Standing("new", A), Standing("a", A, DAY), Standing("p", P, DAY)) == [
        RETIRE_A,
        KeyChange("new", KeyEvent.RETIRE),
        ACTIVATE_P,
    ]


def test_nothing_is_made_unless_asked_for() -> None:
    assert _plan() == []
    assert _plan(Standing("a", A)) == []


def test_prepare_begins_with_an_active_and_a_pending_key() -> None:
    assert _plan(prepare=True) == [KeyCreation("ES256", A), KeyCreation("ES256", P)]
    assert _plan(Standing("t", T), Standing("r", R), prepare=True) == [KeyCreation("ES256", A), KeyCreation("ES256", P)]


def test_prepare_leaves_one_pending_key() -> None:
    assert _plan(Standing("a", A), prepare=True) == [KeyCreation("ES256", P)]
    assert _plan(Standing("a", A), Standing("p", P), prepare=True) == []
    assert _plan(Standing("a", A), Standing("p", P, DAY), prepare=True) == [RETIRE_A, ACTIVATE_P, KeyCreation("ES256", P)]
    assert _plan(Standing("a", A), Standing("p", P, DAY), Standing("p2", P), prepare=True) == [RETIRE_A, ACTIVATE_P]


def test_other_algorithms_and_ended_keys_are_left_alone() -> None:
    assert _plan(Standing("a", A), Standing("rp", P, MONTH, "RS256"), Standing("rg", G, 2 * MONTH, "RS256")) == []
    assert _plan(Standing("a", A), Standing("t", T, 9 * MONTH), Standing("r", R, 9 * MONTH)) == []


@pytest.mark.parametrize("pending_for, retiring_for", [(-DAY, DAY), (DAY, -DAY)])
def test_negative_durations(pending_for: timedelta, retiring_for: timedelta) -> None:
    with pytest.raises(ValueError, match="negative"):
        plan_rotation([], "ES256", NOW, pending_for, retiring_for)


@given(st.lists(st.tuples(st.sampled_from(KeyState), st.integers(0, 60)), max_size=8), st.booleans())
def test_any_plan_is_legal_and_leaves_at_most_one_active_key(rows: list[tuple[KeyState, int]], prepare: bool) -> None:
    keys = [Standing(f"k{number}", state, timedelta(days=age)) for number, (state, age) in enumerate(rows)]
    states = {key.kid: key.state for key in keys}
    for number, change in enumerate(_plan(*keys, prepare=prepare)):
        if isinstance(change, KeyChange):
            states[change.kid] = follow_key_state(states[change.kid], change.event)
        else:
            states[f"new{number}"] = change.state
    counted = list(states.values())
    assert counted.count(A) == (1 if prepare or A in [s for s, _ in rows] or P in [s for s, _ in rows] else 0)
    assert not prepare or counted.count(P) >= 1
