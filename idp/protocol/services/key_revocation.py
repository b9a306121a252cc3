"""Decides what departments lose with a signing key: every grant whose latest ID Token, or self-contained access token, it signed."""

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.protocol.stores import key_revocation as store

REASON = "key_revoked"


class KeyRevocation:
    """Called by the command after the key itself was withdrawn, which knows no grants. May be called again: it ends what is left."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def end_grants(self, kid: str, actor: str) -> int:
        """End the grants that rest on a token of this key, with one audit row per client; return how many there were.

        A thief of the key could have made such a token himself, so nobody can tell the right ones from the wrong.
        """
        async with self._database.transaction() as tx:
            ended = await store.end_signed_by(tx, kid, self._clock(), REASON)
            for client_id, number in sorted(ended.items()):
                details: dict[str, Detail] = {"reason": REASON, "grants": number, "kid": kid}
                await self._audit.record(tx, AuditEvent(Kind.GRANT_ENDED, actor=actor, client_id=client_id, details=details))
        return sum(ended.values())
