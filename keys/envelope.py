"""Decides the shape of a sealed value at rest: version 1 ‖ length of key id ‖ key id ‖ iv ‖ AES-256-GCM ciphertext ‖ tag."""

from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import MissingKey, Unsealable

SealerRandom = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""

VERSION = 1
KEY_SIZE = 32
IV_SIZE = 12
TAG_SIZE = 16
MAX_PLAINTEXT = 64 * 1024
"""Bytes; more is not sealed, and an envelope that would hold more is refused unread."""


def make_header(key_id: str) -> bytes:
    """Return version, length and key id, the first bytes of every envelope; ValueError unless the id is 1 to 64 bytes of ASCII."""
    raw = key_id.encode("ascii")
    if not 1 <= len(raw) <= 64:
        raise ValueError("a key id is 1 to 64 ASCII characters")
    return bytes((VERSION, len(raw))) + raw


def make_ciphers(keys: Mapping[str, bytes], current: str) -> dict[bytes, AESGCM]:
    """Return envelope header → cipher, made once because making a cipher costs as much as using it.

    Raise MissingKey when ``current`` is not among them, ValueError for a key that is not 32 bytes."""
    if current not in keys:
        raise MissingKey(current)
    if any(len(key) != KEY_SIZE for key in keys.values()):
        raise ValueError("a sealing key is 32 bytes")
    return {make_header(key_id): AESGCM(key) for key_id, key in keys.items()}


def open_envelope(ciphers: Mapping[bytes, AESGCM], envelope: bytes, aad: bytes) -> bytes:
    """Return the plaintext; Unsealable for anything but an untouched envelope of one of ``ciphers`` under ``aad``."""
    # A header names its own length, so one look-up checks version, length and key id together.
    start = 2 + envelope[1] if len(envelope) > 1 else 0
    cipher = ciphers.get(envelope[:start])
    iv_end = start + IV_SIZE
    if cipher is None or len(envelope) < iv_end + TAG_SIZE:
        raise Unsealable
    try:
        return cipher.decrypt(envelope[start:iv_end], envelope[iv_end:], aad)
    except InvalidTag:
        raise Unsealable from None


def row_aad(table: str, column: str, row_id: bytes | str) -> bytes:
    """Return the associated data of one field: a value moved to another row, column or table opens no more.

    ValueError for a NUL in the names, which would let two places share one spelling."""
    place = f"{table}\0{column}\0"
    if place.count("\0") != 2:
        raise ValueError("a table or column name holds no NUL")
    return place.encode() + (row_id.encode() if isinstance(row_id, str) else row_id)


class Sealer:
    """Seals fields, rows and payloads; ``current`` seals, every key of ``keys`` (id → 32 bytes) opens."""

    __slots__ = ("_ciphers", "_current", "_header", "current_id")

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._ciphers = make_ciphers(keys, current)
        self._header = make_header(current)
        self._current = self._ciphers[self._header]
        self.current_id = current

    def seal(self, plaintext: bytes, aad: bytes, random: SealerRandom) -> bytes:
        """Return the envelope; ValueError beyond MAX_PLAINTEXT. ``random`` gives the 12-byte iv (NIST SP 800-38D §8.2.2)."""
        if len(plaintext) > MAX_PLAINTEXT:
            raise ValueError("too long to seal")
        iv = random(IV_SIZE)
        return self._header + iv + self._current.encrypt(iv, plaintext, aad)

    def open(self, envelope: bytes, aad: bytes) -> bytes:
        """Return the plaintext; Unsealable when the envelope is not whole, not ours, or belongs under other ``aad``."""
        if len(envelope) > MAX_PLAINTEXT + 128:
            raise Unsealable
        return open_envelope(self._ciphers, envelope, aad)
