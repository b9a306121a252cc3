"""Decides what each scope means: the claims it can deliver and where they may travel (protocol.md §3)."""

from collections.abc import Iterable
from dataclasses import dataclass

from idp.protocol.rules.client import Client, GrantType

OPENID = "openid"
"""Without it a request is plain OAuth (OpenID Connect Core §3.1.2.1)."""


@dataclass(frozen=True)
class Scope:
    """One row of the scope table. ``claims`` are delivered from UserInfo; ``needs_entitlement`` tells which of them a client
    receives only when an entitlement of its own lists them."""

    name: str
    claims: tuple[str, ...]
    needs_entitlement: tuple[str, ...] = ()


SCOPES = {
    scope.name: scope
    for scope in (
        Scope(OPENID, ("sub",)),
        Scope("profile", ("name", "gender", "birthdate", "locale", "updated_at"), ("name", "gender", "birthdate")),
        Scope("phone", ("phone_number", "phone_number_verified"), ("phone_number", "phone_number_verified")),
        Scope("email", ("email", "email_verified"), ("email", "email_verified")),
        Scope("address", ("address",), ("address",)),
        Scope("real_name", ("real_name_verified", "ial")),
        Scope("identity", ("id_document", "name"), ("id_document", "name")),
        Scope("offline_access", ()),
        Scope("device_sso", ()),
    )
}
"""The scopes that have data behind them; unknown ones in a request are ignored (RFC 6749 §3.3)."""


def read_scope(text: str) -> frozenset[str]:
    """Return the set of scope tokens of a ``scope`` parameter; order and repetition do not matter."""
    return frozenset(text.split())


def choose_scope(requested: Iterable[str], allowed: Iterable[str]) -> tuple[str, ...]:
    """Return the requested scopes that exist and that this client may ask for, in the order of the table."""
    wanted = set(requested) & set(allowed)
    return tuple(name for name in SCOPES if name in wanted)


def choose_client_scope(requested: Iterable[str], client: Client) -> tuple[str, ...]:
    """Return what a client may have of the scopes that it requests; the rest is left out without a word (RFC 6749 §3.3).

    ``offline_access`` only where it may refresh (OpenID Connect Core §11).
    """
    keeps = GrantType.REFRESH_TOKEN in client.grant_types
    return choose_scope(requested, (OPENID, *(name for name in client.scopes if name != "offline_access" or keeps)))


def list_claims(scope: Iterable[str]) -> tuple[str, ...]:
    """Return the claims that a set of scopes can deliver, each once, in the order of the table."""
    return tuple(dict.fromkeys(claim for name in scope if name in SCOPES for claim in SCOPES[name].claims))
