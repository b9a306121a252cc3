"""Decides what a message about the account carries: a masked name that fits, and the time as people say it."""

from datetime import datetime, timedelta

from idp.kernel.clock import SHANGHAI

LIFE = timedelta(days=1)
"""How long a notice waits for a gateway; a later one would say something old."""

MAX_NAME = 40
"""Characters of one value of a message (the vendors' bound)."""


def shorten_name(masked_name: str) -> str:
    """Return a masked name as a message can hold it: a longer one keeps only its last character."""
    return masked_name if len(masked_name) <= MAX_NAME else f"*{masked_name[-1]}"


def write_time(at: datetime) -> str:
    """Return day and time in Asia/Shanghai, as the messages, which are Chinese, say it."""
    local = at.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日{local:%H:%M}"
