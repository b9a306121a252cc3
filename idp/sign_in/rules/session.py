"""Decides what a browser session proves and how long it lives."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from idp.kernel.levels import Factor, Proved

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
IDLE = timedelta(minutes=30)
TOUCH_EVERY = timedelta(minutes=1)
"""``last_seen_at`` is written at most this often."""


class Session(NamedTuple):
    """A signed-in browser. ``id_hash`` is all that is stored of the cookie; ``proved`` are the factors with their instants.

    ``lineage`` is the hash of the first id: a step-up gives the browser a new id and keeps it, so that codes and grants go on.
    """

    id_hash: bytes
    lineage: bytes
    person_id: UUID
    proved: tuple[Proved, ...]
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def is_alive(self, now: datetime, idle: timedelta = IDLE) -> bool:
        """Tell whether the session may still act: not ended, within its total and its idle time."""
        return self.ended_at is None and now < self.expires_at and now - self.last_seen_at < idle

    def wants_touch(self, now: datetime) -> bool:
        """Tell whether ``last_seen_at`` is old enough to be written again."""
        return now - self.last_seen_at >= TOUCH_EVERY


def hash_session_id(cookie: str) -> bytes:
    """Return what the database knows of a session cookie (it holds 256 random bits, so one hash is enough)."""
    return hashlib.sha256(cookie.encode()).digest()


def write_factors(proved: tuple[Proved, ...]) -> str:
    """Return the stored form of the factors: a JSON list of [amr, epoch microseconds]."""
    # Written by hand: words that need no escaping and whole numbers, six times as fast as an encoder made for the separators.
    return "[" + ",".join([f'["{p.factor.value}",{(p.at - EPOCH) // MICROSECOND}]' for p in proved]) + "]"


@lru_cache(maxsize=4096)
def read_factors(text: str) -> tuple[Proved, ...]:
    """Return the factors of ``write_factors`` (remembered: one session is read on every sign-on)."""
    return tuple(Proved(Factor(name), EPOCH + at * MICROSECOND) for name, at in json.loads(text))
