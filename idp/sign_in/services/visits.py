"""Decides what a sign-in step knows of the request that asks for it, and what it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from idp.authenticators.rules.proof_of_work import Proof
from idp.kernel.audit_events import AuditEvent, Detail, Kind, Place, Result
from idp.kernel.errors import Refusal
from idp.people.rules.identifiers import Phone
from idp.people.services.requester import Requester
from idp.sign_in.rules.device import hash_device
from idp.sign_in.services.interactions import Held


@dataclass(frozen=True, repr=False)
class Visit:
    """One request: its cookies, where it comes from (``device`` is the browser's own description), and its id.

    ``proof`` is the work that the browser did for a password while many waited.
    """

    browser_cookie: str | None = None
    session_cookie: str | None = None
    device_cookie: str | None = None
    address: str = ""
    device: str = ""
    request_id: str = ""
    proof: Proof | None = None

    @property
    def device_hash(self) -> bytes | None:
        """Return the hash of the device cookie, None without a well-formed one."""
        return hash_device(self.device_cookie)

    @property
    def place(self) -> Place:
        """Return where it happens, for the audit."""
        return Place(self.address, self.device)

    def describe_deed(
        self,
        kind: Kind,
        person_id: UUID | None,
        details: Mapping[str, Detail],
        result: Result = Result.DONE,
        client_id: str | None = None,
    ) -> AuditEvent:
        """Return the audit row of what this request did, or was refused: only what was done was done by the person."""
        return AuditEvent(
            kind,
            result,
            actor=f"person:{person_id}" if person_id and result is Result.DONE else "visitor",
            person_id=person_id,
            client_id=client_id,
            request_id=self.request_id,
            details=dict(details),
            place=self.place,
        )

    def ask_for(self, client_id: str | None) -> Requester:
        """Return what the services of people know of this request, made for a client or for nobody."""
        return Requester(self.address, self.device, self.device_hash, self.request_id, client_id or None)


@dataclass(frozen=True)
class AskPassword:
    """Show the form for identifier and password. ``notice``: the message key of why a session is over (S14)."""

    held: Held
    notice: str | None = None


@dataclass(frozen=True)
class AskCode:
    """Show the form for the code.

    ``problem``: why no (other) code was sent; ``sent``: whether another one was sent just now; ``unsent``: none was sent at all.
    """

    held: Held
    phone: Phone
    problem: Refusal | None = None
    sent: bool = False
    unsent: bool = False


@dataclass(frozen=True)
class AskFirstCode:
    """Show the form for a code that was asked for before anything was proved: nothing on it depends on who has the identifier.

    ``asks_document``: the end of the document's number is asked as well, since the device is not known; the rest as of AskCode.
    """

    held: Held
    asks_document: bool
    problem: Refusal | None = None
    sent: bool = False
    unsent: bool = False


@dataclass(frozen=True)
class AskSecret:
    """Show the form for the password alone: who is here is known."""

    held: Held


@dataclass(frozen=True)
class AskPasskey:
    """Show the page on which nothing but a passkey leads on. ``options`` is what the browser is asked, as JSON, "" where it cannot be.

    ``known``: the flow is about somebody, whose passkeys alone it takes. ``essential``: the department accepts nothing else.
    """

    held: Held
    options: str
    known: bool
    essential: bool


@dataclass(frozen=True)
class AskNewPassword:
    """Show the form for another password; ``name`` is the person's, masked."""

    held: Held
    name: str


@dataclass(frozen=True)
class Malformed:
    """What was typed cannot be what was asked for; nothing was tried. ``key`` is the message that says what is wrong with it.

    ``field`` is the form's field that it is about, "" for the step's own.
    """

    held: Held
    key: str
    field: str = ""


@dataclass(frozen=True, repr=False)
class Continue:
    """Go to the dispatcher. Cookies are set when a session was opened."""

    held: Held
    session_cookie: str | None = None
    device_cookie: str | None = None


Answer = AskPassword | AskFirstCode | AskSecret | AskCode | AskPasskey | AskNewPassword | Continue
