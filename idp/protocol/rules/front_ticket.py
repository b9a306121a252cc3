"""Decides the words of a web view that cannot enter with its ticket."""

from typing import ClassVar

from idp.kernel.errors import Refusal


class TicketRefused(Refusal):
    """The ticket was used, is too old, belongs to another device, or the app's sign-in ended."""

    code: ClassVar[str] = "ticket_refused"


class AnotherPersonHere(Refusal):
    """Somebody else is signed in in this browser: they are not pushed out without being asked."""

    code: ClassVar[str] = "another_person_here"
