"""Decides what a person sees of what departments received, and how a consent ends: at once, for everything released later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.rules.releases import SHOWN_DAYS, Recorded, is_current, read_release
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.stores import releases as store
from idp.protocol.stores.releases import StoredConsent
from idp.sign_in.services.account import Owner
from idp.sign_in.services.account_history import AccountHistory

MOST_CONSENTS = 200


@dataclass(frozen=True)
class Release:
    """One answer that a department got. ``client`` is None for one that is not registered any more."""

    at: datetime
    client_id: str
    client: Client | None
    recorded: Recorded


@dataclass(frozen=True)
class GivenConsent:
    """What the person agreed to; ``current``: it still lets something out."""

    stored: StoredConsent
    client: Client | None
    current: bool


@dataclass(frozen=True)
class ReleasePage:
    """One page of releases, the newest first, and the text that the next one is asked with ("" when there is none)."""

    releases: Sequence[Release]
    older: str


class Releases:
    """What left the house about a person, for that person."""

    def __init__(self, database: Database, directory: ClientDirectory, history: AccountHistory, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._history = history
        self._audit = audit
        self._clock = clock

    async def read(self, owner: Owner, before: str) -> ReleasePage:
        """Return the page of releases after the key ``before``, the first one for ""."""
        page = await self._history.read_events(owner, before, [Kind.CLAIMS_RELEASED.value], SHOWN_DAYS)
        shown = [
            Release(event.key.at, event.client_id or "", await self._directory.find(event.client_id), read_release(event.details))
            for event in page.events
        ]
        return ReleasePage(shown, page.older)

    async def list_consents(self, owner: Owner) -> list[GivenConsent]:
        """Return what the person agreed to: what holds first, then what was withdrawn, the newest of each first."""
        shown = []
        for stored in await store.list_consents(self._database, owner.person_id, MOST_CONSENTS):
            client = await self._directory.find(stored.client_id)
            consent = {(stored.purpose, stored.version): frozenset(stored.claims)}
            shown.append(GivenConsent(stored, client, stored.withdrawn_at is None and is_current(client, consent)))
        return sorted(shown, key=lambda one: one.stored.withdrawn_at is not None)

    async def withdraw(self, owner: Owner, client_id: str, purpose: str, request_id: str, place: Place) -> bool:
        """Withdraw a consent with its audit row; False when there is none (any more). UserInfo looks at consents every time."""
        async with self._database.transaction() as tx:
            withdrawn = await store.withdraw(tx, owner.person_id, client_id, purpose, self._clock())
            for version, claims in withdrawn:
                event = AuditEvent(
                    Kind.CONSENT_WITHDRAWN,
                    actor=f"person:{owner.person_id}",
                    person_id=owner.person_id,
                    client_id=client_id,
                    request_id=request_id,
                    details={"purpose": purpose, "version": version, "claims": claims},
                    place=place,
                )
                await self._audit.record(tx, event)
        return bool(withdrawn)

    async def name_client(self, client_id: str, language: str) -> str:
        """Return what a department's system is called, "" for one that is not known any more."""
        return name_client(await self._directory.find(client_id), language)


def name_client(client: Client | None, language: str) -> str:
    """Return the client's name in the language of a page."""
    return client.name_application(language) if client is not None else ""
