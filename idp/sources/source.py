"""Decides what an authority looks like from the inside: one question with a deadline, one answer, never an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from idp.kernel.checks import CheckKind, CheckResult


@dataclass(frozen=True, repr=False)
class Check:
    """One question. ``request_id`` makes it idempotent: asked again, the recorded answer comes back. It prints without its subject.

    ``subject`` by kind: ``identity`` {name, document_kind, id_number}; the others the same and their own field; ``consent_ref`` names the
    agreement or consent that the question rests on.
    """

    request_id: str
    kind: CheckKind
    subject: Mapping[str, str]
    purpose: str
    consent_ref: str = ""

    def __repr__(self) -> str:
        return f"Check({self.request_id}, {self.kind.value}, {sorted(self.subject)})"


@dataclass(frozen=True)
class Outcome:
    """The answer. ``reference`` is the authority's own number for it, ``retry_after`` seconds, ``signature`` that of its reply.

    ``reason`` is one of our own words for an UNAVAILABLE, for logs and figures; it never holds what an authority wrote.
    """

    result: CheckResult
    source: str = ""
    reference: str = ""
    charged: bool | None = None
    retry_after: float | None = None
    as_of: datetime | None = None
    signature: str = ""
    mismatched: tuple[str, ...] = field(default=())
    reason: str = ""


class Source(Protocol):
    """One authority, or the directory of all of them."""

    @property
    def kinds(self) -> frozenset[CheckKind]:
        """Return what it can be asked."""
        ...

    async def check(self, check: Check, timeout: float) -> Outcome:
        """Return the answer within ``timeout`` seconds; every failure of the way there is UNAVAILABLE. Only cancelling raises."""
        ...

    async def probe(self, kind: CheckKind) -> bool:
        """Tell whether the authority answers at the moment, without asking about anybody."""
        ...
