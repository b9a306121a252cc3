"""Decides which classes a person can reach to the benefit of another device: never more than ``substantial`` (protocol.md §2, ADR 0019)."""

from collections.abc import Iterable, Mapping

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import ACR_ORDER, RESISTANT, Acr, Factor, Proved, meets
from idp.protocol.rules.authorization_request import list_requestable
from idp.protocol.rules.claims_request import read_claims_request
from idp.protocol.rules.client import Client
from idp.protocol.rules.demand import place

HIGHEST = Acr.SUBSTANTIAL
ACR_CLAIM = "acr"


def lower(acr: Acr) -> Acr:
    """Return what of this class is told to another device."""
    return min(place(acr), HIGHEST, key=ACR_ORDER.index)


def list_told(proved: Iterable[Proved]) -> tuple[Proved, ...]:
    """Return the factors that are told: a passkey resists phishing on the person's own device, not on the one that asked."""
    return tuple(p for p in proved if p.factor is not Factor.PASSKEY)


def serves(client: Client) -> bool:
    """Tell whether another device can be enough for this client."""
    return meets(HIGHEST, client.minimum_acr)


def check_classes(parameters: Mapping[str, str], client: Client) -> None:
    """Raise ProtocolError for a client, or an essential class of the claims request, that needs more than another device is told."""
    if not serves(client):
        raise ProtocolError("unauthorized_client", "This client's minimum class is not reached from another device.", redirectable=False)
    if "claims" not in parameters:
        return
    asked = read_claims_request(parameters["claims"], list_requestable(client)).id_token.claims.get(ACR_CLAIM)
    if asked is None or not asked.essential or not asked.values:
        return
    if not any(_is_reached(value) for value in asked.values):
        raise ProtocolError("invalid_request", "The essential class is not reached from another device.", redirectable=False)


def _is_reached(value: object) -> bool:
    known = next((acr for acr in Acr if acr.value == value), None)
    return known is not None and known not in RESISTANT and meets(HIGHEST, place(known))
