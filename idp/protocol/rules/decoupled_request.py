"""Decides a request that is answered on another device than the one that asks: a kiosk's (RFC 8628), a counter's or a hotline's (CIBA)."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words, and nothing that is mistaken for another letter or a digit (RFC 8628 §6.1): 20^8, about 34 bits."""

USER_CODE_LENGTH = 8
SLOWER = 5
"""Seconds that every answer ``slow_down`` adds to the interval (RFC 8628 §3.5)."""

LONGEST_INTERVAL = 60
MAX_MESSAGE = 100
"""Characters of a binding message or a terminal's name: it has to be compared by eye on a phone."""


class Kind(StrEnum):
    """Which specification the request follows."""

    DEVICE = "device"
    CIBA = "ciba"


class Status(StrEnum):
    """Where the person is with it."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


class Answer(StrEnum):
    """What the person does."""

    APPROVE = "approve"
    DENY = "deny"


TRANSITIONS = MappingProxyType({(Status.PENDING, Answer.APPROVE): Status.APPROVED, (Status.PENDING, Answer.DENY): Status.DENIED})
"""(status, answer) → status; an answer is given once and never taken back: what was approved is collected by the next poll."""


@dataclass(frozen=True)
class Approval:
    """Who approved, and what that proves: ``factors`` as sessions store them, ``auth_time`` in epoch seconds.

    ``sector_id``: whose ``subject`` it is, None in an approval of the release before.
    """

    person_id: UUID
    subject: str
    factors: str
    acr: str
    auth_time: int
    sector_id: UUID | None = None


@dataclass(frozen=True)
class DecoupledRequest:
    """One request on its way.

    ``message`` is what the person compares: the terminal's name, or CIBA's ``binding_message``. ``user_code`` is "" for CIBA;
    ``person_id`` is whom a CIBA request is for, None for nobody we know (it stays unanswered) and for a device before its approval.
    ``interval``: seconds between two polls. ``notify``: what a ping is authenticated with, "" for polling clients.
    ``terms``: what else was asked, as the grant will keep it.
    """

    id: str
    kind: Kind
    client_id: str
    scope: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    interval: int
    message: str = ""
    user_code: str = ""
    wanted: str = ""
    person_id: UUID | None = None
    notify: str = ""
    status: Status = Status.PENDING
    polled_at: datetime | None = None
    approval: Approval | None = None
    terms: str | None = None

    def after(self, answer: Answer, approval: Approval | None = None) -> "DecoupledRequest | None":
        """Return the request once the person answered, None when it had been answered."""
        status = TRANSITIONS.get((self.status, answer))
        return None if status is None else replace(self, status=status, approval=approval)


@dataclass(frozen=True)
class Poll:
    """The answer to one poll: ``error`` is the wire's word, "" when the tokens may be collected; ``request`` is to be kept."""

    error: str
    request: DecoupledRequest


def decide_poll(request: DecoupledRequest, now: datetime) -> Poll:
    """Return what a poll is answered with (RFC 8628 §3.5, CIBA §11).

    Who was told that there is an answer (CIBA §10.2) collects it at once, however short ago the last question was.
    """
    if now >= request.expires_at:
        return Poll("expired_token", request)
    if request.status is Status.DENIED:
        return Poll("access_denied", request)
    told = request.status is Status.APPROVED and request.notify != ""
    early = request.polled_at is not None and (now - request.polled_at) < timedelta(seconds=request.interval)
    if early and not told:
        slower = min(request.interval + SLOWER, LONGEST_INTERVAL)
        return Poll("slow_down", replace(request, polled_at=now, interval=slower))
    polled = replace(request, polled_at=now)
    return Poll("" if request.status is Status.APPROVED else "authorization_pending", polled)


def read_user_code(text: str) -> str | None:
    """Return a typed code without its hyphen, spaces and small letters; None when it cannot be one."""
    letters = "".join(c for c in text.upper() if c not in " -‐‑–—_.")
    return letters if len(letters) == USER_CODE_LENGTH and set(letters) <= set(USER_CODE_LETTERS) else None


def make_user_code(random: bytes) -> str:
    """Return a code of evenly drawn letters; ``random`` are at least 64 bytes, of which those that would favour a letter are left out."""
    bound = 256 - 256 % len(USER_CODE_LETTERS)
    drawn = [USER_CODE_LETTERS[byte % len(USER_CODE_LETTERS)] for byte in random if byte < bound]
    if len(drawn) < USER_CODE_LENGTH:
        raise ValueError("too little randomness")
    return "".join(drawn[:USER_CODE_LENGTH])


def show_user_code(code: str) -> str:
    """Return the code as it is shown: two groups of four."""
    return f"{code[:4]}-{code[4:]}"


def is_message(text: str) -> bool:
    """Tell whether ``text`` may be shown to a person: one printable line of 1 to MAX_MESSAGE characters."""
    return 1 <= len(text) <= MAX_MESSAGE and text.isprintable()


def write_decoupled_request(request: DecoupledRequest) -> bytes:
    """Return the stored bytes."""
    approval = request.approval
    return json.dumps(
        {
            "kind": request.kind,
            "client_id": request.client_id,
            "scope": request.scope,
            "created_at": request.created_at.timestamp(),
            "expires_at": request.expires_at.timestamp(),
            "interval": request.interval,
            "message": request.message,
            "user_code": request.user_code,
            "wanted": request.wanted,
            "person_id": None if request.person_id is None else str(request.person_id),
            "notify": request.notify,
            "status": request.status,
            "polled_at": None if request.polled_at is None else request.polled_at.timestamp(),
            "approval": None
            if approval is None
            else [str(approval.person_id), approval.subject, approval.factors, approval.acr, approval.auth_time],
            # Beside the list, whose length the release before knows.
            "sector_id": None if approval is None or approval.sector_id is None else str(approval.sector_id),
            "terms": request.terms,
        },
        ensure_ascii=False,
    ).encode()


def read_decoupled_request(request_id: str, stored: bytes) -> DecoupledRequest:
    """Return the request of stored bytes."""
    document = json.loads(stored)
    approval = document["approval"]
    polled_at = document["polled_at"]
    return DecoupledRequest(
        id=request_id,
        kind=Kind(document["kind"]),
        client_id=document["client_id"],
        scope=tuple(document["scope"]),
        created_at=datetime.fromtimestamp(document["created_at"], UTC),
        expires_at=datetime.fromtimestamp(document["expires_at"], UTC),
        interval=document["interval"],
        message=document["message"],
        user_code=document["user_code"],
        wanted=document["wanted"],
        person_id=None if document["person_id"] is None else UUID(document["person_id"]),
        notify=document["notify"],
        status=Status(document["status"]),
        polled_at=None if polled_at is None else datetime.fromtimestamp(polled_at, UTC),
        approval=None if approval is None else _read_approval(approval, document.get("sector_id")),
        terms=document.get("terms"),
    )


def _read_approval(kept: list[Any], sector_id: str | None) -> Approval:
    person_id, subject, factors, acr, auth_time = kept
    return Approval(UUID(person_id), subject, factors, acr, auth_time, None if sector_id is None else UUID(sector_id))
