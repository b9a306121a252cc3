"""Decides where time and randomness come from: they are parameters, so rules stay pure and tests choose both."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

Clock = Callable[[], datetime]
"""Returns the present instant as an aware UTC datetime."""

Random = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Calendar limits are Asia/Shanghai days; China keeps one offset all year."""


def read_system_clock() -> datetime:
    """Return the machine's present instant in UTC; the only place that reads it."""
    return datetime.now(UTC)


def read_system_random(size: int) -> bytes:
    """Return ``size`` bytes of the operating system's randomness; the only place that reads it."""
    return os.urandom(size)
