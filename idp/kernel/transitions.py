"""Decides which state may follow which: a table of (state, event) → state, from which the diagrams are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)


class IllegalTransition(Exception):
    """The table has no row for this event in this state."""


@dataclass(frozen=True)
class Transitions(Generic[State, Event]):
    """A state machine as data. ``rows`` maps (state, event) to the next state."""

    rows: Mapping[tuple[State, Event], State]

    def follow(self, state: State, event: Event) -> State:
        """Return the state after ``event``; raise IllegalTransition when the table has no such row."""
        try:
            return self.rows[state, event]
        except KeyError:
            raise IllegalTransition(f"{event.value!r} cannot happen while {state.value!r}") from None

    def draw(self) -> str:
        """Return the table as a Mermaid state diagram."""
        lines = [f"    {a.value} --> {b.value}: {e.value}" for (a, e), b in self.rows.items()]
        return "\n".join(["stateDiagram-v2", *lines])
