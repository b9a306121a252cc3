"""Decides how a person freezes the own account: at once, with everything that is signed in, undone only by proof of identity."""

from idp.kernel.audit_events import Kind
from idp.people.rules.person import PERSON_TRANSITIONS, Status, StatusEvent
from idp.people.services.directory import People, UnknownPerson
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.sign_in.rules.account_refusals import FreezeImpossible
from idp.sign_in.services.account import Account, Owner
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.visits import Visit

NOTICE = "account_frozen"


class AccountFreeze:
    """Freezes the account of who is signed in."""

    def __init__(self, database: Database, account: Account, people: People, notices: AccountNotices, audit: AuditLog) -> None:
        self._database = database
        self._account = account
        self._people = people
        self._notices = notices
        self._audit = audit

    @staticmethod
    def is_possible(status: Status) -> bool:
        """Tell whether an account of this status can be frozen; one that is being closed cannot."""
        return (status, StatusEvent.FREEZE) in PERSON_TRANSITIONS.rows

    async def freeze(self, owner: Owner, visit: Visit) -> None:
        """Freeze the account; sessions and grants end in the same transaction. Raises FreezeImpossible."""
        status = owner.standing.status
        if not self.is_possible(status):
            raise FreezeImpossible
        name = await self._account.read_name(owner)
        try:
            async with self._database.transaction() as tx:
                await self._people.change_status(tx, owner.person_id, status, StatusEvent.FREEZE)
                event = visit.describe_deed(Kind.ACCOUNT_FROZEN, owner.person_id, {"way": "account", "before": status.value})
                await self._audit.record(tx, event)
                await self._notices.add(tx, owner.phone, name, NOTICE)
        except UnknownPerson:
            raise FreezeImpossible from None  # the status changed meanwhile
