"""Decides which new password is refused: too short or long, nothing but the person's own data, or a pattern anybody tries (domain.md §1).

There are no composition rules: length and being hard to guess are what counts (NIST SP 800-63B §3.1.1.2).
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

SHORTEST = 8
LONGEST = 128
"""Characters of a password of a person."""

SHORTEST_PART = 3
"""So many characters in a row, taken from a number or a name, are a part of it and no coincidence."""

STRAY = 2
"""So many further characters do not make the person's own data a secret."""

_SIGNS = str.maketrans("@$", "as")
_LEET = str.maketrans("013457", "oleast")


class PasswordSlip(StrEnum):
    """Why a password is refused; each value is the code of its refusal."""

    LENGTH = "password_length"
    PERSONAL = "password_personal"
    COMMON = "password_common"


@dataclass(frozen=True, repr=False)
class Personal:
    """What others know of the person: name, document number and phone (with or without ``+86``); "" is unknown. It prints nothing."""

    name: str = ""
    document: str = ""
    phone: str = ""

    def __repr__(self) -> str:
        return "Personal(…)"


UNKNOWN = Personal()


def fold(text: str) -> str:
    """Return ``text`` as lists are compared: width and case do not matter."""
    return unicodedata.normalize("NFKC", text).casefold()


def list_spellings(password: str) -> tuple[str, ...]:
    """Return the folded spellings under which a password is looked up.

    They are the password itself, without its signs, and each with the usual digits read as letters, those at its end excepted.
    """
    folded = fold(password)
    bare = "".join(c for c in folded.translate(_SIGNS) if c.isalnum())
    ends = len(bare.rstrip("0123456789"))
    read = bare[:ends].translate(_LEET)
    spellings = (folded, "".join(c for c in folded if c.isalnum()), read + bare[ends:], bare.translate(_LEET))
    return tuple(dict.fromkeys(s for s in spellings if s))


def check_password(password: str, personal: Personal = UNKNOWN) -> PasswordSlip | None:
    """Return why ``password`` is refused, None when nothing speaks against it but, perhaps, a list of common ones.

    Length is counted in characters as typed: 8–128.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        return PasswordSlip.LENGTH
    if is_monotonous(fold(password)):
        return PasswordSlip.COMMON
    text = _keep_word_characters(password)
    strangers = count_strangers(text, _list_own(personal))
    return PasswordSlip.PERSONAL if strangers <= STRAY and strangers < len(text) else None


def is_monotonous(folded: str) -> bool:
    """Tell whether a text has at most two different characters, or runs up or down one by one."""
    if len(set(folded)) <= 2:
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(folded)}
    return steps in ({1}, {-1})


def count_strangers(text: str, own: tuple[str, ...]) -> int:
    """Return how many characters of ``text`` are left over when as much of it as possible is covered by parts of ``own``."""
    fewest = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        fewest[end] = fewest[end - 1] + 1
        for known in own:
            least = min(SHORTEST_PART, len(known))
            for start in range(end - least, -1, -1):
                if text[start:end] not in known:
                    break
                fewest[end] = min(fewest[end], fewest[start])
    return fewest[-1]


def _keep_word_characters(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())


def _list_own(personal: Personal) -> tuple[str, ...]:
    own = (personal.name, personal.document, personal.phone.removeprefix("+86"))
    return tuple(kept for kept in map(_keep_word_characters, own) if len(kept) >= 2)
