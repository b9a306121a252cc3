"""Decides which resource servers the tokens of a grant are for (RFC 8707).

The one parameter that may come several times is ``resource``; its values arrive joined by a space, which no URI contains.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import Client
from idp.protocol.rules.origins import USUAL_PORTS
from idp.protocol.rules.terms import Terms, keep_terms, read_terms

MAX_RESOURCES = 10


def read_resources(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Return the resources that are named, each once, in their order; raise ProtocolError ``invalid_target``."""
    text = parameters.get("resource")
    if text is None:
        return ()
    resources = tuple(dict.fromkeys(text.split(" ")))
    if len(resources) > MAX_RESOURCES or not all(is_resource(resource) for resource in resources):
        raise _refuse(f"A resource is an absolute URI without a fragment, and there are at most {MAX_RESOURCES} of them.")
    return resources


def is_resource(text: str) -> bool:
    """Tell whether a text can name a resource: an absolute URI without a fragment (RFC 8707 §2)."""
    if not (text.isascii() and text.isprintable()) or " " in text or "#" in text or len(text) > 500:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path))


def is_of_issuer(resource: str, issuer: str) -> bool:
    """Tell whether a resource has scheme, host and port of the issuer: what is there is ours alone."""
    return _find_origin(resource) == _find_origin(issuer)


def choose_resources(parameters: Mapping[str, str], client: Client) -> tuple[str, ...]:
    """Return what an authorization request names; raise ProtocolError ``invalid_target`` for what this client may not ask for."""
    resources = read_resources(parameters)
    allowed = (*client.requests.allowed_resources, *client.resources)
    if any(resource not in allowed for resource in resources):
        raise _refuse("A resource is not known for this client.")
    return resources


def keep_resources(parameters: Mapping[str, str], client: Client) -> str | None:
    """Return the terms to keep of a request that has no others than its resources, None without one; raise ProtocolError."""
    return keep_terms(Terms(resources=choose_resources(parameters, client)))


def find_audience(granted: tuple[str, ...], parameters: Mapping[str, str]) -> str | None:
    """Return the one resource that the access token of this token request is for, None for UserInfo alone.

    Raises ProtocolError ``invalid_target`` for one that was not granted, for more than one, and when several were granted and none is
    named (RFC 8707 §2.2).
    """
    named = read_resources(parameters)
    if any(resource not in granted for resource in named):
        raise _refuse("A resource was not part of the authorization request.")
    wanted = named or granted
    if len(wanted) > 1:
        raise _refuse("Name exactly one resource: an access token is for one audience.")
    return wanted[0] if wanted else None


def choose_audience(terms: str | None, parameters: Mapping[str, str], otherwise: str | None) -> str | None:
    """Return the audience of the access token of this answer: by the grant's stored ``terms``, ``otherwise`` where they name no resource.

    Raises ProtocolError as find_audience does.
    """
    granted = () if terms is None else read_terms(terms).resources
    if granted or parameters.get("resource", otherwise) != otherwise:
        return find_audience(granted, parameters)
    return otherwise


def _find_origin(uri: str) -> tuple[str, str, int | None]:
    parts = urlsplit(uri)
    try:
        port = parts.port
    except ValueError:
        port = -1  # not a port, so nobody's
    return parts.scheme, (parts.hostname or "").rstrip("."), port or USUAL_PORTS.get(parts.scheme)


def _refuse(description: str) -> ProtocolError:
    return ProtocolError("invalid_target", description)
