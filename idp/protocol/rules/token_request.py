"""Decides which grant a token request means, and reads the parameters of those of RFC 6749 (§4.1.3, §4.4.2, §6)."""

from collections.abc import Mapping
from dataclasses import dataclass

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.admin_scopes import ADMIN_SCOPES
from idp.protocol.rules.client import Client, GrantType
from idp.protocol.rules.scopes import choose_client_scope, choose_scope, read_scope

OFFERED = frozenset(g.value for g in GrantType)


@dataclass(frozen=True)
class RedeemCode:
    """Exchange an authorization code."""

    code: str
    redirect_uri: str
    verifier: str | None


@dataclass(frozen=True)
class Refresh:
    """Exchange a refresh token; ``scope`` None keeps what was granted."""

    refresh_token: str
    scope: frozenset[str] | None


@dataclass(frozen=True)
class UseOwnCredentials:
    """The client asks for itself. ``drops_scope``: it asked for a scope, and nothing of it is left."""

    audience: str | None
    scope: tuple[str, ...] = ()
    drops_scope: bool = False


def find_grant_type(parameters: Mapping[str, str], client: Client) -> GrantType:
    """Return the grant that is meant; raise ProtocolError when it is missing, unknown or not this client's (RFC 6749 §5.2)."""
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise ProtocolError("invalid_request", "grant_type is missing.")
    if grant_type not in OFFERED:
        raise ProtocolError("unsupported_grant_type", "This grant type is not offered.")
    if grant_type not in client.grant_types:
        raise ProtocolError("unauthorized_client", "This client is not registered for this grant type.")
    return GrantType(grant_type)


def read_redemption(parameters: Mapping[str, str]) -> RedeemCode:
    """Return the command of a code redemption; raise ProtocolError."""
    return RedeemCode(need(parameters, "code"), need(parameters, "redirect_uri"), parameters.get("code_verifier"))


def read_refresh(parameters: Mapping[str, str]) -> Refresh:
    """Return the command of a refresh; raise ProtocolError."""
    scope = parameters.get("scope")
    return Refresh(need(parameters, "refresh_token"), None if scope is None else read_scope(scope))


def read_own_credentials(parameters: Mapping[str, str], client: Client, admin_resource: str) -> UseOwnCredentials:
    """Return the command of a client that asks for itself; raise ProtocolError.

    ``admin_resource`` is the admin API: the one resource that has scopes of its own, of which the client gets those it is registered for.
    Everywhere else scopes are about a person, and nothing is left of them, as at /authorize of those a client may not have; libraries
    that always send one are told so (RFC 6749 §3.3).
    """
    mine = [name for name in ADMIN_SCOPES if name in client.scopes]
    if parameters.get("resource") != admin_resource or not mine:
        return UseOwnCredentials(_read_audience(parameters, client), drops_scope="scope" in parameters)
    asked = read_scope(parameters["scope"]) if "scope" in parameters else frozenset(mine)
    if not asked <= frozenset(mine):
        raise ProtocolError("invalid_scope", "The client is not registered for all of this scope.")
    return UseOwnCredentials(admin_resource, tuple(name for name in mine if name in asked))


def need(parameters: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be there; raise ProtocolError ``invalid_request``."""
    value = parameters.get(name)
    if value is None:
        raise ProtocolError("invalid_request", f"{name} is missing.")
    return value


def _read_audience(parameters: Mapping[str, str], client: Client) -> str | None:
    """Return the one resource a client asks for itself: one that it may ask for, or that it is (RFC 8707 §2)."""
    resource = parameters.get("resource")
    if resource is not None and resource not in (*client.requests.allowed_resources, *client.resources):
        raise ProtocolError("invalid_target", "This resource is not known for this client.")
    return resource


def narrow_scope(client: Client, granted: tuple[str, ...], requested: frozenset[str] | None) -> tuple[str, ...]:
    """Return the scope of a refreshed token; raise ProtocolError when more is asked than was granted (RFC 6749 §6).

    What the client may not have at all is left out here too: libraries repeat what they first asked for, and were told what they got.
    """
    if requested is None:
        return granted
    narrowed = choose_scope(requested, granted)
    if not narrowed or choose_client_scope(requested.difference(granted), client):
        raise ProtocolError("invalid_scope", "More scope was requested than the person granted.")
    return narrowed
