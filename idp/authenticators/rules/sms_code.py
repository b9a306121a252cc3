"""Decides what an SMS code is bound to, how long it lives and how often it may be tried (formats.md §4.3)."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

DIGITS = 6
FORMAT = 1


@dataclass(frozen=True)
class CodeLimits:
    """``life`` of a code and the number of wrong ``tries`` that kill it. ``fixed``: every code is this one (never in production)."""

    life: timedelta = timedelta(minutes=5)
    tries: int = 5
    fixed: str = ""


@dataclass(frozen=True)
class PendingCode:
    """A code on its way. Only the keyed hash is kept; ``key_id`` names the key it was made with.

    ``ends_at``: the code is older than ``sent_at`` says and is good only until then; None for its own full life.
    """

    mac: bytes
    key_id: str
    sent_at: datetime
    tries: int = 0
    ends_at: datetime | None = None


@dataclass(frozen=True)
class CodeRight:
    """The code was right; it is used up now."""


@dataclass(frozen=True)
class CodeWrong:
    """The code was wrong; ``tries_left`` more are allowed, with 0 it is dead."""

    tries_left: int


@dataclass(frozen=True)
class CodeGone:
    """There is no code to compare with: never sent, used, replaced, expired or lost."""


@dataclass(frozen=True)
class CodeDead:
    """The code was tried too often; a new one is needed."""


CodeVerdict = CodeRight | CodeWrong | CodeGone | CodeDead


def make_code(random: Callable[[int], bytes], fixed: str = "") -> str:
    """Return six decimal digits: the ``fixed`` ones, else each value equally likely (rejection of the uneven rest)."""
    if fixed:
        return fixed
    ceiling = 10**DIGITS
    bound = 2**32 - 2**32 % ceiling
    while True:
        number = int.from_bytes(random(4), "big")
        if number < bound:
            return f"{number % ceiling:0{DIGITS}d}"


def bind_code(purpose: str, binding: str, phone: str, code: str) -> bytes:
    """Return the message whose keyed hash is stored: purpose, session or interaction, phone and code, unambiguously joined."""
    return b"\0".join(part.encode("utf-8", "replace") for part in ("sms-code", purpose, binding, phone, code))


def normalize_code(text: str) -> str | None:
    """Return the six digits of what was typed (spaces and full-width digits are fine), None when it cannot be a code."""
    kept = "".join(c for c in text[:32] if not c.isspace() and c not in "-\u200b").translate({0xFF10 + d: 0x30 + d for d in range(10)})
    return kept if len(kept) == DIGITS and kept.isascii() and kept.isdigit() else None


def judge_before(pending: PendingCode | None, now: datetime, limits: CodeLimits) -> PendingCode | CodeGone | CodeDead:
    """Return the code with this try already counted, or why there is nothing to try.

    The try is counted before it is compared, so tries sent at once are bounded too.
    """
    if pending is None or now - pending.sent_at >= limits.life or now < pending.sent_at - timedelta(minutes=1):
        return CodeGone()
    if pending.tries >= limits.tries:
        return CodeDead()
    return replace(pending, tries=pending.tries + 1)


def keep_earlier(earlier: PendingCode | None, fresh: PendingCode, limits: CodeLimits) -> PendingCode:
    """Return what waits when another code was asked for and no message left: the code that is on its way stays good until its own end.

    Time and tries that a page shows begin anew as with a message, so that nobody is told that there was none.
    """
    if earlier is None or earlier.tries >= limits.tries or fresh.sent_at - earlier.sent_at >= limits.life:
        return fresh
    ends_at = earlier.ends_at or earlier.sent_at + limits.life
    return replace(fresh, mac=earlier.mac, key_id=earlier.key_id, ends_at=ends_at)


def is_over(counted: PendingCode, now: datetime) -> bool:
    """Tell whether the code itself is too old, whatever the page shows."""
    return counted.ends_at is not None and now >= counted.ends_at


def judge_wrong(counted: PendingCode, limits: CodeLimits) -> CodeWrong:
    """Return what a wrong try leaves."""
    return CodeWrong(max(limits.tries - counted.tries, 0))


def write_pending(pending: PendingCode) -> bytes:
    """Return the stored form of a code on its way."""
    ends_at = pending.ends_at.timestamp() if pending.ends_at else None
    return json.dumps([FORMAT, pending.mac.hex(), pending.key_id, pending.sent_at.timestamp(), pending.tries, ends_at]).encode()


def read_pending(stored: bytes) -> PendingCode | None:
    """Return the code of ``write_pending``; None for a format of another release: the person asks for a new one."""
    raw: list[Any] = json.loads(stored)
    if raw[0] != FORMAT:
        return None
    ends_at = raw[5] if len(raw) > 5 else None  # a release before wrote five
    return PendingCode(
        bytes.fromhex(raw[1]),
        raw[2],
        datetime.fromtimestamp(raw[3], UTC),
        raw[4],
        datetime.fromtimestamp(ends_at, UTC) if ends_at else None,
    )
