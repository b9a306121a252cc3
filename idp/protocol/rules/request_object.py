"""Decides whether a request object may be used, and which parameters it stands for (RFC 9101, OpenID Connect Core §6)."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import Client
from idp.protocol.rules.parameters import LONGER, MAX_VALUE
from idp.protocol.rules.profile import find_demands

TYPES = ("oauth-authz-req+jwt", "JWT", "")
"""What the header may say of itself: the type of RFC 9101 §10.8, or nothing much, as older clients do."""

NESTED = frozenset({"request", "request_uri"})
AGREEING = ("client_id", "response_type")
"""Parameters that also stand outside and then say the same (OpenID Connect Core §6.1)."""


def refuse_object(description: str, hint: str = "") -> ProtocolError:
    """Return the error of an unusable request object (RFC 9101 §7)."""
    return ProtocolError("invalid_request_object", description, hint)


def demands_signature(client: Client) -> bool:
    """Tell whether this client's requests must be signed (RFC 9101 §10.5, FAPI 2.0 Message Signing §5.3)."""
    return client.requests.require_signed_request_object or find_demands(client.profile).signed_request


def demands_pushing(client: Client) -> bool:
    """Tell whether this client must push its requests (RFC 9126 §6, FAPI 2.0 Security Profile §5.3.2.2)."""
    return client.requests.require_pushed_authorization_requests or find_demands(client.profile).pushed_request


def check_object(claims: Mapping[str, Any], client: Client, issuer: str, now: int) -> None:
    """Raise ProtocolError ``invalid_request_object`` unless the JWT is by this client, for us, and of this time.

    Where requests must be signed, ``iss``, ``aud``, ``nbf`` and ``exp`` must be there and lie at most an hour apart and back; elsewhere
    they must fit when they are there. Instants may be as far ahead as the profile allows. What names the client as its subject is a client
    assertion, or could be used as one (RFC 9101 §10.8).
    """
    demands, signed = find_demands(client.profile), demands_signature(client)
    if claims.get("iss", None if signed else client.client_id) != client.client_id:
        raise refuse_object("iss must be the client_id.")
    audience = claims.get("aud", None if signed else issuer)
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise refuse_object("aud must be the issuer.")
    if claims.get("sub") == client.client_id:
        raise refuse_object("sub must not be the client_id.")
    if NESTED & claims.keys():
        raise refuse_object("A request object holds no other one.")
    expires_at, begins_at = (_read_instant(claims, name, required=signed) for name in ("exp", "nbf"))
    if expires_at is not None and expires_at <= now - demands.ahead:
        raise refuse_object("The request object has expired.")
    if begins_at is not None and begins_at > now + demands.ahead:
        raise refuse_object("The request object is not valid yet.")
    if signed and begins_at is not None and expires_at is not None:
        if begins_at < now - demands.request_seconds:
            raise refuse_object("The request object is too old.")
        if expires_at - begins_at > demands.request_seconds:
            raise refuse_object("The request object lives too long.")


def read_object_parameters(claims: Mapping[str, Any], outside: Mapping[str, str], client: Client, names: Collection[str]) -> dict[str, str]:
    """Return the parameters of the request; raise ProtocolError ``invalid_request_object``.

    ``names`` are the parameters that the endpoint reads: all other claims are the JWT's own, or ignored whatever they hold (RFC 6749 §3.1).
    Where requests must be signed, what stands outside counts for nothing (RFC 9101 §6.3); elsewhere it completes the object, which comes
    first (OpenID Connect Core §6.1). ``client_id`` and ``response_type`` never differ.
    """
    inside = {name: _write_parameter(name, value) for name, value in claims.items() if name in names and value is not None}
    for name in AGREEING:
        if name in inside and inside[name] != outside.get(name, inside[name]):
            raise refuse_object(f"{name} differs inside and outside of the request object.")
    if inside.get("client_id", client.client_id) != client.client_id:
        raise refuse_object("The request object is of another client.")
    completed = {} if demands_signature(client) else {name: value for name, value in outside.items() if name not in NESTED}
    return {**completed, **inside, "client_id": client.client_id}


def _write_parameter(name: str, value: object) -> str:
    """Return a claim as the text that the parameter would have been."""
    if name == "resource" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = " ".join(value)
    elif isinstance(value, str):
        text = value
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        raise refuse_object("A parameter of the request object is neither a text nor a number.")
    if len(text) > LONGER.get(name, MAX_VALUE) or any(character < " " or character == "\x7f" for character in text):
        raise refuse_object("A parameter of the request object is too long or holds control characters.")
    return text


def _read_instant(claims: Mapping[str, Any], name: str, *, required: bool) -> int | None:
    value = claims.get(name)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse_object(f"{name} must be there as a number of seconds.")
    return int(value)
