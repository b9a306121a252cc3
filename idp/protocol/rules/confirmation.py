"""Decides how the key that tokens are bound to is written, shown and compared (RFC 7800, RFC 8705 §3, RFC 9449 §6)."""

from enum import StrEnum

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import Client
from idp.protocol.rules.profile import find_demands


class Holding(StrEnum):
    """How a key is proved: by a signed proof, or by the TLS connection."""

    DPOP = "jkt"
    CERTIFICATE = "x5t#S256"


def write_confirmation(holding: Holding, thumbprint: str) -> str:
    """Return what grants, codes and tokens keep of a proved key."""
    return f"{holding.value}:{thumbprint}"


def read_holding(confirmation: str) -> Holding:
    """Return how a kept key is proved."""
    return Holding(confirmation.partition(":")[0])


def describe_confirmation(confirmation: str) -> dict[str, str]:
    """Return ``cnf`` as access tokens and introspection show it."""
    method, _, thumbprint = confirmation.partition(":")
    return {method: thumbprint}


def find_token_type(confirmation: str | None) -> str:
    """Return ``token_type``: a certificate-bound token is still sent as Bearer (RFC 8705 §3)."""
    return "DPoP" if confirmation is not None and read_holding(confirmation) is Holding.DPOP else "Bearer"


def may_continue(bound: str | None, proved: str | None, authenticated: bool) -> bool:
    """Tell whether a refresh that proved ``proved`` may continue what is bound to ``bound``.

    A client that authenticated may change its key, not give up proving one (RFC 8705 §4, RFC 9449 §5); a public one has only its key.
    """
    if bound is None:
        return True
    if proved is None or not authenticated:
        return proved == bound
    return read_holding(proved) is read_holding(bound)


def choose_lasting(bound: str | None, proved: str | None, authenticated: bool) -> str | None:
    """Return the key that a grant, bound to ``bound``, names once a refresh that may continue it proved ``proved``.

    A public client's refresh tokens are bound from the first proof on, also where the grant began without one (RFC 9449 §5, RFC 8705 §4).
    Those of a client that authenticates are its own without a key; begun so, they go on so.
    """
    return None if bound is None and authenticated else proved


def may_repeat(bound: str | None, proved: str | None, authenticated: bool) -> bool:
    """Tell whether a refresh that proved ``proved`` may be the one before once more, whose key the grant names as ``bound``.

    Without a key only a client that authenticated can be told from whoever found its token (RFC 9700 §4.14.2).
    """
    return authenticated if bound is None else proved == bound


def check_constraint(client: Client, proved: str | None) -> None:
    """Raise ProtocolError ``invalid_request`` when tokens of this client must be bound to a key and the request proved none of that kind.

    ``invalid_dpop_proof`` is for a proof that is there and wrong (RFC 9449 §5).
    """
    if client.requests.dpop_bound_access_tokens and (proved is None or read_holding(proved) is not Holding.DPOP):
        raise ProtocolError("invalid_request", "This client's tokens are bound to a DPoP proof; there is none.", redirectable=False)
    if client.tls.tls_client_certificate_bound_access_tokens and proved is None:
        raise ProtocolError("invalid_request", "This client's tokens are bound to a certificate; there is none.", redirectable=False)
    if find_demands(client.profile).sender_constraint and proved is None:
        raise ProtocolError("invalid_request", "This client's profile binds tokens to a key; none was proved.", redirectable=False)
