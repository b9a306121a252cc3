"""Decides how a sealed value is found again: equality by HMAC, since only the key stands between an index and its guesses."""

from collections.abc import Mapping

from keys.mac import prepare_hmacs
from keys.suite import SUITES_OF_NONE, Suite


class BlindIndex:
    """Turns (kind, value) into 32 bytes to look up by. ``current`` writes; the older keys find what is not yet re-indexed."""

    __slots__ = ("_compute", "_current", "current_id")

    def __init__(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        self.replace_keys(keys, current, suites)

    def replace_keys(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        """Use these keys from now on; MissingKey when ``current`` is not among them, and then nothing changes."""
        self._compute = prepare_hmacs(keys, current, suites)
        self._current = self._compute[current]
        self.current_id = current

    def index(self, kind: str, value: str) -> bytes:
        """Return 32 bytes for ``kind`` ‖ 0x00 ‖ ``value``.

        The caller normalises the value first (an identifier type knows its own spelling). ValueError for a NUL in ``kind``."""
        return self._current(_join(kind, value))

    def index_all(self, kind: str, value: str) -> list[bytes]:
        """Return the index of the value under every key, the current first, for a look-up while keys change."""
        message = _join(kind, value)
        older = [compute(message) for key_id, compute in self._compute.items() if key_id != self.current_id]
        return [self._current(message), *older]


def _join(kind: str, value: str) -> bytes:
    if "\0" in kind:
        raise ValueError("an index kind holds no NUL")
    return f"{kind}\0{value}".encode()
