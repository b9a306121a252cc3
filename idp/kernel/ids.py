"""Decides the shape of every identifier: time-ordered UUIDs inside, random text where anyone outside can see it."""

import base64
from typing import NewType
from uuid import UUID

from idp.kernel.clock import Clock, Random

PersonId = NewType("PersonId", UUID)
GrantId = NewType("GrantId", UUID)
EventId = NewType("EventId", UUID)
MessageId = NewType("MessageId", UUID)


def make_uuid7(clock: Clock, random: Random) -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7); it tells its time, so it never leaves the house."""
    milliseconds = int(clock().timestamp() * 1000) & 0xFFFFFFFFFFFF
    noise = int.from_bytes(random(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & 0x3FFFFFFFFFFFFFFF
    return UUID(int=value)


def make_outward_id(random: Random, size: int = 16) -> str:
    """Return unguessable base64url text of ``size`` random bytes (at least 16)."""
    if size < 16:
        raise ValueError("an outward identifier carries at least 128 random bits")
    return encode_base64url(random(size))


def encode_base64url(value: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Return the bytes of canonical unpadded base64url; raise ValueError for anything else."""
    if not text.isascii() or "=" in text or len(text) % 4 == 1:
        raise ValueError("not base64url")
    value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode_base64url(value) != text:
        raise ValueError("not canonical base64url")
    return value
