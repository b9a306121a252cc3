"""Decides what a private part is to those who use it: something that signs, wherever it lies, and the public members that fit it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

SOFTWARE = "software"
"""The provider whose keys the process itself holds."""


@dataclass(frozen=True, slots=True)
class PrivatePart:
    """What signs for one key.

    ``public``: the members of its public JWK that say the key (RFC 7518 §6), nothing of its use. ``sign``: message → signature for JWS.
    ``store``: returns what is wrapped for the database: the key itself, or where a device keeps it under ``label``.
    ``slow``: takes so long, or waits, that it must not run on an event loop.
    """

    public: Mapping[str, str]
    sign: Callable[[bytes], bytes] = field(repr=False)
    store: Callable[[], bytes] = field(repr=False)
    slow: bool = False
    provider: str = SOFTWARE
    label: str | None = None


class KeyProvider(Protocol):
    """Where private parts are made and kept; ``name`` is written beside each key it made."""

    @property
    def name(self) -> str: ...

    def generate(self, algorithm: str) -> PrivatePart:
        """Return a new private part; ValueError for an algorithm that it cannot do."""
        ...

    def load(self, algorithm: str, stored: bytes) -> PrivatePart:
        """Return the private part that ``store`` gave; ValueError when it is none of this algorithm."""
        ...

    def destroy(self, label: str) -> None:
        """Remove what lies under ``label`` for good; nothing there is no error."""
        ...
