"""Decides how a step of the sign-in stands in the audit: who did it only when it was done, never what was typed."""

from collections.abc import Mapping
from uuid import UUID

from idp.kernel.audit_events import Detail, Kind, Result
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.services.visits import Visit


class SignInRecords:
    """Writes the audit rows of a flow."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def record(
        self,
        tx: Transaction,
        kind: Kind,
        person_id: UUID | None,
        interaction: Interaction,
        visit: Visit,
        details: Mapping[str, Detail],
        result: Result = Result.DONE,
    ) -> None:
        """Write a row in the caller's transaction."""
        await self._audit.record(tx, visit.describe_deed(kind, person_id, details, result, interaction.client_id or None))

    async def refuse(
        self, kind: Kind, person_id: UUID | None, interaction: Interaction, visit: Visit, details: Mapping[str, Detail]
    ) -> None:
        """Write a row of a refusal, in a transaction of its own."""
        async with self._database.transaction() as tx:
            await self.record(tx, kind, person_id, interaction, visit, details, Result.REFUSED)
