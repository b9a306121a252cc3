"""Decides when a number is taken to be somebody else's until the operator says otherwise (domain.md "One phone")."""

from datetime import datetime, timedelta
from typing import Final

UNUSED: Final = timedelta(days=90)
"""Operators give a number to somebody else after about so long."""


def is_unused(seen_at: datetime | None, now: datetime) -> bool:
    """Tell whether a person's own number was neither used nor matched for so long; ``None`` is a number that binds nobody."""
    return seen_at is not None and now - seen_at >= UNUSED
