"""Decides what a change of one's own data is while it waits for its code: which datum, its new value, and how it is written down."""

import json
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from typing import Any, cast

from idp.people.rules.email_address import EmailAddress
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import Profile

FORMAT = 2


class OwnDatum(StrEnum):
    """What people change by themselves; everything else of the profile changes by proof."""

    EMAIL = "email"
    ADDRESS = "address"


OwnValue = EmailAddress | PostalAddress | None
"""None: there is to be none any more."""


@dataclass(frozen=True)
class ProfileChange:
    """A change that waits. ``id`` is what its code is bound to and its form carries; ``sends`` is how many codes were asked for.

    ``code_until`` is when the last code ends, in seconds since 1970: 0 when it was used up by wrong tries.
    """

    id: str
    datum: OwnDatum
    value: OwnValue
    sends: int = 1
    code_until: float = 0.0


def find_value(profile: Profile, datum: OwnDatum) -> OwnValue:
    """Return what the profile has."""
    return profile.email if datum is OwnDatum.EMAIL else profile.address


def apply_change(profile: Profile, change: ProfileChange) -> Profile:
    """Return the profile with the new value."""
    if change.datum is OwnDatum.EMAIL:
        return replace(profile, email=cast(EmailAddress | None, change.value))
    return replace(profile, address=cast(PostalAddress | None, change.value))


def describe_change(before: OwnValue, after: OwnValue) -> str:
    """Return the word of a change as audit and history name it: added, changed or removed."""
    return "removed" if after is None else "added" if before is None else "changed"


def name_change(datum: OwnDatum, value: OwnValue) -> str:
    """Return the text that one change to one value has in one sign-in, and no other."""
    return f"profile change {datum.value} {json.dumps(_write_value(value))}"


def write_change(change: ProfileChange) -> bytes:
    """Return the stored form."""
    return json.dumps([FORMAT, change.id, change.datum.value, _write_value(change.value), change.sends, change.code_until]).encode()


def read_change(stored: bytes) -> ProfileChange | None:
    """Return the change of ``write_change``; None for a format of another release: the person types it again."""
    raw: list[Any] = json.loads(stored)
    if raw[0] != FORMAT:
        return None
    datum = OwnDatum(raw[2])
    return ProfileChange(raw[1], datum, _read_value(datum, raw[3]), raw[4], raw[5])


def _write_value(value: OwnValue) -> list[str]:
    if isinstance(value, EmailAddress):
        return [value.value]
    return list(astuple(value)) if value is not None else []


def _read_value(datum: OwnDatum, parts: list[str]) -> OwnValue:
    if not parts:
        return None
    return EmailAddress(*parts) if datum is OwnDatum.EMAIL else PostalAddress(*parts)
