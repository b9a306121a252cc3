"""Decides what may live in a store that can lose everything: states whose loss costs a repetition and never grants anything."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from idp.platform.database import DatabaseUnavailable

VALUE_LIMIT = 64 * 1024
"""Bytes of a value."""

KEY_LIMIT = 512
"""Characters of a key."""

LONGEST_TTL = 400 * 86_400.0
"""Seconds; what lives longer belongs in a table that survives."""


class TransientTooLarge(ValueError):
    """The value or key is longer than the limits above: the caller did not bound its input."""


class TransientsUnavailable(DatabaseUnavailable):
    """The store did not answer; whether the last command took effect is unknown, and it was not repeated."""


@dataclass(frozen=True)
class Versioned:
    """A stored value and the version to name when replacing it."""

    value: bytes
    version: int


@dataclass(frozen=True)
class Counted:
    """The sum of a counter, and the end of the window it was counted in: that names the window when something is given back."""

    number: int
    expires_at: datetime


class Transients(Protocol):
    """Seven verbs over (kind, key); ``ttl`` in seconds. A kind is used for values, for marks or for counters, never for two of them.

    Keys are stored as MACs and values sealed, so a copy of the store names nobody. A value that no longer opens counts as absent.
    Every verb raises DatabaseUnavailable when the store does not answer, and none is repeated by itself.
    """

    async def put(self, kind: str, key: str, value: bytes, ttl: float) -> None:
        """Store a value, over whatever was there. Raises TransientTooLarge."""
        ...

    async def get(self, kind: str, key: str) -> Versioned | None:
        """Return the value and its version, or None when there is none or its time is over."""
        ...

    async def take(self, kind: str, key: str) -> bytes | None:
        """Return the value and remove it: of any number of simultaneous takers one gets it."""
        ...

    async def replace(self, kind: str, key: str, value: bytes, version: int) -> bool:
        """Store a new value if ``version`` is still the stored one, and tell; the time it lives until stays."""
        ...

    async def add_once(self, kind: str, key: str, ttl: float) -> bool:
        """Set a mark and tell whether it was absent: of any number of simultaneous callers one is told True."""
        ...

    async def count(self, kind: str, key: str, ttl: float, by: int = 1) -> Counted:
        """Add ``by`` (at least 1) to a counter and return the sum; its window of ``ttl`` seconds begins with its first count."""
        ...

    async def uncount(self, kind: str, key: str, counted: Counted, by: int = 1) -> None:
        """Give back ``by`` (at least 1) of what was counted in that window: never below 0, and nothing once the window is over."""
        ...

    async def born_at(self) -> datetime:
        """Return since when this store remembers everything: a proof that is older may have been used already, so it is stale."""
        ...

    async def close(self) -> None:
        """Close the connections that are its own."""
        ...


def check_key(kind: str, key: str) -> bytes:
    """Return the bytes that name an entry, to be stored as a MAC only. Raises TransientTooLarge, ValueError for a NUL in the kind."""
    if len(key) > KEY_LIMIT:
        raise TransientTooLarge("the key of a transient is too long")
    if "\0" in kind:
        raise ValueError("a kind holds no NUL")
    return f"{kind}\0{key}".encode("utf-8", "surrogatepass")


def check_value(value: bytes) -> None:
    """Raise TransientTooLarge for a value over the limit."""
    if len(value) > VALUE_LIMIT:
        raise TransientTooLarge("the value of a transient is too long")


def check_step(by: int) -> None:
    """Raise ValueError unless ``by`` is a number that may be counted or given back."""
    if by < 1:
        raise ValueError("a count goes up by at least 1, and so does what is given back")


def check_ttl(ttl: float) -> None:
    """Raise ValueError unless ``ttl`` is a time that a transient may live."""
    if not 0 < ttl <= LONGEST_TTL:
        raise ValueError("a transient lives longer than no time and at most 400 days")
