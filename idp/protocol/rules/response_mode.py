"""Decides how an answer travels back to the client: in the address, by a form, or as a JWT in either (Form Post Response Mode, JARM)."""

from collections.abc import Mapping
from enum import StrEnum

from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.profile import find_demands


class ResponseMode(StrEnum):
    """How an answer travels; ``fragment`` is for no code (OAuth 2.0 Multiple Response Type Encoding Practices §2.1)."""

    QUERY = "query"
    FORM_POST = "form_post"
    QUERY_JWT = "query.jwt"
    FORM_POST_JWT = "form_post.jwt"
    JWT = "jwt"

    @property
    def is_signed(self) -> bool:
        """Tell whether the parameters travel inside a JWT (JARM §2.3)."""
        return self in (ResponseMode.QUERY_JWT, ResponseMode.FORM_POST_JWT, ResponseMode.JWT)

    @property
    def is_posted(self) -> bool:
        """Tell whether the browser posts the parameters."""
        return self in (ResponseMode.FORM_POST, ResponseMode.FORM_POST_JWT)


MODES: Mapping[str, ResponseMode] = {mode.value: mode for mode in ResponseMode}
DEFAULT_JARM_ALGORITHM = "RS256"


def find_response_mode(parameters: Mapping[str, str], client: Client) -> ResponseMode:
    """Return how even an error travels: as it was asked for, signed where the client takes nothing else."""
    text = parameters.get("response_mode")
    if text is None and client.profile is Profile.STANDARD:
        return ResponseMode.QUERY
    mode = MODES.get(text or "", ResponseMode.QUERY)
    if not find_demands(client.profile).signed_response:
        return mode
    return ResponseMode.FORM_POST_JWT if mode.is_posted else ResponseMode.JWT


def read_response_mode(parameters: Mapping[str, str], client: Client) -> ResponseMode:
    """Return the mode that was asked for; raise ProtocolError ``invalid_request`` for one that is not offered, or not to this client."""
    text = parameters.get("response_mode")
    if text is None and client.profile is Profile.STANDARD:
        return ResponseMode.QUERY
    if text is not None and text not in MODES:
        raise ProtocolError("invalid_request", f"response_mode may be {', '.join(MODES)} for this response type.")
    mode = MODES.get(text or "", ResponseMode.QUERY)
    if find_demands(client.profile).signed_response and not mode.is_signed:
        raise ProtocolError("invalid_request", "This client is answered by signed responses only: send response_mode=jwt.")
    return mode


def find_jarm_algorithm(client: Client) -> str:
    """Return what signed responses to a client are signed with: as registered, RS256 by default (JARM §3), never that under a profile."""
    registered = client.responses.authorization_signed_response_alg
    if registered is not None:
        return registered
    return DEFAULT_JARM_ALGORITHM if client.profile is Profile.STANDARD else client.id_token_algorithm
