"""Decides whether an authorization request may be answered at all, and what it asks for (OpenID Connect Core §3.1.2)."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from idp.kernel.errors import ProtocolError, Refusal
from idp.kernel.levels import Acr
from idp.protocol.rules.authorization_details import read_authorization_details
from idp.protocol.rules.claims_request import ClaimsRequest, read_claims_request
from idp.protocol.rules.client import Client, GrantType, find_home, matches_redirect_uri
from idp.protocol.rules.pkce import METHODS, is_challenge
from idp.protocol.rules.profile import find_demands
from idp.protocol.rules.resources import choose_resources
from idp.protocol.rules.response_mode import ResponseMode, read_response_mode
from idp.protocol.rules.scopes import SCOPES, choose_client_scope, list_claims, read_scope
from idp.protocol.rules.terms import NO_TERMS, Terms, keep_terms

PROMPTS = ("none", "login", "consent", "select_account", "create")
RESPONSE_MODES = tuple(ResponseMode)
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
        "claims",
        "resource",
        "authorization_details",
        "dpop_jkt",
    }
)
"""The parameters that are read; all others are ignored (RFC 6749 §3.1) and not kept."""
DISPLAYS = ("page", "popup", "touch", "wap")
ACR_CLAIM, SUB_CLAIM = "acr", "sub"
TOKEN_CLAIMS = frozenset({ACR_CLAIM, SUB_CLAIM, "auth_time"})
"""Claims that may be asked for by name and that every ID Token holds anyway."""
_ACRS = {acr.value: acr for acr in Acr}
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


class UnknownClient(Refusal):
    """There is no such client; the person is told, the address in the request is not trusted."""

    code = "unknown_client"


class BadRedirectUri(Refusal):
    """The address to return to is missing or not registered (RFC 6749 §3.1.2.4: never redirect)."""

    code = "bad_redirect_uri"


class ClientSuspended(Refusal):
    """The department's system is not live."""

    code = "client_suspended"


class AuthorizationRequest(NamedTuple):
    """A valid request. ``wanted`` is the level asked for by ``acr_values`` (None: the client's minimum).

    ``essential``: one of these classes or none (OpenID Connect Core §5.5.1.1), () when the client did not insist. ``subject``: the only
    one that may be answered. ``dpop_jkt``: the key that the code will be bound to (RFC 9449 §10). ``terms``: what else was asked.
    """

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
    response_mode: ResponseMode = ResponseMode.QUERY
    dpop_jkt: str | None = None
    essential: tuple[Acr, ...] = ()
    subject: str | None = None
    terms: Terms = NO_TERMS

    @property
    def asked_claims(self) -> tuple[str, ...]:
        """Return what the scopes and the ``claims`` parameter ask for, each once."""
        named = list_claims(self.scope)
        return named if self.terms.claims is None else tuple(dict.fromkeys((*named, *sorted(self.terms.claims.names - TOKEN_CLAIMS))))

    @property
    def verified_names(self) -> frozenset[str]:
        """Return the claims of which the client wants to know how they were verified."""
        return frozenset() if self.terms.claims is None else self.terms.claims.verified_names


def find_return_address(parameters: Mapping[str, str], client: Client | None, usable: frozenset[str]) -> str:
    """Return the redirect URI that answers may go to; raise a Refusal shown as a page when there is none.

    ``usable`` are the statuses in which a client may act here.
    """
    if client is None:
        raise UnknownClient
    uri = parameters.get("redirect_uri")
    if uri is None or not matches_redirect_uri(client, uri):
        raise BadRedirectUri(department=client.name, department_en=client.name_en, home_url=find_home(client))
    if client.status not in usable:
        raise ClientSuspended(department=client.name, department_en=client.name_en, home_url=find_home(client))
    return uri


def read_authorization_request(parameters: Mapping[str, str], client: Client, redirect_uri: str) -> AuthorizationRequest:
    """Return what the client asks for; raise ProtocolError, which is redirected back to it."""
    response_type = parameters.get("response_type")
    if response_type is None:
        raise ProtocolError("invalid_request", "response_type is missing.")
    if response_type not in RESPONSE_TYPES:
        raise ProtocolError("unsupported_response_type", "Only response_type=code is offered.")
    if GrantType.AUTHORIZATION_CODE not in client.grant_types:
        raise ProtocolError("unauthorized_client", "This client is not registered for the authorization code grant.")
    response_mode = read_response_mode(parameters, client)
    requested = read_scope(parameters.get("scope", ""))
    if "openid" not in requested:
        raise ProtocolError("invalid_scope", "The scope openid is required.")
    scope = choose_client_scope(requested, client)
    terms, essential, subject = _read_further(parameters, client)
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scope=scope,
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        challenge=_read_challenge(parameters, client),
        prompts=_read_prompts(parameters),
        max_age=_read_max_age(parameters, client),
        wanted=_find_wanted(parameters, client, terms.claims),
        login_hint=parameters.get("login_hint"),
        id_token_hint=parameters.get("id_token_hint"),
        ui_locales=parameters.get("ui_locales"),
        response_mode=response_mode,
        dpop_jkt=_read_dpop_jkt(parameters),
        essential=essential,
        subject=subject,
        terms=terms,
    )


def list_requestable(client: Client) -> frozenset[str]:
    """Return the claims that a client may name: those of the scopes it is registered for, and what every ID Token says."""
    return TOKEN_CLAIMS.union(list_claims(name for name in SCOPES if name == "openid" or name in client.scopes))


def _read_further(parameters: Mapping[str, str], client: Client) -> tuple[Terms, tuple[Acr, ...], str | None]:
    """Return the terms, the classes that are essential and the subject that is demanded; raise ProtocolError."""
    if not ("claims" in parameters or "resource" in parameters or "authorization_details" in parameters):
        return NO_TERMS, (), None
    claims = read_claims_request(parameters["claims"], list_requestable(client)) if "claims" in parameters else None
    terms = Terms(
        resources=choose_resources(parameters, client),
        claims=claims if claims is not None and claims != ClaimsRequest() else None,
        authorization_details=read_authorization_details(parameters.get("authorization_details"), client),
    )
    keep_terms(terms)
    return terms, _read_essential_acrs(claims), _read_demanded_subject(claims)


def _read_essential_acrs(claims: ClaimsRequest | None) -> tuple[Acr, ...]:
    asked = claims.id_token.claims.get(ACR_CLAIM) if claims is not None else None
    if asked is None or not asked.essential or not asked.values:
        return ()
    known = tuple(_ACRS[value] for value in asked.values if isinstance(value, str) and value in _ACRS)
    if not known:
        raise ProtocolError("unmet_authentication_requirements", "None of the classes that are essential is known here.")
    return known


def _read_demanded_subject(claims: ClaimsRequest | None) -> str | None:
    asked = claims.id_token.claims.get(SUB_CLAIM) if claims is not None else None
    if asked is None or not asked.values:
        return None
    if len(asked.values) > 1 or not isinstance(asked.values[0], str):
        raise ProtocolError("invalid_request", "The claim sub is asked for with one value.")
    return asked.values[0]


def _read_dpop_jkt(parameters: Mapping[str, str]) -> str | None:
    thumbprint = parameters.get("dpop_jkt")
    if thumbprint is not None and not _THUMBPRINT.fullmatch(thumbprint):
        raise ProtocolError("invalid_request", "dpop_jkt is not a base64url SHA-256 thumbprint.")
    return thumbprint


def _read_challenge(parameters: Mapping[str, str], client: Client) -> str | None:
    challenge = parameters.get("code_challenge")
    method = parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise ProtocolError("invalid_request", "code_challenge_method came without code_challenge.")
        if client.requires_pkce or find_demands(client.profile).pkce:
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


def _read_max_age(parameters: Mapping[str, str], client: Client) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return client.requests.default_max_age
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ProtocolError("invalid_request", "max_age must be a number of seconds.")
    return int(text)


def _find_wanted(parameters: Mapping[str, str], client: Client, claims: ClaimsRequest | None) -> Acr | None:
    """Return the class that is preferred: of ``acr_values``, else of the claims request, else what the client is registered with."""
    if "acr_values" in parameters:
        return read_acr_values(parameters)
    asked = claims.id_token.claims.get(ACR_CLAIM) if claims is not None else None
    if asked is not None and asked.values:
        return _find_first_acr(value for value in asked.values if isinstance(value, str))
    preferred = client.requests.default_acr_values
    return _find_first_acr(preferred) if preferred else None


def read_acr_values(parameters: Mapping[str, str]) -> Acr | None:
    """Return the first listed class that is known (OpenID Connect Core §3.1.2.1: in order of preference)."""
    return _find_first_acr(parameters.get("acr_values", "").split())


def _find_first_acr(texts: Iterable[str]) -> Acr | None:
    return next((_ACRS[text] for text in texts if text in _ACRS), None)
