"""Decides whether an authorization request may be answered at all, and what it asks for (OpenID Connect Core §3.1.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from idp.kernel.errors import ProtocolError, Refusal
from idp.kernel.levels import ACR_ORDER, Acr
from idp.protocol.rules.client import Client, GrantType, matches_redirect_uri
from idp.protocol.rules.pkce import METHODS, is_challenge
from idp.protocol.rules.scopes import choose_scope, read_scope

PROMPTS = ("none", "login", "consent", "select_account")
RESPONSE_MODES = ("query",)
RESPONSE_TYPES = ("code",)
PARAMETERS = frozenset(
    {
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "max_age",
        "acr_values",
        "login_hint",
        "id_token_hint",
        "ui_locales",
    }
)
"""The parameters that are read; all others are ignored (RFC 6749 §3.1) and not kept."""
DISPLAYS = ("page", "popup", "touch", "wap")


class UnknownClient(Refusal):
    """There is no such client; the person is told, the address in the request is not trusted."""

    code = "unknown_client"


class BadRedirectUri(Refusal):
    """The address to return to is missing or not registered (RFC 6749 §3.1.2.4: never redirect)."""

    code = "bad_redirect_uri"


class ClientSuspended(Refusal):
    """The department's system is not live."""

    code = "client_suspended"


@dataclass(frozen=True)
class AuthorizationRequest:
    """A valid request. ``wanted`` is the level asked for by ``acr_values`` (None: the client's minimum)."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None
    nonce: str | None
    challenge: str | None
    prompts: frozenset[str]
    max_age: int | None
    wanted: Acr | None
    login_hint: str | None
    id_token_hint: str | None
    ui_locales: str | None


def find_return_address(parameters: Mapping[str, str], client: Client | None, usable: frozenset[str]) -> str:
    """Return the redirect URI that answers may go to; raise a Refusal shown as a page when there is none.

    ``usable`` are the statuses in which a client may act here.
    """
    if client is None:
        raise UnknownClient
    uri = parameters.get("redirect_uri")
    if uri is None or not matches_redirect_uri(client, uri):
        raise BadRedirectUri(department=client.name, department_en=client.name_en)
    if client.status not in usable:
        raise ClientSuspended(department=client.name, department_en=client.name_en)
    return uri


def read_authorization_request(parameters: Mapping[str, str], client: Client, redirect_uri: str) -> AuthorizationRequest:
    """Return what the client asks for; raise ProtocolError, which is redirected back to it."""
    if "request" in parameters:
        raise ProtocolError("request_not_supported", "Request objects are not accepted.")
    if "request_uri" in parameters:
        raise ProtocolError("request_uri_not_supported", "Request objects by reference are not accepted.")
    response_type = parameters.get("response_type")
    if response_type is None:
        raise ProtocolError("invalid_request", "response_type is missing.")
    if response_type not in RESPONSE_TYPES:
        raise ProtocolError("unsupported_response_type", "Only response_type=code is offered.")
    if GrantType.AUTHORIZATION_CODE not in client.grant_types:
        raise ProtocolError("unauthorized_client", "This client is not registered for the authorization code grant.")
    if parameters.get("response_mode", "query") not in RESPONSE_MODES:
        raise ProtocolError("invalid_request", "Only response_mode=query is offered for this response type.")
    requested = read_scope(parameters.get("scope", ""))
    if "openid" not in requested:
        raise ProtocolError("invalid_scope", "The scope openid is required.")
    offered = [s for s in client.scopes if s != "offline_access" or GrantType.REFRESH_TOKEN in client.grant_types]
    scope = choose_scope(requested, ("openid", *offered))
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scope=scope,
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        challenge=_read_challenge(parameters, client),
        prompts=_read_prompts(parameters),
        max_age=_read_max_age(parameters),
        wanted=_read_acr_values(parameters),
        login_hint=parameters.get("login_hint"),
        id_token_hint=parameters.get("id_token_hint"),
        ui_locales=parameters.get("ui_locales"),
    )


def _read_challenge(parameters: Mapping[str, str], client: Client) -> str | None:
    challenge = parameters.get("code_challenge")
    method = parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise ProtocolError("invalid_request", "code_challenge_method came without code_challenge.")
        if client.requires_pkce:
            raise ProtocolError("invalid_request", "PKCE is required: send code_challenge with code_challenge_method=S256.")
        return None
    if method not in METHODS:
        raise ProtocolError("invalid_request", "code_challenge_method must be S256.")
    if not is_challenge(challenge):
        raise ProtocolError("invalid_request", "code_challenge is not a base64url SHA-256 hash.")
    return challenge


def _read_prompts(parameters: Mapping[str, str]) -> frozenset[str]:
    prompts = read_scope(parameters.get("prompt", ""))
    if not prompts <= frozenset(PROMPTS):
        raise ProtocolError("invalid_request", f"prompt may be {', '.join(PROMPTS)}.")
    if "none" in prompts and len(prompts) > 1:
        raise ProtocolError("invalid_request", "prompt=none excludes every other prompt.")
    return prompts


def _read_max_age(parameters: Mapping[str, str]) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ProtocolError("invalid_request", "max_age must be a number of seconds.")
    return int(text)


def _read_acr_values(parameters: Mapping[str, str]) -> Acr | None:
    """Return the first listed class that is known (OpenID Connect Core §3.1.2.1: in order of preference)."""
    for text in parameters.get("acr_values", "").split():
        if text in ACR_ORDER:
            return Acr(text)
    return None
