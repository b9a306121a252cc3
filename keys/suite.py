"""Decides which algorithms belong together. A key is of one suite for ever, so a value says by its key how it was made."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash, HashAlgorithm

TAG_SIZE = 16


class Suite(StrEnum):
    """``international``: AES-256-GCM, HMAC-SHA-256, SHA-256. ``national``: SM4-GCM (RFC 8998), HMAC-SM3, SM3 (GB/T 32905, 32907)."""

    INTERNATIONAL = "international"
    NATIONAL = "national"


SUITES_OF_NONE: Final[Mapping[str, Suite]] = MappingProxyType({})
"""Key id → suite where every key is international."""

SEALING_KEY_SIZES: Final = {Suite.INTERNATIONAL: 32, Suite.NATIONAL: 16}
"""Bytes of the key that seals: AES-256, SM4."""

DERIVING_HASHES: Final[Mapping[Suite, type[HashAlgorithm]]] = {Suite.INTERNATIONAL: SHA256, Suite.NATIONAL: SM3}
"""The hash of HKDF (RFC 5869) by which a data key gives each of its uses a key."""


class AuthenticatedCipher(Protocol):
    """Encrypts with associated data. ``decrypt`` raises InvalidTag; the tag is the last 16 bytes of what ``encrypt`` returns."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return ciphertext ‖ tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return the plaintext."""
        ...


class Sm4Gcm:
    """SM4 in Galois/Counter Mode, in the form of the library's AESGCM: the library knows it only as a mode of a cipher."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        self._algorithm = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return ciphertext ‖ tag."""
        encryptor = Cipher(self._algorithm, GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data or b"")
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return the plaintext; InvalidTag for anything altered. Nothing of it leaves before its tag was found right."""
        decryptor = Cipher(self._algorithm, GCM(nonce, data[-TAG_SIZE:])).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(data[:-TAG_SIZE]) + decryptor.finalize()


def make_cipher(suite: Suite, key: bytes) -> AuthenticatedCipher:
    """Return the cipher of ``suite``; ValueError for a key of another length than SEALING_KEY_SIZES."""
    if len(key) != SEALING_KEY_SIZES[suite]:
        raise ValueError(f"a sealing key of the {suite.value} suite is {SEALING_KEY_SIZES[suite]} bytes")
    return AESGCM(key) if suite is Suite.INTERNATIONAL else Sm4Gcm(key)


class RunningHash(Protocol):
    """A hash that is not finished; the three verbs of ``hashlib``."""

    def update(self, data: bytes, /) -> None:
        """Take more in."""
        ...

    def copy(self) -> "RunningHash":
        """Return another one that goes on from here."""
        ...

    def digest(self) -> bytes:
        """Return the hash of all that was taken in."""
        ...


class LibrarySm3:
    """SM3 by the ``cryptography`` library in the form of ``hashlib``, for a Python whose own libcrypto has none."""

    __slots__ = ("_hash",)

    def __init__(self, data: bytes = b"", *, running: Hash | None = None) -> None:
        self._hash = running or Hash(SM3())
        self._hash.update(data)

    def update(self, data: bytes, /) -> None:
        """Take more in."""
        self._hash.update(data)

    def copy(self) -> "LibrarySm3":
        """Return another one that goes on from here."""
        return LibrarySm3(running=self._hash.copy())

    def digest(self) -> bytes:
        """Return the hash of all that was taken in."""
        return self._hash.copy().finalize()


def start_hash(suite: Suite, data: bytes = b"") -> RunningHash:
    """Return a running hash of ``suite`` that took ``data`` in; both have blocks of 64 bytes and give 32."""
    if suite is Suite.INTERNATIONAL:
        return hashlib.sha256(data)
    # The standard library's is faster by half; a distribution may have built it without.
    return hashlib.new("sm3", data) if "sm3" in hashlib.algorithms_available else LibrarySm3(data)


def hash_bytes(suite: Suite, data: bytes) -> bytes:
    """Return the 32 bytes of SHA-256 or SM3."""
    return start_hash(suite, data).digest()
