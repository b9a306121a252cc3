"""Decides what is recorded when a token request is refused, and how the grant behind a misused value ends."""

from collections.abc import Awaitable
from datetime import datetime
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.errors import ProtocolError
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.rules.device_secret import may_share
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.refusals import Refusals
from idp.protocol.stores import grants as store
from idp.sign_in.services.sessions import Sessions


class GrantEndings:
    """Shared by everything that answers token requests."""

    def __init__(self, database: Database, refusals: Refusals, audit: AuditLog, sessions: Sessions) -> None:
        self._database = database
        self._refusals = refusals
        self._audit = audit
        self._sessions = sessions

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
        """End a grant with its audit row; nothing when there is none or it is over. ``result`` DONE: the client asked for it.

        The sign-in of an app ends with it, because the device secret would go on: whoever has the tokens may well have that, too. After a
        misuse nothing is left that was granted from that sign-in, offline grants included.
        """
        async with self._database.transaction() as tx:
            app = await store.find_app_behind(tx, grant_id)
            shared = app is not None and may_share(client, app.client_id, app.sector_id)
            if app is not None and shared:
                await self._sessions.end_lineage(tx, app.lineage, reason, request_id=request_id, client_id=client.client_id)
            if await store.end(tx, grant_id, now, reason):
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
            if app is not None and shared and result is not Result.DONE:
                await store.end_of_lineage(tx, app.lineage, now, reason)

    def record_refusal(self, caller: Caller, person_id: UUID | None, reason: str, request_id: str) -> Awaitable[None]:
        """Write the audit row of a refused token request."""
        event = AuditEvent(
            Kind.TOKEN_REFUSED,
            Result.REFUSED,
            actor="client",
            person_id=person_id,
            client_id=caller.client.client_id,
            request_id=request_id,
            details={"reason": reason},
            place=caller.place() if caller.place is not None else None,
        )
        return self._refusals.record(event)


def make_invalid_grant(description: str, hint: str) -> ProtocolError:
    """Return ``invalid_grant`` (RFC 6749 §5.2); only the private hint says why."""
    return ProtocolError("invalid_grant", description, hint, redirectable=False)
