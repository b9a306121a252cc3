"""Decides how a registration is held between two requests: sealed, bound to one browser by a cookie, moved on by one request at a time."""

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from idp.kernel.clock import Clock, Random
from idp.kernel.ids import encode_base64url, make_uuid7
from idp.people.rules.refusals import DraftMoved, StillChecking
from idp.people.rules.registration import CLAIM, FINISHED_LIFE, LIFE, Draft, Step, drop_stale, find_step
from idp.people.rules.registration_format import read_draft, write_draft
from idp.people.stores import drafts
from idp.people.stores.drafts import StoredDraft
from idp.platform.database import Database, Transaction
from keys import Sealer, Unsealable, row_aad

COOKIE_BYTES = 32
MAX_COOKIE = 128


@dataclass(frozen=True)
class HeldDraft:
    """A registration as it was read. ``checking``: another request is asking authorities for it at this moment.

    ``awaited``: the kind whose silent authority the person is told about when it is back.
    """

    draft: Draft
    version: int
    checking: bool = False
    awaited: str | None = None

    @property
    def step(self) -> Step:
        """Return the step that the registration stands at."""
        return find_step(self.draft)

    @property
    def step_token(self) -> str:
        """Return the text of the hidden field ``step``: it changes with every move."""
        return f"{self.version:x}"


class Drafts:
    """Registrations on their way."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, random: Random) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._random = random

    def make_id(self) -> UUID:
        """Return the id of a new draft."""
        return make_uuid7(self._clock, self._random)

    async def add(self, tx: Transaction, draft: Draft) -> tuple[HeldDraft, str]:
        """Store a new registration; return it with the cookie that binds it to the browser."""
        cookie = encode_base64url(self._random(COOKIE_BYTES))
        await self._add(tx, draft, _hash(cookie))
        return HeldDraft(draft, 1), cookie

    async def add_for(self, tx: Transaction, person_id: UUID, draft: Draft) -> HeldDraft:
        """Store what somebody with an account adds to it; one at a time, and no cookie: the session says who it is."""
        await self._add(tx, draft, _hash_person(person_id))
        return HeldDraft(draft, 1)

    async def find_for(self, person_id: UUID) -> HeldDraft | None:
        """Return what a person was adding to the account."""
        stored = await drafts.find_by_owner(self._database, _hash_person(person_id), self._clock())
        return self.open(stored) if stored is not None else None

    async def find(self, cookie: str | None) -> HeldDraft | None:
        """Return this browser's registration, None when there is none, its time is over, or it is of a later release."""
        if not cookie or len(cookie) > MAX_COOKIE:
            return None
        stored = await drafts.find_by_owner(self._database, _hash(cookie), self._clock())
        return self.open(stored) if stored is not None else None

    async def read(self, draft_id: UUID) -> HeldDraft | None:
        """Return the registration as it stands now, None when it is gone."""
        stored = await drafts.find_by_id(self._database, draft_id, self._clock())
        return self.open(stored) if stored is not None else None

    def open(self, stored: StoredDraft) -> HeldDraft | None:
        """Return the registration of a row."""
        try:
            plain = self._sealer.open(stored.sealed, _aad(stored.id))
        except Unsealable:
            return None
        draft = read_draft(stored.id, plain)
        if draft is None:
            return None
        now = self._clock()
        checking = stored.checking_until is not None and stored.checking_until > now
        return HeldDraft(drop_stale(draft, now), stored.version, checking, stored.awaited)

    async def move(self, held: HeldDraft, draft: Draft, *, claim: bool = False, awaited: str | None = None) -> HeldDraft:
        """Store the next state in a transaction of its own: see ``move_in``."""
        async with self._database.transaction() as tx:
            return await self.move_in(tx, held, draft, claim=claim, awaited=awaited)

    async def move_in(
        self, tx: Transaction, held: HeldDraft, draft: Draft, *, claim: bool = False, awaited: str | None = None
    ) -> HeldDraft:
        """Store the next state in the caller's transaction; of any number of simultaneous requests one does.

        ``claim``: this request goes on to ask authorities, so nobody else may for a moment. Raises DraftMoved for the others.
        """
        now = self._clock()
        until = now + CLAIM if claim else None
        finished = draft.person_id is not None and not draft.raising
        expires_at = now + FINISHED_LIFE if finished else draft.created_at + LIFE
        draft = replace(draft, touched_at=now)
        version = await drafts.save(
            tx, draft.id, held.version, find_step(draft).value, self._seal(draft), until, awaited, draft.person_id, expires_at
        )
        if version is None:
            raise DraftMoved
        return HeldDraft(draft, version, awaited=awaited)

    async def drop(self, draft: Draft) -> None:
        """Forget a registration."""
        async with self._database.transaction() as tx:
            await drafts.drop(tx, draft.id)

    async def _add(self, tx: Transaction, draft: Draft, owner: bytes) -> None:
        now = self._clock()
        sealed, step = self._seal(draft), find_step(draft).value
        await drafts.add(tx, draft.id, owner, step, sealed, draft.person_id, now, now + LIFE)

    def _seal(self, draft: Draft) -> bytes:
        return self._sealer.seal(write_draft(draft), _aad(draft.id), self._random)


def require_idle(held: HeldDraft, *steps: Step) -> None:
    """Raise StillChecking while authorities are being asked, DraftMoved unless the registration stands at one of ``steps``."""
    if held.checking:
        raise StillChecking
    if held.step not in steps:
        raise DraftMoved


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(b"draft:" + cookie.encode("utf-8", "surrogatepass")).digest()


def _hash_person(person_id: UUID) -> bytes:
    return hashlib.sha256(b"raising:" + person_id.bytes).digest()


def _aad(draft_id: UUID) -> bytes:
    return row_aad("registration_drafts", "sealed", draft_id.bytes)
