"""Decides the kinds of error: a refusal the person can act on, a protocol error a client can act on, a fault nobody caused."""

from dataclasses import dataclass
from typing import ClassVar


class Refusal(Exception):
    """A stable, translatable "no". ``code`` is the message key and the test's name; ``facts`` fill the message."""

    code: ClassVar[str]

    def __init__(self, **facts: str | int) -> None:
        super().__init__(self.code)
        self.facts = facts


@dataclass(unsafe_hash=True)
class ProtocolError(Exception):
    """An OAuth 2.0 error (RFC 6749 §4.1.2.1, §5.2): wire code, public description, private hint.

    ``realm``: what whoever showed no credentials at all is asked for; their challenge names no error (RFC 6750 §3.1).
    Not frozen: a context manager that an error leaves through sets its traceback.
    """

    error: str
    description: str
    hint: str = ""
    redirectable: bool = True
    realm: str = ""

    def __str__(self) -> str:
        return f"{self.error}: {self.description}"


class Fault(Exception):
    """Something of ours is broken; the person sees a request id and no text."""
