"""Decides what is recorded when a token request is refused, and how the grant behind a misused value ends."""

from collections.abc import Awaitable
from datetime import datetime
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.errors import ProtocolError
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import Ledger
from idp.protocol.rules.client import Client
from idp.protocol.stores import grants as store


class GrantEndings:
    """Shared by everything that answers token requests."""

    def __init__(self, database: Database, ledger: Ledger, audit: AuditLog) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit

    async def end(
        self,
        grant_id: UUID,
        person_id: UUID | None,
        client: Client,
        now: datetime,
        reason: str,
        request_id: str,
        result: Result = Result.REFUSED,
    ) -> None:
        """End a grant with its audit row; nothing when there is none or it is over. ``result`` DONE: the client asked for it."""
        async with self._database.transaction() as tx:
            if await store.end(tx, grant_id, now, reason) is not None:
                event = AuditEvent(
                    Kind.GRANT_ENDED,
                    result,
                    actor="client",
                    person_id=person_id,
                    client_id=client.client_id,
                    request_id=request_id,
                    details={"reason": reason},
                )
                await self._audit.record(tx, event)

    def record_refusal(self, client: Client, person_id: UUID | None, reason: str, request_id: str) -> Awaitable[None]:
        """Write the audit row of a refused token request."""
        event = AuditEvent(
            Kind.TOKEN_REFUSED,
            Result.REFUSED,
            actor="client",
            person_id=person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={"reason": reason},
        )
        return self._ledger.record(self._audit.prepare(event))


def make_invalid_grant(description: str, hint: str) -> ProtocolError:
    """Return ``invalid_grant`` (RFC 6749 §5.2); only the private hint says why."""
    return ProtocolError("invalid_grant", description, hint, redirectable=False)
