"""Decides which of a person's sign-ins are shown, and what ends when one of them, or all others, is ended from here."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from idp.kernel.audit_events import Kind, Place
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.sign_in.rules.account_device import Device, recognize_device
from idp.sign_in.rules.account_history import ELSEWHERE
from idp.sign_in.rules.account_place import mask_address
from idp.sign_in.rules.session import hash_session_id
from idp.sign_in.services.account import Account, Owner
from idp.sign_in.services.sessions import MAX_COOKIE, Sessions
from idp.sign_in.services.visits import Visit
from idp.sign_in.stores import account_sessions as store
from keys import Sealer, Unsealable, row_aad

MOST = 50
"""Sign-ins that one page shows; more than that are ended together."""

_places = msgspec.json.Decoder(dict[str, str])


class EndGrants(Protocol):
    """Ends what departments were granted from a sign-in, in the caller's transaction; the protocol gives it."""

    async def __call__(self, tx: Transaction, person_id: UUID, lineage: bytes, reason: str, *, others: bool) -> None:
        """End the grants of this lineage, or with ``others`` those of every other one, offline ones included."""
        ...


@dataclass(frozen=True)
class SignedInBrowser:
    """One sign-in as its owner sees it. ``handle`` names it in a form of this very sign-in; ``network`` is masked.

    ``idle``: nothing more can be done with it here, but departments may still know it. ``app_client_id``: it is an app's sign-in, which
    the device's lock protects.
    """

    handle: str
    is_this: bool
    idle: bool
    device: Device
    network: str
    since: datetime
    last_used: datetime
    app_client_id: str | None = None


class AccountSessions:
    """A person's own sign-ins."""

    def __init__(
        self,
        database: Database,
        account: Account,
        sessions: Sessions,
        audit: AuditLog,
        places: Sealer,
        clock: Clock,
        idle: timedelta,
        end_grants: EndGrants,
    ) -> None:
        self._database = database
        self._account = account
        self._sessions = sessions
        self._audit = audit
        self._places = places
        self._clock = clock
        self._idle = idle
        self._end_grants = end_grants

    async def list(self, owner: Owner) -> list[SignedInBrowser]:
        """Return the person's sign-ins that have not ended: this one first, then the last used."""
        now = self._clock()
        stored = await store.list_of_person(self._database, owner.person_id, now, MOST)
        shown = [self._show(owner, one, now) for one in stored]
        return sorted(shown, key=lambda one: not one.is_this)

    async def end_one(self, owner: Owner, handle: str, visit: Visit) -> bool:
        """End another of the person's sign-ins with everything granted from it; False when this page names none that goes on."""
        for one in await store.list_of_person(self._database, owner.person_id, self._clock(), MOST):
            if one.lineage != owner.session.lineage and hmac.compare_digest(self._name(owner, one).encode(), handle.encode()):
                async with self._database.transaction() as tx:
                    ended = await self._sessions.end_lineage(tx, one.lineage, ELSEWHERE, request_id=visit.request_id, place=visit.place)
                    if ended:
                        await self._end_grants(tx, owner.person_id, one.lineage, ELSEWHERE, others=False)
                return ended
        return False

    async def end_others(self, owner: Owner, visit: Visit) -> int:
        """End all of the person's sign-ins but this one; return how many."""
        async with self._database.transaction() as tx:
            return await self.end_others_in(tx, owner, ELSEWHERE, visit)

    async def end_others_in(self, tx: Transaction, owner: Owner, reason: str, visit: Visit) -> int:
        """Do the same in the caller's transaction. Grants of sign-ins that are over long ago end too: they outlived them offline."""
        number = await self._sessions.end_others(tx, owner.person_id, owner.session.lineage, reason, visit.request_id)
        if number:
            event = visit.describe_deed(Kind.SESSION_ENDED, owner.person_id, {"reason": reason, "sessions": number})
            await self._audit.record(tx, event)
        await self._end_grants(tx, owner.person_id, owner.session.lineage, reason, others=True)
        return number

    async def find_end(self, session_cookie: str | None) -> str | None:
        """Return why the session that this cookie names is over, None when it is not or never was."""
        if not session_cookie or len(session_cookie) > MAX_COOKIE:
            return None
        return await store.find_ended_reason(self._database, hash_session_id(session_cookie))

    def _show(self, owner: Owner, one: store.StoredSession, now: datetime) -> SignedInBrowser:
        place = self._open_place(one)
        return SignedInBrowser(
            handle=self._name(owner, one),
            is_this=one.lineage == owner.session.lineage,
            idle=one.app_client_id is None and now - one.last_seen_at >= self._idle,
            device=recognize_device(place.device),
            network=mask_address(place.address),
            since=one.created_at,
            last_used=one.last_seen_at,
            app_client_id=one.app_client_id,
        )

    def _name(self, owner: Owner, one: store.StoredSession) -> str:
        return self._account.make_mark(owner.session, "session " + one.lineage.hex())

    def _open_place(self, one: store.StoredSession) -> Place:
        if one.sealed_place is None:
            return Place()
        try:
            return Place(**_places.decode(self._places.open(one.sealed_place, row_aad("sessions", "sealed_place", one.id_hash))))
        except (Unsealable, msgspec.DecodeError, TypeError):
            return Place()  # a place that cannot be read must not hide the sign-in itself
