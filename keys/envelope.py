"""Decides the shape of a sealed value at rest: version ‖ length of key id ‖ key id ‖ iv ‖ ciphertext ‖ tag.

Version 1 is AES-256-GCM, version 2 SM4-GCM (RFC 8998); the rest is alike."""

from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag

from keys.errors import MissingKey, Unsealable
from keys.suite import SUITES_OF_NONE, TAG_SIZE, AuthenticatedCipher, Suite, make_cipher

SealerRandom = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""

VERSIONS = {Suite.INTERNATIONAL: 1, Suite.NATIONAL: 2}
IV_SIZE = 12
MAX_PLAINTEXT = 64 * 1024
"""Bytes; more is not sealed, and an envelope that would hold more is refused unread."""


def make_header(key_id: str, suite: Suite = Suite.INTERNATIONAL) -> bytes:
    """Return version, length and key id, the first bytes of every envelope; ValueError unless the id is 1 to 64 bytes of ASCII."""
    raw = key_id.encode("ascii")
    if not 1 <= len(raw) <= 64:
        raise ValueError("a key id is 1 to 64 ASCII characters")
    return bytes((VERSIONS[suite], len(raw))) + raw


def make_ciphers(
    keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite]
) -> tuple[dict[bytes, AuthenticatedCipher], bytes, Callable[[bytes, bytes, bytes], bytes]]:
    """Return envelope header → cipher, and what a new envelope needs: its header and ``encrypt`` of the current cipher.

    They are made once because making a cipher costs as much as using it. Raise MissingKey when ``current`` is not among ``keys``,
    ValueError for a key of the wrong length."""
    if current not in keys:
        raise MissingKey(current)
    ciphers = {}
    for key_id, key in keys.items():
        suite = suites.get(key_id, Suite.INTERNATIONAL)
        ciphers[make_header(key_id, suite)] = make_cipher(suite, key)
    header = make_header(current, suites.get(current, Suite.INTERNATIONAL))
    return ciphers, header, ciphers[header].encrypt


def open_envelope(ciphers: Mapping[bytes, AuthenticatedCipher], envelope: bytes, aad: bytes) -> bytes:
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
    """Seals fields, rows and payloads; ``current`` seals, every key of ``keys`` (id → bytes as long as its suite wants) opens."""

    __slots__ = ("_ciphers", "_encrypt", "_header", "current_id")

    def __init__(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        self.replace_keys(keys, current, suites)

    @property
    def current_header(self) -> bytes:
        """The first bytes of every envelope that is sealed now: a value that begins otherwise is under another key."""
        return self._header

    def replace_keys(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        """Use these keys from now on; MissingKey or ValueError for unusable ones, and then nothing changes."""
        self._ciphers, self._header, self._encrypt = make_ciphers(keys, current, suites)
        self.current_id = current

    def seal(self, plaintext: bytes, aad: bytes, random: SealerRandom) -> bytes:
        """Return the envelope; ValueError beyond MAX_PLAINTEXT. ``random`` gives the 12-byte iv (NIST SP 800-38D §8.2.2)."""
        if len(plaintext) > MAX_PLAINTEXT:
            raise ValueError("too long to seal")
        iv = random(IV_SIZE)
        return self._header + iv + self._encrypt(iv, plaintext, aad)

    def open(self, envelope: bytes, aad: bytes) -> bytes:
        """Return the plaintext; Unsealable when the envelope is not whole, not ours, or belongs under other ``aad``."""
        if len(envelope) > MAX_PLAINTEXT + 128:
            raise Unsealable
        return open_envelope(self._ciphers, envelope, aad)
