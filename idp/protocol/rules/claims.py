"""Decides which claims leave the house: what the scope can deliver, an entitlement allows and consent covers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from idp.kernel.levels import Factor, Proved
from idp.protocol.rules.claims_request import Asked, ClaimAsk, ClaimsRequest
from idp.protocol.rules.client import Basis, Client, Entitlement
from idp.protocol.rules.consents import Consents, covers, with_verification
from idp.protocol.rules.scopes import SCOPES, list_claims

ClaimValue = str | int | bool | dict[str, str]

GUARDED = frozenset(claim for scope in SCOPES.values() for claim in scope.needs_entitlement)
"""The claims that a client receives only when an entitlement of its own lists them."""

NO_ASKS: Mapping[str, ClaimAsk] = {}


@dataclass(frozen=True)
class Release:
    """What one recipient receives for one purpose; it is what the person's history shows."""

    purpose: str
    basis: Basis
    claims: tuple[str, ...]


def find_allowed(client: Client, consents: Consents, *, verified: bool = False) -> tuple[Entitlement, ...]:
    """Return the entitlements that hold now: a statutory duty always, consent only where it covers what is registered now.

    ``verified``: those of which the client may also be told how the claims were verified.
    """
    return tuple(
        e for e in client.entitlements if e.basis is Basis.STATUTORY_DUTY or covers(consents, with_verification(e) if verified else e)
    )


def select_claims(
    scope: Iterable[str], allowed: Iterable[Entitlement], known: Mapping[str, ClaimValue], asks: Mapping[str, ClaimAsk] = NO_ASKS
) -> dict[str, ClaimValue]:
    """Return the claims of ``known`` that the scopes, or ``asks``, ask for and that need no entitlement, or have one.

    What is asked for with a value that it does not have is left out (OpenID Connect Core §5.5.1). An e-mail address never leaves without
    the mark that nobody verified it: whoever finds accounts by it must be able to see that.
    """
    by_scope = list_claims(scope)
    entitled = {claim for e in allowed for claim in e.claims}
    chosen = {
        claim: known[claim]
        for claim in dict.fromkeys((*by_scope, *asks))
        if claim in known and (claim not in GUARDED or claim in entitled) and (claim in by_scope or asks[claim].accepts(known[claim]))
    }
    if "email" in chosen:
        chosen["email_verified"] = known["email_verified"]
    return chosen


def list_unasked(scope: Iterable[str], client: Client, asked: Iterable[Entitlement], named: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what is also released while ``asked`` is the consent question: ungated, by duty, or agreed to before.

    ``named`` are the claims that the client asks for by name, besides those of its scopes.
    """
    asked = tuple(asked)
    shown = {claim for e in asked for claim in e.claims}
    entitled = {claim for e in client.entitlements if e not in asked for claim in e.claims}
    claims = dict.fromkeys((*list_claims(scope), *named))
    return tuple(c for c in claims if c not in shown and (c not in GUARDED or c in entitled))


def limit_to_plain(asked: Asked) -> Asked:
    """Return what of a request for the ID Token an unencrypted one may say: nothing that needs an entitlement.

    ID Tokens travel on: a client sends them back in addresses, as hints.
    """
    return Asked({name: ask for name, ask in asked.claims.items() if name not in GUARDED})


def narrow_asked(asked: Asked, granted: Iterable[str], kept: Iterable[str]) -> Asked:
    """Return what is still asked for by name after a refresh kept some of the granted scopes: nothing of those given up (RFC 6749 §6)."""
    gone = {*list_claims(granted)}.difference(list_claims(kept))
    if gone.isdisjoint(ClaimsRequest(asked).names):
        return asked
    verified = (replace(ask, claims=_leave_out(ask.claims, gone)) for ask in asked.verified)
    return Asked(_leave_out(asked.claims, gone), tuple(ask for ask in verified if ask.claims))


def _leave_out(asks: Mapping[str, ClaimAsk], gone: set[str]) -> dict[str, ClaimAsk]:
    return {name: ask for name, ask in asks.items() if name not in gone}


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
    """Return the ``amr`` values of the factors, with ``mfa`` when they are two (RFC 8176 §2).

    A passkey is two by itself, and somebody was there (``user``); that its key is in hardware (``hwk``) nobody attested.
    """
    factors = [str(factor) for factor in sorted({p.factor for p in proved})]
    if Factor.PASSKEY in factors:
        return [*factors, "user", "mfa"]
    return [*factors, "mfa"] if len(factors) > 1 else factors
