"""Decides the shape of a bearer value we hand out: base64url of an envelope whose associated data is its kind (code, refresh, access)."""

from collections.abc import Mapping

from keys.base64url import decode_base64url, encode_base64url
from keys.envelope import IV_SIZE, SealerRandom, make_ciphers, open_envelope
from keys.errors import Unsealable
from keys.suite import SUITES_OF_NONE, Suite

MAX_BEARER = 16 * 1024
"""Characters; a longer text is refused unread, and none is made."""


class BearerSealer:
    """Seals codes and tokens. Holds what every call needs, because it runs several times in each sign-on."""

    __slots__ = ("_ciphers", "_encrypt", "_header", "_random", "current_id")

    def __init__(self, keys: Mapping[str, bytes], current: str, random: SealerRandom, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        self._random = random
        self.replace_keys(keys, current, suites)

    def replace_keys(self, keys: Mapping[str, bytes], current: str, suites: Mapping[str, Suite] = SUITES_OF_NONE) -> None:
        """Use these keys from now on; MissingKey or ValueError for unusable ones, and then nothing changes."""
        self._ciphers, self._header, self._encrypt = make_ciphers(keys, current, suites)
        self.current_id = current

    def seal(self, kind: str, payload: bytes) -> str:
        """Return the text, URL-safe; it opens only as the same ``kind``. ValueError when it would exceed MAX_BEARER."""
        iv = self._random(IV_SIZE)
        text = encode_base64url(self._header + iv + self._encrypt(iv, payload, kind.encode()))
        if len(text) > MAX_BEARER:
            raise ValueError("too long for a bearer value")
        return text.decode("ascii")

    def open(self, kind: str, text: str) -> bytes:
        """Return the payload; Unsealable for any other text: foreign, altered, truncated, over-long, of another kind or key."""
        if len(text) > MAX_BEARER:
            raise Unsealable
        try:
            envelope = decode_base64url(text)
        except ValueError:
            raise Unsealable from None
        return open_envelope(self._ciphers, envelope, kind.encode())
