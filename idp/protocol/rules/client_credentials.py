"""Decides which credentials a request shows: exactly one kind, and whose (RFC 6749 §2.3, RFC 7521 §4.2)."""

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import AuthMethod

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_AUTHORIZATION = 4_096

BY_ASSERTION = frozenset({AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SECRET_JWT})
BY_SECRET = frozenset({AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST})
"""What a request with a secret may mean, wherever it stands: whoever has a secret may always use Basic (RFC 6749 §2.3.1), and which of the
two is registered is said of the token endpoint alone (RFC 7591 §2)."""

BY_CONNECTION = frozenset({AuthMethod.NONE, AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS})
"""What a request without credentials may mean; a certificate is not sent, it is there or not."""


class Presented(NamedTuple):
    """What a request shows. ``methods`` are the registered methods that it can be; ``client_id`` is "" where only an assertion names it."""

    methods: frozenset[AuthMethod]
    client_id: str
    secret: str = ""
    assertion: str = ""


def read_presented(authorization: bytes | None, parameters: Mapping[str, str]) -> Presented:
    """Return the credentials of a request; raise ProtocolError ``invalid_request`` for two kinds at once, ``invalid_client`` for none."""
    client_id, secret = parameters.get("client_id"), parameters.get("client_secret")
    if "client_assertion" in parameters or "client_assertion_type" in parameters:
        if authorization is not None or secret is not None:
            raise ProtocolError("invalid_request", "The client authenticated in two ways at once.", redirectable=False)
        return _read_assertion(client_id or "", parameters)
    if authorization is not None:
        if secret is not None:
            raise ProtocolError("invalid_request", "The client authenticated in two ways at once.", redirectable=False)
        named, secret = _read_basic(authorization)
        if client_id is not None and client_id != named:
            raise ProtocolError("invalid_request", "Two different client_id values were sent.", redirectable=False)
        # An empty secret may as well be left out (RFC 6749 §2.3.1): libraries put the bare id of a public client into the header.
        return Presented(BY_SECRET, named, secret) if secret else Presented(BY_CONNECTION, named)
    if client_id is None:
        raise make_invalid_client("no credentials")
    if secret is None:
        return Presented(BY_CONNECTION, client_id)
    return Presented(BY_SECRET, client_id, secret)


def make_invalid_client(hint: str) -> ProtocolError:
    """Return the one answer to whoever is not who they say; ``hint`` is for our log."""
    return ProtocolError("invalid_client", "Client authentication failed.", hint, redirectable=False)


def _read_assertion(client_id: str, parameters: Mapping[str, str]) -> Presented:
    if parameters.get("client_assertion_type") != ASSERTION_TYPE:
        raise make_invalid_client("another type of assertion")
    assertion = parameters.get("client_assertion")
    if not assertion:
        raise make_invalid_client("no assertion")
    return Presented(BY_ASSERTION, client_id, assertion=assertion)


def _read_basic(authorization: bytes) -> tuple[str, str]:
    """Return id and secret of a Basic header; both are form-urlencoded inside (RFC 6749 §2.3.1)."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic" or len(value) > MAX_AUTHORIZATION:
        raise make_invalid_client("not Basic")
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).partition(b":")
        if not colon:
            raise make_invalid_client("no colon")
        return _unquote(client_id), _unquote(secret)
    except (binascii.Error, UnicodeDecodeError):
        raise make_invalid_client("malformed Basic") from None


def _unquote(raw: bytes) -> str:
    text = unquote_to_bytes(raw.replace(b"+", b" ")) if b"%" in raw or b"+" in raw else raw
    return text.decode("utf-8")
