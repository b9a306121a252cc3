"""Decides how keys rest in the database: wrapped by AES-256-SIV (RFC 5297), under one key that lives in a file outside it.

SIV needs no iv, so wrapping asks for no randomness and the same key always wraps alike; the key id is its associated data, so wrapped keys
cannot change places."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keys.base64url import decode_base64url, encode_base64url
from keys.errors import Unsealable, UnusableKeyFile

VERSION = b"\x01"
KEY_SIZE = 32
MAX_FILE = 1024
MAX_WRAPPED = 8 * 1024
"""Bytes; a wrapped RSA 2048 key is about 1,250."""


class KeyEncryptionKey:
    """Wraps and unwraps other keys. Never leaves the process; its repr shows nothing."""

    __slots__ = ("_cipher", "_previous")

    def __init__(self, material: bytes) -> None:
        if len(material) != KEY_SIZE:
            raise ValueError("a key-encryption key is 32 bytes")
        self._previous: KeyEncryptionKey | None = None
        self._cipher = AESSIV(HKDFExpand(SHA256(), 64, b"yizheng key wrapping 1").derive(material))

    @classmethod
    def from_file(cls, path: str | Path) -> "KeyEncryptionKey":
        """Return the key in ``path`` (43 letters of base64url, a line end allowed); UnusableKeyFile otherwise.

        A file that others may read, or the group may write, is refused: it has to be taken for known."""
        try:
            with open(path, "rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(MAX_FILE + 1)
        except OSError as error:
            raise UnusableKeyFile(f"{path}: {error.strerror}") from None
        if mode & 0o027:
            raise UnusableKeyFile(f"{path}: others may read it; set its mode to 0600")
        try:
            return cls(decode_base64url(content.strip()))
        except ValueError:
            raise UnusableKeyFile(f"{path}: not 32 bytes in base64url") from None

    def accept(self, previous: "KeyEncryptionKey") -> None:
        """Also unwrap what ``previous`` wrapped, while keys are wrapped anew; nothing is wrapped by it any more."""
        self._previous = previous

    def wrap(self, key_id: str, material: bytes) -> bytes:
        """Return ``material`` wrapped for storage under ``key_id``."""
        return VERSION + self._cipher.encrypt(material, [VERSION, key_id.encode()])

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Return the material; Unsealable when it was altered, cut, wrapped for another id or by another key."""
        if wrapped[:1] != VERSION or len(wrapped) > MAX_WRAPPED:
            raise Unsealable
        try:
            return self._cipher.decrypt(wrapped[1:], [VERSION, key_id.encode()])
        except (InvalidTag, ValueError):
            if self._previous is None:
                raise Unsealable from None
        return self._previous.unwrap(key_id, wrapped)


def make_key_encryption_key(path: str | Path, random: Callable[[int], bytes]) -> KeyEncryptionKey:
    """Write a new key to ``path`` with mode 0600 and return it; FileExistsError when the file exists: what it wrapped would be lost."""
    material = random(KEY_SIZE)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(encode_base64url(material) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return KeyEncryptionKey(material)
