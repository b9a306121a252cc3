"""Decides the life of a signing key: known before it signs, still known after; when rotation is due. Pure: keys and the instant come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from keys.errors import IllegalKeyTransition


class KeyState(StrEnum):
    """Pending: published, does not sign yet. Retiring: signs no more, still verifies. Retired and revoked: neither, private part gone.

    What a retired key signed still counts as a hint for a while; what a revoked one signed counts for nothing."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


class KeyEvent(StrEnum):
    """What happens to a signing key."""

    ACTIVATE = "activate"
    RETIRE = "retire"
    EXPIRE = "expire"
    REVOKE = "revoke"


KEY_TRANSITIONS: Mapping[tuple[KeyState, KeyEvent], KeyState] = MappingProxyType(
    {
        (KeyState.PENDING, KeyEvent.ACTIVATE): KeyState.ACTIVE,
        (KeyState.ACTIVE, KeyEvent.RETIRE): KeyState.RETIRING,
        (KeyState.RETIRING, KeyEvent.EXPIRE): KeyState.RETIRED,
        (KeyState.PENDING, KeyEvent.REVOKE): KeyState.REVOKED,
        (KeyState.ACTIVE, KeyEvent.REVOKE): KeyState.REVOKED,
        (KeyState.RETIRING, KeyEvent.REVOKE): KeyState.REVOKED,
        (KeyState.RETIRED, KeyEvent.REVOKE): KeyState.REVOKED,
    }
)
"""(state, event) → state; a pair that is not here cannot happen."""

PUBLISHED = frozenset({KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING})
"""The states whose keys are in the JWKS and verify. Pending too: another process may have begun to sign with it a moment ago."""


def follow_key_state(state: KeyState, event: KeyEvent) -> KeyState:
    """Return the state after ``event``; IllegalKeyTransition when the table has no such row."""
    try:
        return KEY_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalKeyTransition(f"{event.value!r} cannot happen to a key that is {state.value}") from None


def draw_key_states() -> str:
    """Return the table as a Mermaid state diagram."""
    rows = [f"    {before.value} --> {after.value}: {event.value}" for (before, event), after in KEY_TRANSITIONS.items()]
    ends = [f"    {state.value} --> [*]" for state in KeyState if not any(before is state for before, _ in KEY_TRANSITIONS)]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {KeyState.PENDING.value}", *rows, *ends])


class KeyStanding(Protocol):
    """What planning needs to know of a key; SigningKey and a row without its private part both fit."""

    @property
    def kid(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def state(self) -> KeyState: ...
    @property
    def state_since(self) -> datetime: ...


@dataclass(frozen=True)
class KeyChange:
    """Let ``event`` happen to the key ``kid``."""

    kid: str
    event: KeyEvent


@dataclass(frozen=True)
class KeyCreation:
    """Make a key for ``algorithm`` and begin it in ``state``: pending, or active when nothing else could sign."""

    algorithm: str
    state: KeyState


def plan_rotation(
    keys: Sequence[KeyStanding],
    algorithm: str,
    now: datetime,
    pending_for: timedelta,
    retiring_for: timedelta,
    rotate_after: timedelta | None = None,
) -> list[KeyChange | KeyCreation]:
    """Return what is due for the keys of ``algorithm``, in the order to do it; nothing due is an empty list.

    - One pending key always stands by, published: when the active one is revoked, whoever verifies knows its successor already.
    - The oldest pending key takes over and the active one retires, once it is pending for ``pending_for`` (longer than clients keep a JWKS)
      and the active one signs for ``rotate_after`` (None: for ever) or more than one wait, which is how somebody asks for a change.
      Without an active key it is taken at once: clients fetch an unknown ``kid``, nobody can wait for a signature.
    - A key retiring for at least ``retiring_for`` (longer than any token lives) is retired.
    - An algorithm that nothing could sign with gets an active key.
    ValueError for a negative duration."""
    if min(pending_for, retiring_for, rotate_after or timedelta(0)) < timedelta(0):
        raise ValueError("durations are not negative")
    ours = sorted((key for key in keys if key.algorithm == algorithm), key=lambda key: (key.state_since, key.kid))
    pending = [key for key in ours if key.state is KeyState.PENDING]
    active = [key for key in ours if key.state is KeyState.ACTIVE]
    changes: list[KeyChange | KeyCreation] = [
        KeyChange(key.kid, KeyEvent.EXPIRE) for key in ours if key.state is KeyState.RETIRING and now - key.state_since >= retiring_for
    ]
    wanted = len(pending) > 1 or (rotate_after is not None and bool(active) and now - active[-1].state_since >= rotate_after)
    ripe = wanted and bool(pending) and now - pending[0].state_since >= pending_for
    successor = pending[0] if pending and (ripe or not active) else None
    # Two active keys are one too many (two operators at once): only the newest stays.
    leaving = active if successor else active[:-1]
    changes += [KeyChange(key.kid, KeyEvent.RETIRE) for key in leaving]
    if successor:
        changes.append(KeyChange(successor.kid, KeyEvent.ACTIVATE))
    elif not active:
        changes.append(KeyCreation(algorithm, KeyState.ACTIVE))
    if len(pending) == (1 if successor else 0):
        changes.append(KeyCreation(algorithm, KeyState.PENDING))
    return changes
