"""Decides what a token exchange asks for and how much it may get: never more than the subject token has (RFC 8693, Native SSO 1.0 §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.client import AuthMethod, Client
from idp.protocol.rules.device_secret import SCOPE as APP_SCOPE
from idp.protocol.rules.grant import Grant
from idp.protocol.rules.pkce import METHODS, is_challenge
from idp.protocol.rules.resources import find_audience, read_resources
from idp.protocol.rules.scopes import choose_scope, read_scope
from idp.protocol.rules.token_request import need

MAX_ACTORS = 3
"""Actors within actors: beyond it nobody can tell any more who acts for whom."""


class TokenType(StrEnum):
    """What tokens are called here (RFC 8693 §3); the device secret as in Native SSO 1.0 §4.3, the front ticket is ours."""

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
    DEVICE_SECRET = "urn:openid:params:token-type:device-secret"  # noqa: S105
    FRONT_TICKET = "urn:yizheng:params:oauth:token-type:front-ticket"


@dataclass(frozen=True)
class ExchangeAccess:
    """A resource server's or a client's own access token becomes one for another resource server."""

    subject_token: str
    resource: str
    scope: frozenset[str] | None


@dataclass(frozen=True)
class ExchangeDeviceSecret:
    """Another app of the same device signs in without a page: its ID Token's sign-in, and the secret that only this device has."""

    id_token: str
    device_secret: str
    scope: frozenset[str]


@dataclass(frozen=True)
class ExchangeForTicket:
    """An app's access token becomes a ticket with which its web view enters at ``target``; ``challenge`` is the device's (S256)."""

    subject_token: str
    target: str
    challenge: str


Exchange = ExchangeAccess | ExchangeDeviceSecret | ExchangeForTicket


def read_exchange(parameters: Mapping[str, str], issuer: str) -> Exchange:
    """Return what is asked; raise ProtocolError (RFC 8693 §2.2.2)."""
    subject_token = need(parameters, "subject_token")
    subject_type = need(parameters, "subject_token_type")
    requested = parameters.get("requested_token_type")
    if subject_type == TokenType.ID_TOKEN:
        return _read_device_secret(parameters, subject_token, requested, issuer)
    if subject_type != TokenType.ACCESS_TOKEN:
        raise ProtocolError(
            "invalid_request", "subject_token_type is an access token, or an ID Token with a device secret.", redirectable=False
        )
    if "actor_token" in parameters or "actor_token_type" in parameters:
        raise ProtocolError("invalid_request", "The actor is the client that asks; actor_token is not offered here.", redirectable=False)
    if requested == TokenType.FRONT_TICKET:
        return _read_ticket(parameters, subject_token)
    if requested not in (None, TokenType.ACCESS_TOKEN):
        raise ProtocolError("invalid_request", "Only an access token or a front ticket can be requested.", redirectable=False)
    if "audience" in parameters:
        raise ProtocolError("invalid_target", "Name the resource server by resource.", redirectable=False)
    resources = read_resources(parameters)
    if len(resources) != 1:
        raise ProtocolError("invalid_target", "Name exactly one resource.", redirectable=False)
    scope = parameters.get("scope")
    return ExchangeAccess(subject_token, resources[0], None if scope is None else read_scope(scope))


def _read_device_secret(parameters: Mapping[str, str], id_token: str, requested: str | None, issuer: str) -> ExchangeDeviceSecret:
    if parameters.get("actor_token_type") != TokenType.DEVICE_SECRET:
        raise ProtocolError(
            "invalid_request", "An ID Token is exchanged together with a device secret as the actor_token.", redirectable=False
        )
    if parameters.get("audience", issuer) != issuer:
        raise ProtocolError("invalid_target", "audience is this issuer.", redirectable=False)
    if requested not in (None, TokenType.ACCESS_TOKEN):
        raise ProtocolError("invalid_request", "Only an access token can be requested.", redirectable=False)
    requested_scope = read_scope(parameters.get("scope", "openid"))
    if "openid" not in requested_scope:
        raise ProtocolError("invalid_scope", "The scope openid is required.", redirectable=False)
    find_audience((), parameters)  # the app's own tokens are for UserInfo alone
    return ExchangeDeviceSecret(id_token, need(parameters, "actor_token"), requested_scope)


def _read_ticket(parameters: Mapping[str, str], subject_token: str) -> ExchangeForTicket:
    challenge = need(parameters, "code_challenge")
    if parameters.get("code_challenge_method") not in METHODS or not is_challenge(challenge):
        raise ProtocolError(
            "invalid_request",
            "code_challenge with code_challenge_method=S256 is required: it binds the ticket to the device.",
            redirectable=False,
        )
    return ExchangeForTicket(subject_token, need(parameters, "audience"), challenge)


def describe_silent_request(client: Client, scope: tuple[str, ...]) -> AuthorizationRequest:
    """Return the authorization request that an app's exchange stands for: the same one with ``prompt=none``."""
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri="",
        scope=scope,
        state=None,
        nonce=None,
        challenge=None,
        prompts=frozenset({"none"}),
        max_age=None,
        wanted=None,
        login_hint=None,
        id_token_hint=None,
        ui_locales=None,
    )


def find_exchange_fault(caller: Client, owner: str, audience: str | None, bound: str | None, proved: str | None) -> str | None:
    """Return why ``caller`` may not exchange a token of the client ``owner``, None when it may: its own, or one that it is the resource of.

    Its own token it exchanges with the key ``bound``, ``proved`` in the same request. Where nothing but an id says who asks, only that key
    does (RFC 9700 §2.2): without it, every resource server that was shown a public app's token would be the app.
    """
    public = caller.auth_method is AuthMethod.NONE
    if owner != caller.client_id:
        return "of another client" if public or audience is None or audience not in caller.resources else None
    if bound is None:
        return "bound to no key, and anybody may say that it is this client" if public else None
    return None if bound == proved else "bound to another key"


def find_ticket_fault(client_id: str, grant: Grant, scope: tuple[str, ...], audience: str | None) -> str | None:
    """Return why an access token makes no front ticket for an app, None when it does: that of its own sign-in, which goes on.

    ``scope`` and ``audience`` are the token's. What was made for a resource server is seen there (RFC 9700 §2.3), what was narrowed is for
    less than entering as the person, what was exchanged hangs on somebody else's sign-in, and what is offline may be left over from one.
    """
    if grant.client_id != client_id or grant.person_id is None or grant.lineage is None or grant.parent_id is not None:
        return "not this app's own sign-in"
    if audience is not None or APP_SCOPE not in scope:
        return "not a token of an app's sign-in"
    return None if grant.session_alive else "the app's sign-in ended"


def narrow_exchange(granted: tuple[str, ...], asked: frozenset[str] | None) -> tuple[str, ...]:
    """Return the scope of the new token: what was granted, or less; raise ProtocolError ``invalid_scope`` for more.

    ``openid`` and ``offline_access`` stay behind: the new token opens no UserInfo and is never refreshed.
    """
    left = tuple(scope for scope in granted if scope not in ("openid", "offline_access", "device_sso"))
    if asked is None:
        return left
    if not asked <= frozenset(left):
        raise ProtocolError("invalid_scope", "The subject token does not have this scope.", redirectable=False)
    return choose_scope(asked, left)


def add_actor(client_id: str, before: Mapping[str, Json] | None) -> dict[str, Json]:
    """Return the ``act`` of the new token: who asks, with who asked before inside (RFC 8693 §4.1); raise ProtocolError beyond."""
    depth, inner = 1, before
    while inner is not None:
        depth += 1
        nested = inner.get("act")
        inner = nested if isinstance(nested, dict) else None
    if depth > MAX_ACTORS:
        raise ProtocolError("invalid_request", "The token was exchanged too often.", redirectable=False)
    return {"sub": client_id} if before is None else {"sub": client_id, "act": dict(before)}
