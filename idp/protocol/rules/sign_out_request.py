"""Decides what a sign-out request may do: end the session, ask first, and where to return (RP-Initiated Logout 1.0)."""

from collections.abc import Mapping
from dataclasses import dataclass

from idp.protocol.rules.client import Client
from idp.protocol.rules.client_status import CLOSED
from idp.protocol.rules.response_url import build_response_url

PARAMETERS = frozenset({"id_token_hint", "client_id", "post_logout_redirect_uri", "state"})
"""The parameters that are read; all others are ignored and not kept."""


@dataclass(frozen=True)
class EndAtOnce:
    """The client proved that it means this session, or there is none: no question. ``return_url`` None: our own page.

    ``refused``: the client gave an address that it did not register; the person reads why they stay here.
    """

    return_url: str | None
    refused: bool = False


@dataclass(frozen=True)
class AskFirst:
    """Anybody could have sent the browser here: the person decides."""

    return_url: str | None
    refused: bool = False


SignOutDecision = EndAtOnce | AskFirst


def may_use_hint(parameters: Mapping[str, str], hinted_client_id: str) -> bool:
    """Tell whether the hint was issued to the client that ``client_id`` names, if it names one (§2).

    One that was not is as good as none: nothing is taken from it (§4).
    """
    return parameters.get("client_id", hinted_client_id) == hinted_client_id


def decide_sign_out(
    parameters: Mapping[str, str], client: Client | None, hinted_sid: str | None, session_sid: str | None
) -> SignOutDecision:
    """Return what to do.

    ``client`` is the one that a valid ``id_token_hint`` that may be used was issued to (None without one: then nobody is returned to,
    §3, and neither to a closed one); ``session_sid`` is what that client knows the live session as, None when there is no session.
    """
    return_url = _find_return_url(parameters, client)
    refused = client is not None and client.status not in CLOSED and return_url is None and "post_logout_redirect_uri" in parameters
    if session_sid is None:
        return EndAtOnce(return_url, refused)
    if client is not None and hinted_sid == session_sid:
        return EndAtOnce(return_url, refused)
    return AskFirst(return_url, refused)


def _find_return_url(parameters: Mapping[str, str], client: Client | None) -> str | None:
    uri = parameters.get("post_logout_redirect_uri")
    if client is None or client.status in CLOSED or uri is None or uri not in client.post_logout_redirect_uris:
        return None
    state = parameters.get("state")
    return uri if state is None else build_response_url(uri, {"state": state})
