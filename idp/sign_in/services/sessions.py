"""Decides when a browser session begins, is used and ends; its cookie is 256 random bits and only its hash is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Proved
from idp.kernel.session_endings import REPLACED, REPLACED_BY_ANOTHER
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.ledger import Ledger
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.rules.session import TOUCH_EVERY, Session, hash_session_id
from idp.sign_in.stores import sessions
from keys import Sealer, row_aad

JUST_NOW = 2 * TOUCH_EVERY
"""A session that was in use so recently is taken to be in use; ``last_seen_at`` lags by up to one TOUCH_EVERY."""

COOKIE_BYTES = 32
MAX_COOKIE = 128
"""Characters of a cookie that is looked at."""


@dataclass(frozen=True)
class Limits:
    """Idle and total life of a session (protocol.md §4)."""

    idle: timedelta = timedelta(minutes=30)
    total: timedelta = timedelta(hours=12)


@dataclass(frozen=True, repr=False)
class Opened:
    """A new session and the cookie that only the browser keeps."""

    cookie: str
    session: Session


class TellDepartments(Protocol):
    """Writes down, in the caller's transaction, that departments are to be told of ended sign-ins; the protocol gives it."""

    async def __call__(self, tx: Transaction, person_id: UUID, lineages: Sequence[bytes], request_id: str = "") -> None:
        """``lineages`` ended for good: nothing will ever go on under them."""
        ...


class Sessions:
    """Browser sessions."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        audit: AuditLog,
        places: Sealer,
        clock: Clock,
        random: Random,
        limits: Limits,
        tell_departments: TellDepartments,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._places = places
        self._clock = clock
        self._random = random
        self._limits = limits
        self._tell_departments = tell_departments

    async def open(
        self,
        tx: Transaction,
        person_id: UUID,
        proved: tuple[Proved, ...],
        device_hash: bytes | None,
        place: Place,
        *,
        replaces: Session | None = None,
        keep_total: bool = False,
        request_id: str = "",
    ) -> Opened:
        """Open a session under a new id, in the caller's transaction.

        ``replaces`` is the browser's session before, which ends; when it was the same person's, its lineage goes on, and with it
        codes and grants. ``keep_total`` (something of it still counts) also keeps the end of its total life. Raises StepRepeated
        when it had ended meanwhile: of two requests that replace one session at once, one leaves a session behind.
        """
        now = self._clock()
        cookie = encode_base64url(self._random(COOKIE_BYTES))
        id_hash = hash_session_id(cookie)
        same = replaces is not None and replaces.person_id == person_id
        created_at, expires_at = now, now + self._limits.total
        if replaces is not None and same and keep_total:
            created_at, expires_at = replaces.created_at, replaces.expires_at
        lineage = replaces.lineage if replaces is not None and same else id_hash
        session = Session(id_hash, lineage, person_id, proved, created_at, now, expires_at)
        if replaces is not None:
            reason = REPLACED if same else REPLACED_BY_ANOTHER
            if await sessions.end(tx, replaces.id_hash, now, reason) is None:
                raise StepRepeated
            if not same:
                actor = f"person:{person_id}"
                await self._record_end(tx, replaces.person_id, reason, 1, request_id, place=place, actor=actor)
                await self._tell_departments(tx, replaces.person_id, [replaces.lineage], request_id)
        await sessions.add(tx, session, device_hash, self._seal_place(id_hash, place))
        return Opened(cookie, session)

    async def open_for_app(
        self, tx: Transaction, person_id: UUID, proved: tuple[Proved, ...], begun_in: bytes, client_id: str, place: Place, life: timedelta
    ) -> Session | None:
        """Open the sign-in of an app, in the caller's transaction: no cookie leads to it, only what the app is granted from it.

        ``begun_in`` is the lineage in which the person let the app in; None when that has ended meanwhile.
        """
        now = self._clock()
        if not await sessions.goes_on(tx, begun_in, now):
            return None
        id_hash = hash_session_id(encode_base64url(self._random(COOKIE_BYTES)))
        session = Session(id_hash, id_hash, person_id, proved, now, now, now + life)
        await sessions.add(tx, session, None, self._seal_place(id_hash, place), client_id)
        return session

    async def enter(
        self, tx: Transaction, person_id: UUID, proved: tuple[Proved, ...], lineage: bytes, place: Place, until: datetime
    ) -> Opened | None:
        """Open a browser session within a sign-in that goes on elsewhere on this device, in the caller's transaction.

        It proves what that sign-in proved, as long ago, and ends with it, at the latest ``until``. None when that sign-in has ended: a
        new session under it would bring back to life whatever ended with it.
        """
        now = self._clock()
        if not await sessions.goes_on(tx, lineage, now):
            return None
        cookie = encode_base64url(self._random(COOKIE_BYTES))
        id_hash = hash_session_id(cookie)
        session = Session(id_hash, lineage, person_id, proved, now, now, min(now + self._limits.total, until))
        await sessions.add(tx, session, None, self._seal_place(id_hash, place))
        return Opened(cookie, session)

    async def read(self, cookie: str | None) -> Session | None:
        """Return the live session of a cookie, None when there is none (any more)."""
        session = await self._find(cookie)
        return session if session is not None and session.is_alive(self._clock(), self._limits.idle) else None

    async def explain(self, cookie: str | None) -> str | None:
        """Return why the session of a cookie is over, as a message key: ``session_idle``, ``session_total``; None otherwise (S14)."""
        session = await self._find(cookie)
        now = self._clock()
        if session is None or session.ended_at is not None:
            return None
        if now >= session.expires_at:
            return "session_total"
        return "session_idle" if now - session.last_seen_at >= self._limits.idle else None

    def touch(self, session: Session) -> None:
        """Note that a live session is used; written at most once a minute, and nobody waits for it."""
        now = self._clock()
        if session.wants_touch(now):
            self._ledger.touch(session.id_hash, now)

    async def find_not_ended(self, cookie: str | None) -> Session | None:
        """Return the session that a cookie names, idle or not, unless it has ended: what a sign-out is about."""
        session = await self._find(cookie)
        return session if session is not None and session.ended_at is None else None

    async def find_replaced(self, cookie: str | None) -> Session | None:
        """Return the session that took the place of the one this cookie names; None when nothing did.

        Raises StepRepeated when it was in use just now: the browser has it, or is about to get it in another tab. Later, the
        answer with its cookie was lost, so whoever signs in with the old one replaces it.
        """
        if not cookie or len(cookie) > MAX_COOKIE:
            return None
        now = self._clock()
        successor = await sessions.find_successor(self._database, hash_session_id(cookie), now)
        if successor is not None and now - successor.last_seen_at < JUST_NOW:
            raise StepRepeated
        return successor

    async def list_lineages(self, person_id: UUID) -> list[bytes]:
        """Return the lineages of a person's sessions that have not ended, idle or not."""
        return await sessions.list_lineages(self._database, person_id, self._clock())

    async def end_lineage(
        self,
        tx: Transaction,
        lineage: bytes,
        reason: str,
        *,
        request_id: str = "",
        client_id: str | None = None,
        place: Place | None = None,
    ) -> bool:
        """End a browser's sign-in in the caller's transaction, and with it its grants, read together with it. False: it had ended."""
        ended = await sessions.end_lineage(tx, lineage, self._clock(), reason)
        if ended is None:
            return False
        person_id, number = ended
        await self._record_end(tx, person_id, reason, number, request_id, client_id, place)
        await self._tell_departments(tx, person_id, [lineage], request_id)
        return True

    async def end_others(self, tx: Transaction, person_id: UUID, lineage: bytes, reason: str, request_id: str = "") -> int:
        """End every session of a person but those of ``lineage`` in the caller's transaction; return how many. The caller audits it."""
        ended = await sessions.end_others(tx, person_id, lineage, self._clock(), reason)
        if ended:
            await self._tell_departments(tx, person_id, sorted(set(ended)), request_id)
        return len(ended)

    async def has_ended(self, tx: Transaction, person_id: UUID) -> bool:
        """Tell whether any session of a person was ended by somebody, not merely replaced by a newer one of the same browser."""
        return await sessions.has_ended(tx, person_id)

    async def end_all(self, tx: Transaction, person_id: UUID, reason: str, request_id: str = "") -> list[bytes]:
        """End every session of a person in the caller's transaction; return their lineages, one for each."""
        ended = await sessions.end_all(tx, person_id, self._clock(), reason)
        if ended:
            await self._record_end(tx, person_id, reason, len(ended), request_id)
            await self._tell_departments(tx, person_id, sorted(set(ended)), request_id)
        return ended

    async def _record_end(
        self,
        tx: Transaction,
        person_id: UUID,
        reason: str,
        number: int,
        request_id: str,
        client_id: str | None = None,
        place: Place | None = None,
        actor: str | None = None,
    ) -> None:
        event = AuditEvent(
            Kind.SESSION_ENDED,
            actor=actor or f"person:{person_id}",
            person_id=person_id,
            client_id=client_id,
            request_id=request_id,
            details={"reason": reason, "sessions": number},
            place=place,
        )
        await self._audit.record(tx, event)

    async def _find(self, cookie: str | None) -> Session | None:
        if not cookie or len(cookie) > MAX_COOKIE:
            return None
        return await sessions.find(self._database, hash_session_id(cookie))

    def _seal_place(self, id_hash: bytes, place: Place) -> bytes:
        plaintext = msgspec.json.encode({"address": place.address, "device": place.device})
        return self._places.seal(plaintext, row_aad("sessions", "sealed_place", id_hash), self._random)
