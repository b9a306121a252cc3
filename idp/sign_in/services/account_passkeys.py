"""Decides how a person's own passkeys are shown, added and removed: after two factors proved just now, and with a message about it."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from idp.authenticators.rules.passkey import MOST, clean_name
from idp.authenticators.services.passkeys import Passkeys
from idp.kernel.audit_events import Detail, Kind
from idp.kernel.clock import Clock
from idp.kernel.levels import find_aal
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.sign_in.rules.account_history import PASSKEY_REMOVED
from idp.sign_in.rules.account_refusals import LastWayIn
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.rules.steps import count_fresh
from idp.sign_in.services.account import Account, Owner
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.account_sessions import AccountSessions
from idp.sign_in.services.portal import CONFIRMED_FOR
from idp.sign_in.services.visits import Visit

ADDED_NOTICE = "passkey_added"
REMOVED_NOTICE = "passkey_removed"
BINDING = "new passkey"


@dataclass(frozen=True)
class ShownPasskey:
    """A passkey as its owner sees it. ``handle`` names it in a form of this very sign-in; ``synced``: further devices have it."""

    handle: str
    name: str
    added: datetime
    last_used: datetime | None
    synced: bool


class AccountPasskeys:
    """The passkeys of who is signed in."""

    def __init__(
        self,
        database: Database,
        account: Account,
        account_sessions: AccountSessions,
        notices: AccountNotices,
        people: People,
        passkeys: Passkeys,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._account = account
        self._account_sessions = account_sessions
        self._notices = notices
        self._people = people
        self._passkeys = passkeys
        self._audit = audit
        self._clock = clock

    async def list(self, owner: Owner) -> list[ShownPasskey]:
        """Return the person's passkeys, the oldest first."""
        return [
            ShownPasskey(self._name(owner, one.id), one.name, one.created_at, one.last_used_at, one.backed_up)
            for one in await self._passkeys.list(owner.person_id)
        ]

    def is_fresh(self, owner: Owner) -> bool:
        """Tell whether two factors were proved so lately that a passkey may be added or removed."""
        now = self._clock()
        proved = count_fresh(owner.session.proved, now - CONFIRMED_FOR)
        return find_aal(proved, owner.standing.phone_matched_at, now, owner.standing.recovered_at) >= 2

    @staticmethod
    def is_full(shown: Sequence[ShownPasskey]) -> bool:
        """Tell whether no more passkey may be added."""
        return len(shown) >= MOST

    async def ask(self, owner: Owner) -> str:
        """Return what the browser is asked to make, as JSON; "" where there are no passkeys."""
        binding = self._account.make_mark(owner.session, BINDING)
        return await self._passkeys.ask_for_new(binding, owner.person_id, await self._account.read_name(owner))

    async def add(self, owner: Owner, name: str, suggested: str, response: str, visit: Visit) -> None:
        """Add the passkey that the browser made. Raises StepRepeated without fresh factors; PasskeyRefused, PasskeysFull."""
        self._require_fresh(owner)
        binding = self._account.make_mark(owner.session, BINDING)
        made = await self._passkeys.read_new(binding, owner.person_id, response)
        passkey = replace(made, name=clean_name(name, suggested))
        masked_name = await self._account.read_name(owner)
        async with self._database.transaction() as tx:
            await self._hold(tx, owner)
            await self._people.note_passkeys(tx, owner.person_id, await self._passkeys.add(tx, passkey))
            details: dict[str, Detail] = {"passkey": str(passkey.id), "synced": passkey.backup_eligible}
            await self._audit.record(tx, visit.describe_deed(Kind.PASSKEY_ADDED, owner.person_id, details))
            await self._notices.add(tx, owner.phone, masked_name, ADDED_NOTICE)

    async def remove(self, owner: Owner, handle: str, visit: Visit) -> bool:
        """Remove a passkey and end every other sign-in, since somebody else may hold it; False when this page names none any more.

        Raises StepRepeated without fresh factors; LastWayIn.
        """
        self._require_fresh(owner)
        known = [one for one in await self._passkeys.list(owner.person_id) if self._is_named(owner, one.id, handle)]
        person = await self._people.find_by_id(owner.person_id)
        if not known or person is None:
            return False
        masked_name = await self._account.read_name(owner)
        async with self._database.transaction() as tx:
            await self._hold(tx, owner)
            left = await self._passkeys.remove(tx, owner.person_id, known[0].id)
            if left is None:
                return False
            if left == 0 and person.must_change is None and not person.has_own_phone:
                raise LastWayIn
            await self._people.note_passkeys(tx, owner.person_id, left)
            ended = await self._account_sessions.end_others_in(tx, owner, PASSKEY_REMOVED, visit)
            details: dict[str, Detail] = {"passkey": str(known[0].id), "sessions": ended}
            await self._audit.record(tx, visit.describe_deed(Kind.PASSKEY_REMOVED, owner.person_id, details))
            await self._notices.add(tx, owner.phone, masked_name, REMOVED_NOTICE)
        return True

    def _require_fresh(self, owner: Owner) -> None:
        if not self.is_fresh(owner):
            raise StepRepeated

    async def _hold(self, tx: Transaction, owner: Owner) -> None:
        now = await self._people.hold(tx, owner.person_id, alone=True)
        if now is None or now.status is not owner.standing.status or now.recovered_at != owner.standing.recovered_at:
            raise StepRepeated

    def _is_named(self, owner: Owner, passkey_id: UUID, handle: str) -> bool:
        return hmac.compare_digest(self._name(owner, passkey_id).encode(), handle.encode())

    def _name(self, owner: Owner, passkey_id: UUID) -> str:
        return self._account.make_mark(owner.session, f"passkey {passkey_id}")
