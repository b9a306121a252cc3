"""Decides whether a password is one that many people have: a sorted file of short hashes, looked up by halving."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from idp.authenticators.rules.password_policy import list_spellings

FILE = Path(__file__).parent.parent / "common_passwords.bin"
HASH_BYTES = 5
"""One other password in some million million is taken for a common one; that person chooses again."""


class CommonPasswords:
    """The passwords that everybody tries first; ``hashes`` as ``write_hashes`` writes them."""

    def __init__(self, hashes: bytes) -> None:
        if len(hashes) % HASH_BYTES:
            raise ValueError("the list of common passwords is cut off")
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self._hashes) // HASH_BYTES

    def holds(self, password: str) -> bool:
        """Tell whether the list holds this password, whatever its case and width and with the usual digits for letters."""
        return any(self._has(hash_spelling(spelling)) for spelling in list_spellings(password))

    def _has(self, wanted: bytes) -> bool:
        found = bisect_left(range(len(self)), wanted, key=self._read)
        return found < len(self) and self._read(found) == wanted

    def _read(self, position: int) -> bytes:
        return self._hashes[position * HASH_BYTES : (position + 1) * HASH_BYTES]


def hash_spelling(spelling: str) -> bytes:
    """Return what the file holds of a folded spelling."""
    return hashlib.sha256(spelling.encode("utf-8", "surrogatepass")).digest()[:HASH_BYTES]


def write_hashes(spellings: Iterable[str]) -> bytes:
    """Return the file's bytes for these folded spellings, the same for any order of them."""
    return b"".join(sorted({hash_spelling(spelling) for spelling in spellings}))


@lru_cache(maxsize=1)
def load_common_passwords() -> CommonPasswords:
    """Return the list that travels with the code; it is read once in a process."""
    return CommonPasswords(FILE.read_bytes())
