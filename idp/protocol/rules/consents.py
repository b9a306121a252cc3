"""Decides what a person's consent covers: a purpose in its present version, and no claim that was not agreed to."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from idp.protocol.rules.claims_request import VERIFIED
from idp.protocol.rules.client import Entitlement

Consents = Mapping[tuple[str, int], frozenset[str]]
"""(purpose, version) → the claims that the person agreed to, of every consent that was not withdrawn; VERIFIED among them where asked."""

NO_CONSENTS: Consents = MappingProxyType({})


def covers(consents: Consents, entitlement: Entitlement) -> bool:
    """Tell whether the person agreed to an entitlement as it is now.

    The version alone does not say it: an entitlement that was removed and registered again begins with version 1.
    """
    agreed = consents.get((entitlement.purpose, entitlement.version))
    return agreed is not None and agreed.issuperset(entitlement.claims)


def with_verification(entitlement: Entitlement) -> Entitlement:
    """Return an entitlement as it is asked about when the client also wants to know how its claims were verified."""
    return replace(entitlement, claims=(*entitlement.claims, VERIFIED))


def agree(consents: Consents, entitlements: Iterable[Entitlement]) -> Consents:
    """Return the consents of a person who also agrees to ``entitlements``."""
    return {**consents, **{(e.purpose, e.version): frozenset(e.claims) for e in entitlements}}
