"""Decides how a program is told what went wrong at the administration's addresses: one JSON problem, always of one shape (RFC 9457)."""

import json
from typing import Final

from starlette.types import Send

from idp.http.responses import NO_STORE, Header

PREFIX: Final = "/admin/"
"""Where every refusal is a problem, also those that the shell makes."""

MEDIA_TYPE: Final = "application/problem+json"

PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "invalid_request": (400, "The request cannot be read"),
    "bad_query": (400, "The query cannot be read"),
    "bad_body": (400, "The body cannot be read"),
    "invalid_token": (401, "The access token is not valid"),
    "invalid_dpop_proof": (401, "The DPoP proof is not valid"),
    "use_dpop_nonce": (401, "The DPoP proof needs our nonce"),
    "insufficient_scope": (403, "The access token does not allow this"),
    "own_request": (403, "Somebody else has to decide this"),
    "operators_only": (403, "A client that administers others is changed by an operator's command alone"),
    "not_yours": (403, "Only who asked for it takes the secret"),
    "no_client": (404, "There is no such client"),
    "no_change": (404, "There is no such change"),
    "client_exists": (409, "The id is taken"),
    "change_waits": (409, "Another change of this client waits for a second person"),
    "not_waiting": (409, "The change does not wait any more"),
    "no_secret": (409, "There is no secret to be taken"),
    "wrong_status": (409, "The client's status does not allow this"),
    "key_in_use": (409, "The request with this Idempotency-Key is not finished"),
    "version_moved": (412, "The client was changed meanwhile"),
    "bad_metadata": (422, "A value is not acceptable"),
    "key_reused": (422, "The Idempotency-Key was used for another request"),
    "version_missing": (428, "Say which version is changed"),
}
"""Code → status and title, where it is not one of the refusals that errors.py lists. The code stays; sentences may change."""

WAYS_ON: Final[dict[str, str]] = {
    "version_moved": "Read the client again and repeat the change with its new version in If-Match.",
    "version_missing": "Send If-Match with the ETag that the client was read with.",
    "change_waits": "Have it approved or refused at /admin/v1/client-changes first.",
    "own_request": "Ask a colleague whose client has the scope clients:approve; you may only take it back by refusing it.",
    "operators_only": "Ask whoever runs this provider.",
    "client_exists": "Choose another client_id, or leave it out.",
    "key_reused": "Use a new key for a new request.",
    "key_in_use": "Wait a moment and repeat the same request.",
}
"""Code → what the caller can do, where the code alone does not say it."""


class Problem(Exception):
    """Something a program can act on; ``field`` is the metadata, header or parameter it is about."""

    def __init__(self, code: str, detail: str = "", field: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.field = field


def write_problem(status: int, code: str, title: str, detail: str = "", field: str = "") -> bytes:
    """Return the body of a problem. ``type`` stays "about:blank": the code says what it is."""
    body: dict[str, object] = {"type": "about:blank", "title": title, "status": status, "code": code}
    text = " ".join(part for part in (detail, WAYS_ON.get(code, "")) if part)
    if text:
        body["detail"] = text
    if field:
        body["field"] = field
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


async def send_problem(send: Send, status: int, body: bytes, headers: tuple[Header, ...] = ()) -> None:
    """Answer with a problem."""
    own = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body)), NO_STORE, *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})
