"""Decides the wire format between us and an authority that speaks our contract: bounded JSON, read strictly (formats.md §5.2).

``POST <endpoint>/checks`` takes a CheckRequest and answers 200 with a CheckReply. ``GET <endpoint>/status/<kind>`` answers 200 with
``{"kind": …, "ready": true}``. Every reply is signed. 503 with a signed ``{"processed": false}`` says that the check was surely not
processed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from idp.kernel.checks import CheckKind, CheckResult
from idp.sources.source import Check, Outcome

MAXIMUM_REPLY = 16_384
"""Bytes of a reply; more is no answer."""

MAXIMUM_REQUEST = 8_192
FIELDS = 16

Short = Annotated[str, msgspec.Meta(max_length=128)]
Value = Annotated[str, msgspec.Meta(max_length=256)]

_PERSON = frozenset({"name", "document_kind", "id_number"})
SUBJECT_FIELDS: Mapping[CheckKind, frozenset[str]] = {
    CheckKind.IDENTITY: _PERSON,
    CheckKind.PHONE: _PERSON | {"phone"},
    CheckKind.SOCIAL_SECURITY_CARD: _PERSON | {"social_security_card"},
    CheckKind.BANK_CARD: _PERSON | {"bank_card"},
    CheckKind.HOUSING_FUND_ACCOUNT: _PERSON | {"housing_fund_account"},
    CheckKind.DRIVER_LICENSE_FILE_NUMBER: _PERSON | {"driver_license_file_number"},
    CheckKind.REAL_PERSON: _PERSON | {"ticket"},
    CheckKind.REGISTRATION_RISK: frozenset({"phone", "document_kind", "address", "device"}),
}
"""What a question of each kind must say about its subject."""

FURTHER_FIELDS: Mapping[CheckKind, frozenset[str]] = {CheckKind.BANK_CARD: frozenset({"bank_phone"})}
"""What it may say besides."""


class Unreadable(Exception):
    """A body is not what the contract says."""


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question on the wire."""

    request_id: Annotated[str, msgspec.Meta(min_length=8, max_length=64)]
    kind: CheckKind
    subject: Annotated[dict[Short, Value], msgspec.Meta(max_length=FIELDS)]
    purpose: Short
    consent_ref: Short = ""


class CheckReply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer on the wire; ``request_id`` and ``kind`` repeat the question's. Fields that we do not know are passed over."""

    request_id: Short
    kind: CheckKind
    result: CheckResult
    reference: Short = ""
    charged: bool | None = None
    retry_after: Annotated[float, msgspec.Meta(ge=0, le=604_800)] | None = None
    as_of: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    mismatched: Annotated[list[Short], msgspec.Meta(max_length=FIELDS)] = msgspec.field(default_factory=list)


class StatusReply(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the authority can be asked a kind of question now."""

    kind: CheckKind
    ready: bool


class Unprocessed(msgspec.Struct, frozen=True, kw_only=True):
    """What a 503 says when the check was surely not processed."""

    processed: bool


_REQUEST = msgspec.json.Decoder(CheckRequest)
_REPLY = msgspec.json.Decoder(CheckReply)
_STATUS = msgspec.json.Decoder(StatusReply)
_UNPROCESSED = msgspec.json.Decoder(Unprocessed)


def write_check(check: Check) -> bytes:
    """Return the body of a question. Raises Unreadable for one that the contract does not allow."""
    body = msgspec.json.encode(
        {
            "request_id": check.request_id,
            "kind": check.kind.value,
            "subject": dict(check.subject),
            "purpose": check.purpose,
            "consent_ref": check.consent_ref,
        }
    )
    read_check(body)
    return body


def read_check(body: bytes) -> CheckRequest:
    """Return the question of a body. Raises Unreadable."""
    if len(body) > MAXIMUM_REQUEST:
        raise Unreadable("size")
    try:
        return _REQUEST.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Unreadable("json") from None


def read_reply(body: bytes, check: Check, source: str, signature: str) -> Outcome:
    """Return the outcome that a reply holds. Raises Unreadable for anything but one answer to exactly this question."""
    try:
        reply = _REPLY.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Unreadable("json") from None
    if reply.request_id != check.request_id or reply.kind is not check.kind:
        raise Unreadable("question")
    return Outcome(
        result=reply.result,
        source=source,
        reference=reply.reference,
        charged=reply.charged,
        retry_after=reply.retry_after,
        as_of=reply.as_of,
        signature=signature,
        mismatched=tuple(sorted(set(reply.mismatched) & set(check.subject))),
    )


def is_unprocessed(body: bytes) -> bool:
    """Tell whether the body of a 503 says that the check was surely not processed."""
    try:
        return not _UNPROCESSED.decode(body).processed
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False


def is_ready(body: bytes, kind: CheckKind) -> bool:
    """Tell whether a status says that this kind can be asked."""
    try:
        status = _STATUS.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return status.kind is kind and status.ready
