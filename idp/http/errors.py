"""Decides which status every refusal and protocol error has, and how each is told: the one table of architecture decision 14."""

import json
from collections.abc import Collection, Mapping
from typing import Final

from idp.http.responses import NO_STORE, Header
from idp.kernel.errors import ProtocolError, Refusal

REFUSAL_STATUS: Final[dict[str, int]] = {
    # what a person can correct in the form before them
    "wrong_credentials": 422,
    "code_wrong": 422,
    "code_dead": 422,
    "code_gone": 422,
    "code_or_document_wrong": 422,
    "current_password_wrong": 422,
    "password_unchanged": 422,
    "own_datum_unchanged": 422,
    "password_length": 422,
    "password_personal": 422,
    "password_common": 422,
    "passkey_refused": 422,
    "passkey_of_another": 422,
    "passkeys_full": 409,
    "last_way_in": 409,
    # what time heals
    "sign_in_delayed": 429,
    "sign_in_locked": 429,
    "code_sign_in_locked": 429,
    "resend_locked": 429,
    "sending_locked": 429,
    "sms_for_another": 429,
    "sms_too_soon": 429,
    "sms_limit_reached": 429,
    "too_many_flows": 429,
    "sms_busy": 503,
    "busy": 503,
    "proof_wanted": 503,
    # the flow
    "interaction_expired": 410,
    "interaction_finished": 410,
    "foreign_browser": 403,
    "step_repeated": 409,
    "form_forged": 403,
    "session_idle": 401,
    "session_total": 401,
    "level_unreachable": 403,
    "passkey_missing": 403,
    "second_factor_missing": 403,
    "barred_here": 403,
    # registration and further checks
    "identity_mismatch": 422,
    "identity_not_found": 422,
    "items_too_few": 422,
    "items_insufficient": 422,
    "item_is_document": 422,
    "phone_full": 422,
    "checks_limited": 429,
    "checks_busy": 429,
    "starts_limited": 429,
    "authority_unavailable": 503,
    "still_checking": 409,
    "draft_moved": 409,
    "draft_expired": 410,
    "account_exists": 409,
    "registration_refused": 403,
    "not_raisable": 403,
    # requests of other devices
    "request_gone": 410,
    "request_of_another": 403,
    "request_refused_here": 403,
    "device_form_forged": 403,
    "device_tries_limited": 429,
    "ticket_refused": 403,
    "another_person_here": 409,
    # what was posted
    "bad_form": 400,
    "form_too_large": 413,
    # the account
    "account_banned": 403,
    "account_frozen": 403,
    "account_closing": 403,
    "account_closed": 403,
    "account_deceased": 403,
    "account_pending": 403,
    "register_unknown": 403,
    "recovery_unproved": 422,
    "recovery_gone": 410,
    "recovery_day": 403,
    "freeze_impossible": 409,
    # what the department asked
    "unknown_client": 400,
    "bad_redirect_uri": 400,
    "client_suspended": 403,
    "repeated_parameter": 400,
    "parameter_too_long": 400,
    "request_refused": 400,
    "request_uri_used": 400,
    "nobody_represented": 403,
    # the address
    "not_found": 404,
    "method_not_allowed": 405,
    "wrong_host": 421,
    # ours
    "fault": 500,
}
"""Refusal code → status. A test walks every Refusal subclass and demands a row here and texts in both languages."""

PROTOCOL_STATUS: Final[dict[str, int]] = {
    "invalid_client": 401,
    "invalid_token": 401,
    "insufficient_scope": 403,
    "temporarily_unavailable": 503,
    "server_error": 500,
}
"""OAuth error → status where it is not 400 (RFC 6749 §5.2, RFC 6750 §3.1)."""

MACHINE_LINES: Final[dict[str, str]] = {
    "bad_form": "The body cannot be read as a form.",
    "form_too_large": "The body is too large.",
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "This address does not take this method.",
    "wrong_host": "The request names another host than the one of this provider.",
    "busy": "The provider cannot take this request at the moment; nothing was done.",
    "fault": "The provider failed to answer this request.",
}
"""Refusal code → what a program is told: it has no page to go back to, and nothing to type again."""

BUSY_RETRY_SECONDS: Final = 5


class NotFound(Refusal):
    """There is no page at this address."""

    code = "not_found"


class MethodNotAllowed(Refusal):
    """This address is not asked in this way."""

    code = "method_not_allowed"


class Busy(Refusal):
    """We cannot take this request at the moment; nothing was done."""

    code = "busy"


class WrongHost(Refusal):
    """The request names a host that is not ours."""

    code = "wrong_host"


def find_refusal_status(code: str) -> int:
    """Return the status of a refusal; an unlisted code is our fault."""
    return REFUSAL_STATUS.get(code, 500)


def judge_form(errors: Collection[object], refusal: Refusal | None) -> tuple[int, dict[str, str] | None]:
    """Return the status of a page that shows a form, and when to come back if time heals it (Retry-After, RFC 9110 §10.2.3).

    200 for a form as it is asked for, 422 for ``errors`` in what was typed; a refusal has its own.
    """
    if refusal is None:
        return 422 if errors else 200, None
    status = find_refusal_status(refusal.code)
    return status, write_wait(status, refusal.facts)


def write_wait(status: int, facts: Mapping[str, object]) -> dict[str, str] | None:
    """Return the Retry-After header of a refusal that time heals, None of any other; the fact ``seconds`` says how much."""
    return {"retry-after": str(facts.get("seconds", BUSY_RETRY_SECONDS))} if status in (429, 503) else None


def find_protocol_status(error: ProtocolError) -> int:
    """Return the status of an OAuth error that is answered as JSON."""
    return PROTOCOL_STATUS.get(error.error, 400)


def write_protocol_error(error: ProtocolError) -> bytes:
    """Return the JSON body of RFC 6749 §5.2; the private hint stays private."""
    return json.dumps({"error": error.error, "error_description": error.description}, separators=(",", ":")).encode()


def write_protocol_headers(error: ProtocolError, status: int) -> list[Header]:
    """Return the headers of an OAuth error answer, with the challenge that a 401 owes (RFC 6749 §5.2, RFC 6750 §3)."""
    headers = [NO_STORE]
    if error.realm:
        headers.append((b"www-authenticate", b'Bearer realm="' + error.realm.encode() + b'"'))
    elif error.error in ("invalid_token", "insufficient_scope"):
        headers.append((b"www-authenticate", b'Bearer error="' + error.error.encode() + b'"'))
    elif status == 401:
        headers.append((b"www-authenticate", b'Basic realm="token", charset="UTF-8"'))
    elif status == 503:
        headers.append((b"retry-after", b"%d" % BUSY_RETRY_SECONDS))
    return headers


def write_retry_headers(status: int) -> list[Header]:
    """Return the headers of a refusal that is answered to a machine: when to come again, if it was too much for now."""
    return [NO_STORE, (b"retry-after", b"%d" % BUSY_RETRY_SECONDS)] if status == 503 else [NO_STORE]


def write_refusal_as_json(code: str, description: str, request_id: str) -> bytes:
    """Return the JSON body that a machine gets where a person would get the error page."""
    body = {"error": code, "error_description": description, "request_id": request_id}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
