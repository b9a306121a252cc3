"""Decides how an app stays signed in behind its device's lock, and which other apps of the device come along (Native SSO 1.0)."""

from datetime import datetime, timedelta

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.sealed_values import AuthorizationCode, DeviceSecret
from idp.sign_in.rules.session import Session, read_factors
from idp.sign_in.services.sessions import Sessions


class AppSessions:
    """Sign-ins of apps. They stand in the person's list of signed-in devices and end from there."""

    def __init__(
        self, database: Database, sessions: Sessions, audit: AuditLog, values: BearerValues, clock: Clock, life: timedelta
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._audit = audit
        self._values = values
        self._clock = clock
        self._life = life

    async def open(self, code: AuthorizationCode, client: Client, request_id: str, place: Place) -> Session | None:
        """Open the sign-in that the app's grant hangs on from now, instead of the browser's that the code came from.

        None when that one has ended meanwhile.
        """
        async with self._database.transaction() as tx:
            session = await self._sessions.open_for_app(
                tx, code.person_id, read_factors(code.factors), code.lineage, client.client_id, place, self._life
            )
            if session is None:
                return None
            event = AuditEvent(
                Kind.APP_SIGNED_IN,
                actor="client",
                person_id=code.person_id,
                client_id=client.client_id,
                request_id=request_id,
                details={"acr": code.acr},
                place=place,
            )
            await self._audit.record(tx, event)
        return session

    async def close(self, session: Session, client: Client, request_id: str) -> None:
        """Take back a sign-in whose code turned out to be used."""
        async with self._database.transaction() as tx:
            await self._sessions.end_lineage(tx, session.lineage, "code not redeemed", request_id=request_id, client_id=client.client_id)

    def make_device_secret(self, lineage: bytes, client: Client, ends_at: datetime) -> str:
        """Return the secret that the apps of the client's sector share on this device."""
        return self._values.seal(DeviceSecret(lineage, client.sector_id, int(ends_at.timestamp())))

    def open_device_secret(self, text: str, now: datetime) -> DeviceSecret | None:
        """Return what a device secret says, None for any other text or a late one."""
        secret = self._values.open(DeviceSecret, text)
        return secret if secret is not None and now.timestamp() < secret.expires_at else None
