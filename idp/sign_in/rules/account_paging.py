"""Decides how a long list is turned over: by the key of the last row that was shown, never by counting rows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from idp.kernel.ids import decode_base64url, encode_base64url

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_TEXT = 32
PAGE = 20
"""Rows of one page."""


@dataclass(frozen=True)
class RowKey:
    """The key of an audit row: what a page ends with and the next one begins after."""

    at: datetime
    id: UUID


def find_newest(now: datetime) -> RowKey:
    """Return a key that is newer than every row: where the first page begins."""
    return RowKey(now + timedelta(days=1), UUID(int=2**128 - 1))


def write_key(key: RowKey) -> str:
    """Return the key as the text of an address."""
    return encode_base64url(((key.at - EPOCH) // MICROSECOND).to_bytes(8, "big") + key.id.bytes)


def read_key(text: str) -> RowKey | None:
    """Return the key of ``write_key``, None for any other text. It only says where to go on: whose rows they are is not in it."""
    if len(text) != MAX_TEXT:
        return None
    try:
        raw = decode_base64url(text)
        return RowKey(EPOCH + int.from_bytes(raw[:8], "big") * MICROSECOND, UUID(bytes=raw[8:]))
    except (ValueError, OverflowError):
        return None
