"""Decides what a person's own page says of one release and of one consent, from what was recorded of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from idp.kernel.audit_events import Detail
from idp.protocol.rules.client import Basis, Client
from idp.protocol.rules.consents import Consents, covers

SHOWN_DAYS = timedelta(days=1_096)
"""How far back releases are shown: as long as audit rows are kept unless a province says otherwise."""

NOBODY_ASKED = "ungated"
"""The basis of what every sign-in carries and no entitlement covers."""


@dataclass(frozen=True)
class Recorded:
    """What went out in one answer, in the words of its audit row. ``bases`` are Basis values."""

    claims: tuple[str, ...]
    purposes: tuple[str, ...]
    bases: tuple[str, ...]


def read_release(details: Mapping[str, Detail]) -> Recorded:
    """Return what the details of a ``claims_released`` row say; absent words are empty."""
    claims, purposes, bases = (str(details.get(name) or "") for name in ("claims", "purposes", "bases"))
    known = tuple(basis for basis in bases.split() if basis in set(Basis))
    return Recorded(tuple(claims.split()), tuple(filter(None, purposes.split("; "))), known or (NOBODY_ASKED,))


def translate_purposes(purposes: Iterable[str], client: Client | None, language: str) -> tuple[str, ...]:
    """Return the purposes in the language of a page, as far as the client is registered with them; they are recorded in Chinese."""
    if language == "zh-CN" or client is None:
        return tuple(purposes)
    english = {entitlement.purpose: entitlement.purpose_en for entitlement in client.entitlements}
    return tuple(english.get(purpose) or purpose for purpose in purposes)


def is_current(client: Client | None, consent: Consents) -> bool:
    """Tell whether a consent still lets something out: for what changed since, the person is asked anew before it does."""
    return client is not None and any(e.basis is Basis.CONSENT and covers(consent, e) for e in client.entitlements)
