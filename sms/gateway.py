"""Decides what the house knows of an SMS gateway: a message goes in; a receipt, a refusal with its action, or "not now" comes out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAXIMUM_VALUE = 40
"""Characters of one template parameter; operators cut or refuse longer ones."""

_MAINLAND = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})", re.ASCII)


class Action(StrEnum):
    """What follows from a refusal."""

    WAIT = "wait"
    FAIL_OVER = "fail_over"
    ALARM = "alarm"
    TELL_PERSON = "tell_person"


class SmsRefused(Exception):
    """The gateway will not take this message however often it is sent. ``reason`` is one of our words, never the vendor's text."""

    def __init__(self, reason: str, action: Action) -> None:
        super().__init__(reason)
        self.reason = reason
        self.action = action


class SmsUnavailable(Exception):
    """The gateway gave no usable answer; the message may be sent again. ``reason`` holds no personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, repr=False)
class ShortMessage:
    """One message: to whom (mainland number, with or without +86), which template, its parameters, our own id for it."""

    phone: str
    template: str
    parameters: Mapping[str, str]
    message_id: str = ""


@dataclass(frozen=True)
class Receipt:
    """The gateway took the message; ``reference`` is its own id, under which delivery reports come."""

    reference: str


class Gateway(Protocol):
    """Sends short messages."""

    async def send(self, message: ShortMessage) -> Receipt:
        """Hand one message over. Raises SmsRefused or SmsUnavailable."""
        ...


def read_mainland_number(phone: str) -> str:
    """Return the eleven digits of a mainland mobile number; SmsRefused for anything else."""
    match = _MAINLAND.fullmatch(phone)
    if match is None:
        raise SmsRefused("phone_number", Action.TELL_PERSON)
    return match[1]
