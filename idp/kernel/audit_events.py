"""Decides what an audit event may carry: ids, codes and times; a raw identifier does not fit its types."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """Every kind of audit event; one word of the domain each."""

    SIGN_IN_SUCCEEDED = "sign_in_succeeded"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_LOCKED = "sign_in_locked"
    STEP_UP_SUCCEEDED = "step_up_succeeded"
    CODE_SENT = "code_sent"
    RESEND_LOCKED = "resend_locked"
    SESSION_ENDED = "session_ended"
    AUTHORIZED = "authorized"
    AUTHORIZATION_REFUSED = "authorization_refused"
    TOKEN_ISSUED = "token_issued"  # noqa: S105
    TOKEN_REFRESHED = "token_refreshed"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    REFUSALS_UNRECORDED = "refusals_unrecorded"
    GRANT_ENDED = "grant_ended"
    LOGOUT_TOLD = "logout_told"
    LOGOUT_UNTOLD = "logout_untold"
    APP_SIGNED_IN = "app_signed_in"
    TICKET_ISSUED = "ticket_issued"
    TICKET_USED = "ticket_used"
    REQUEST_BEGUN = "request_begun"
    REQUEST_REACHED = "request_reached"
    REQUEST_APPROVED = "request_approved"
    REQUEST_DENIED = "request_denied"
    CLAIMS_RELEASED = "claims_released"
    CONSENT_GIVEN = "consent_given"
    CONSENT_DENIED = "consent_denied"
    CLIENT_ADDED = "client_added"
    CLIENT_CHANGED = "client_changed"
    CLIENT_REFUSED = "client_refused"
    CLIENT_SECRET_ROTATED = "client_secret_rotated"  # noqa: S105
    CLIENT_CHANGE_REQUESTED = "client_change_requested"
    CLIENT_CHANGE_APPROVED = "client_change_approved"
    CLIENT_CHANGE_REFUSED = "client_change_refused"
    REGISTRATION_TOKEN_ISSUED = "registration_token_issued"  # noqa: S105
    PERSON_SEEDED = "person_seeded"
    PERSON_REGISTERED = "person_registered"
    PERSON_STATUS_CHANGED = "person_status_changed"
    REGISTRATION_STARTED = "registration_started"
    REGISTRATION_REFUSED = "registration_refused"
    REGISTRATION_EXPIRED = "registration_expired"
    CHECK_MADE = "check_made"
    AGREEMENT_ACCEPTED = "agreement_accepted"
    LEVEL_RAISED = "level_raised"
    PHONE_BOUND = "phone_bound"
    PHONE_TAKEN_OVER = "phone_taken_over"
    PHONE_FROZEN = "phone_frozen"
    PROFILE_CHANGED = "profile_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_RECOVERED = "password_recovered"  # noqa: S105
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    APPLICATION_BAN_CHANGED = "application_ban_changed"
    RECOVERY_STARTED = "recovery_started"
    RECOVERY_REFUSED = "recovery_refused"
    ACCOUNT_FROZEN = "account_frozen"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    KEY_CREATED = "key_created"
    KEY_ROTATED = "key_rotated"
    KEY_REVOKED = "key_revoked"
    KEY_REMOVED = "key_removed"
    KEY_ENCRYPTION_EXCHANGED = "key_encryption_exchanged"


class Result(StrEnum):
    """How the action ended."""

    DONE = "done"
    REFUSED = "refused"


Detail = str | int | bool | None


@dataclass(frozen=True)
class Place:
    """Where it happened; sealed before it is stored, so erasure can drop it and keep the chain."""

    address: str = ""
    device: str = ""


@dataclass(frozen=True)
class AuditEvent:
    """Who did what on whom with which result. ``details`` are codes and counts, never personal data."""

    kind: Kind
    result: Result = Result.DONE
    actor: str = "system"
    person_id: UUID | None = None
    client_id: str | None = None
    request_id: str = ""
    details: dict[str, Detail] = field(default_factory=dict)
    place: Place | None = None
