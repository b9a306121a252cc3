"""Decides which values a person sees, masked, beside the claims that they are asked about."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from idp.people.rules.masking import mask_name
from idp.people.rules.profile import Profile

SHOWN: Final[Mapping[str, Callable[[Profile], str]]] = {
    "name": lambda profile: mask_name(profile.name),
    "id_document": lambda profile: str(profile.document or ""),
    "phone_number": lambda profile: str(profile.phone or ""),
    "email": lambda profile: str(profile.email or ""),
    "address": lambda profile: str(profile.address or ""),
}
"""Claim → its masked value; what has no mask of its own is named only, for whoever looks over the person's shoulder."""


def mask_claims(profile: Profile, names: Iterable[str]) -> dict[str, str]:
    """Return claim → masked value, for those of ``names`` that have one."""
    values = {name: SHOWN[name](profile) for name in names if name in SHOWN}
    return {name: value for name, value in values.items() if value}
