"""Decides what a page of a person's own history holds: what happened, when, on which device, for which department."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.kernel.clock import Clock
from idp.platform.audit_log import read_place
from idp.platform.database import Database
from idp.sign_in.rules.account_device import Device, recognize_device
from idp.sign_in.rules.account_history import KINDS, SHOWN_DAYS, Happening, describe
from idp.sign_in.rules.account_paging import PAGE, find_newest, read_key, write_key
from idp.sign_in.rules.account_place import mask_address
from idp.sign_in.services.account import Owner
from idp.sign_in.stores import account_history as store
from keys import Sealer, Unsealable


@dataclass(frozen=True)
class Entry:
    """One line of the history; ``network`` is masked, "" and None are unknown."""

    at: datetime
    happening: Happening
    device: Device | None
    network: str
    client_id: str | None


@dataclass(frozen=True)
class EventPage:
    """Audit rows of one page, and the text that the next one is asked with ("" when there is none)."""

    events: Sequence[store.StoredEvent]
    older: str


@dataclass(frozen=True)
class HistoryPage:
    """One page of the history, the newest first."""

    entries: Sequence[Entry]
    older: str


class AccountHistory:
    """Reads a person's own audit rows."""

    def __init__(self, database: Database, places: Sealer, clock: Clock) -> None:
        self._database = database
        self._places = places
        self._clock = clock

    async def read(self, owner: Owner, before: str) -> HistoryPage:
        """Return the page after the key ``before``; with "" or a text that is no key, the first one."""
        page = await self.read_events(owner, before, [kind.value for kind in KINDS], SHOWN_DAYS)
        return HistoryPage([self._tell(event) for event in page.events], page.older)

    async def read_events(self, owner: Owner, before: str, kinds: Sequence[str], reach: timedelta) -> EventPage:
        """Return one page of the person's audit rows of these kinds, not older than ``reach``."""
        now = self._clock()
        key = read_key(before) or find_newest(now)
        events = await store.list_of_person(self._database, owner.person_id, now - reach, key, kinds, PAGE + 1)
        shown = events[:PAGE]
        return EventPage(shown, write_key(shown[-1].key) if len(events) > PAGE else "")

    def _tell(self, event: store.StoredEvent) -> Entry:
        try:
            place = read_place(event.row, self._places)
        except Unsealable:
            place = None  # the auditor's command names it; the line itself is told all the same
        return Entry(
            at=event.key.at,
            happening=describe(event.kind, event.details),
            device=recognize_device(place.device) if place is not None and place.device else None,
            network=mask_address(place.address) if place is not None else "",
            client_id=event.client_id,
        )
