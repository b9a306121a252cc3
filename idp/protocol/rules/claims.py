"""Decides which claims leave the house: what the scope can deliver, an entitlement allows and consent covers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from idp.kernel.levels import Factor, Proved
from idp.protocol.rules.client import Basis, Client, Entitlement
from idp.protocol.rules.scopes import SCOPES, list_claims

ClaimValue = str | int | bool | dict[str, str]


@dataclass(frozen=True)
class Release:
    """What one recipient receives for one purpose; it is what the person's history shows."""

    purpose: str
    basis: Basis
    claims: tuple[str, ...]


def find_allowed(client: Client, consents: frozenset[tuple[str, int]]) -> tuple[Entitlement, ...]:
    """Return the entitlements that hold now: a statutory duty always, consent only in its present, not withdrawn version."""
    return tuple(e for e in client.entitlements if e.basis is Basis.STATUTORY_DUTY or (e.purpose, e.version) in consents)


def select_claims(scope: Iterable[str], allowed: Iterable[Entitlement], known: Mapping[str, ClaimValue]) -> dict[str, ClaimValue]:
    """Return the claims of ``known`` that the scopes ask for and that need no entitlement, or have one."""
    names = [name for name in scope if name in SCOPES]
    guarded = {claim for name in names for claim in SCOPES[name].needs_entitlement}
    entitled = {claim for e in allowed for claim in e.claims}
    return {claim: known[claim] for claim in list_claims(names) if claim in known and (claim not in guarded or claim in entitled)}


def list_unasked(scope: Iterable[str], client: Client, asked: Iterable[Entitlement]) -> tuple[str, ...]:
    """Return what the scopes also release while ``asked`` is the consent question: ungated, by duty, or agreed to before."""
    asked = tuple(asked)
    shown = {claim for e in asked for claim in e.claims}
    names = [name for name in scope if name in SCOPES]
    guarded = {claim for name in names for claim in SCOPES[name].needs_entitlement}
    entitled = {claim for e in client.entitlements if e not in asked for claim in e.claims}
    return tuple(c for c in list_claims(names) if c not in shown and (c not in guarded or c in entitled))


def list_releases(released: Iterable[str], allowed: Iterable[Entitlement]) -> tuple[Release, ...]:
    """Return, entitlement by entitlement, which of the released claims it covers; each claim is counted once."""
    left = list(released)
    releases = []
    for entitlement in allowed:
        covered = tuple(claim for claim in left if claim in entitlement.claims)
        if covered:
            releases.append(Release(entitlement.purpose, entitlement.basis, covered))
            left = [claim for claim in left if claim not in covered]
    return tuple(releases)


def list_amr(proved: Iterable[Proved]) -> list[str]:
    """Return the ``amr`` values of the factors, with ``mfa`` when they are two (RFC 8176 §2)."""
    factors = sorted({p.factor for p in proved})
    return [*factors, "mfa"] if len(factors) > 1 or Factor.PASSKEY in factors else [str(f) for f in factors]
