"""Decides whether a back-channel authentication request is complete, and whether it reaches a person (CIBA §7.1, protocol.md §2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import Client, GrantType
from idp.protocol.rules.client_metadata import DeliveryMode, Profile
from idp.protocol.rules.decoupled_request import is_message

LIFE = 300
SIGNED_LIFE = 3_600
MAX_JTI = 200
BESIDE = frozenset({"request", "client_id", "client_secret", "client_assertion", "client_assertion_type"})
PARAMETERS = frozenset(
    {
        "client_id",
        "scope",
        "acr_values",
        "claims",
        "login_hint",
        "login_hint_token",
        "id_token_hint",
        "binding_message",
        "requested_expiry",
        "client_notification_token",
        "resource",
        "authorization_details",
    }
)
"""The parameters that are read, of a signed request too; all others are ignored."""

LONGEST_LIFE = 600
INTERVAL = 5
MAX_HINT = 100
MAX_NOTIFICATION_TOKEN = 1_024
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*\Z")

IN_TEN_MINUTES = 3
DENIALS = 2
"""So many refusals by one person mute a client towards this person for a day."""


@dataclass(frozen=True)
class BackchannelRequest:
    """A valid request. Exactly one of ``login_hint`` (an identifier) and ``id_token_hint`` is there; ``notify`` is "" for polling."""

    login_hint: str | None
    id_token_hint: str | None
    message: str
    life: int
    notify: str


def read_backchannel_request(parameters: Mapping[str, str], client: Client, *, message_required: bool) -> BackchannelRequest:
    """Return what is asked; raise ProtocolError (CIBA §13)."""
    if GrantType.CIBA not in client.grant_types:
        raise ProtocolError("unauthorized_client", "This client is not registered for back-channel authentication.", redirectable=False)
    if "login_hint_token" in parameters:
        raise ProtocolError("invalid_request", "login_hint_token is not offered; send login_hint or id_token_hint.", redirectable=False)
    hints = [parameters.get(name) for name in ("login_hint", "id_token_hint")]
    if sum(hint is not None for hint in hints) != 1:
        raise ProtocolError("invalid_request", "Send exactly one of login_hint and id_token_hint.", redirectable=False)
    login_hint, id_token_hint = hints
    if login_hint is not None and len(login_hint) > MAX_HINT:
        raise ProtocolError("invalid_request", "login_hint is too long.", redirectable=False)
    message = parameters.get("binding_message", "")
    if message and not is_message(message):
        raise ProtocolError(
            "invalid_binding_message", "binding_message is one printable line of at most 100 characters.", redirectable=False
        )
    if message_required and not message:
        raise ProtocolError("invalid_binding_message", "binding_message is required.", redirectable=False)
    return BackchannelRequest(login_hint, id_token_hint, message, _read_life(parameters), _read_notification_token(parameters, client))


def demands_signed_request(client: Client) -> bool:
    """Tell whether this client's requests must be signed (CIBA §4, FAPI-CIBA §5.2.2)."""
    return client.ciba.backchannel_authentication_request_signing_alg is not None or client.profile is not Profile.STANDARD


def check_signed_request(claims: Mapping[str, Any], parameters: Mapping[str, str]) -> str:
    """Return the ``jti`` of a signed request whose signature holds; raise ProtocolError (CIBA §7.1.1).

    ``parameters`` are those beside it: nothing but the client's authentication may stand there.
    """
    if not all(isinstance(claims.get(name), int) for name in ("exp", "iat", "nbf")) or not {"iss", "aud"} <= claims.keys():
        raise ProtocolError("invalid_request", "A signed request carries iss, aud, exp, iat, nbf and jti.", redirectable=False)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI:
        raise ProtocolError("invalid_request", "A signed request carries a jti of at most 200 characters.", redirectable=False)
    if claims["exp"] - claims["nbf"] > SIGNED_LIFE:
        raise ProtocolError("invalid_request", "A signed request lives at most an hour.", redirectable=False)
    if not parameters.keys() <= BESIDE:
        raise ProtocolError("invalid_request", "Beside a signed request stands the client's authentication alone.", redirectable=False)
    return jti


def _read_life(parameters: Mapping[str, str]) -> int:
    text = parameters.get("requested_expiry")
    if text is None:
        return LIFE
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ProtocolError("invalid_request", "requested_expiry must be a positive number of seconds.", redirectable=False)
    return min(int(text), LONGEST_LIFE)


def _read_notification_token(parameters: Mapping[str, str], client: Client) -> str:
    if client.ciba.backchannel_token_delivery_mode != DeliveryMode.PING.value:
        return ""
    token = parameters.get("client_notification_token", "")
    if not (0 < len(token) <= MAX_NOTIFICATION_TOKEN and _TOKEN68.match(token)):
        raise ProtocolError(
            "invalid_request", "client_notification_token is required, a bearer token of at most 1024 characters.", redirectable=False
        )
    return token
