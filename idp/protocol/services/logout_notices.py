"""Decides whom the end of a sign-in is told: every department that knows it, written down in the transaction that ends it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Detail, Kind, Result
from idp.kernel.clock import Clock
from idp.kernel.ids import encode_base64url
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.outbox import Outbox
from idp.protocol.rules.logout import NO_ADDRESS, NO_BROWSER, Channel, State, Telling, build_front_address, choose_channel
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.stores import logout_deliveries as store

KIND = "logout"
"""Of the outbox messages; ``LogoutDelivery`` takes them."""

UNTOLD = {Channel.FRONT: NO_BROWSER, Channel.NONE: NO_ADDRESS}
"""Why a department is not told by itself; a browser that is still there may change the first."""


class LogoutNotices:
    """Given to ``Sessions``, which know no departments. ``retry_for``: how long one that does not answer is asked again."""

    def __init__(
        self, database: Database, outbox: Outbox, audit: AuditLog, id_tokens: IdTokens, issuer: str, clock: Clock, retry_for: timedelta
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._id_tokens = id_tokens
        self._issuer = issuer
        self._clock = clock
        self._retry_for = retry_for

    async def add(
        self, tx: Transaction, person_id: UUID, lineages: Sequence[bytes], request_id: str = "", *, client_id: str | None = None
    ) -> None:
        """Write down, in the caller's transaction, which departments are to be told that these sign-ins ended.

        ``client_id``: they ended for this one alone. Of one sign-in each department is told once, however often it is ended; again only
        when the person signed on there again meanwhile.
        """
        now = self._clock()
        until = now + self._retry_for
        for known in await store.find_involved(tx, lineages, client_id):
            channel = choose_channel(known.client.logout)
            reason = UNTOLD.get(channel)
            state = State.WAITING if reason is None else State.UNTOLD
            delivery = store.Delivery(known.lineage, known.client.client_id, person_id, known.subject, now)
            if not await store.add(tx, delivery, channel, state, reason, until, known.signed_on_at):
                continue
            if channel is Channel.BACK:
                payload = {"lineage": encode_base64url(known.lineage), "client_id": delivery.client_id}
                await self._outbox.add(tx, KIND, payload, until)
            else:
                await self._record(tx, person_id, delivery.client_id, channel, reason, request_id)

    async def list_tellings(self, lineage: bytes) -> list[Telling]:
        """Return what became of telling the departments of one sign-in; what waited for too long counts as not told."""
        now = self._clock()
        tellings = []
        for kept in await store.list_of_lineage(self._database, lineage):
            client = kept.client
            state = State.UNTOLD if kept.state is State.WAITING and kept.expires_at <= now else kept.state
            uri = client.logout.frontchannel_logout_uri if kept.channel is Channel.FRONT else None
            address = build_front_address(uri, self._issuer, self._id_tokens.make_sid(lineage, client.client_id)) if uri else ""
            tellings.append(Telling(client.client_id, client.name, client.name_en, kept.channel, state, address))
        return tellings

    async def show(self, lineage: bytes, request_id: str) -> None:
        """Note that the person's browser is given the addresses of the departments that are told through it."""
        async with self._database.transaction() as tx:
            for ended in await store.show(tx, lineage, self._clock()):
                await self._record(tx, ended.person_id, ended.client_id, Channel.FRONT, None, request_id)

    async def _record(
        self, tx: Transaction, person_id: UUID, client_id: str, channel: Channel, reason: str | None, request_id: str
    ) -> None:
        details: dict[str, Detail] = {"channel": channel.value}
        if reason is not None:
            details["reason"] = reason
        event = AuditEvent(
            Kind.LOGOUT_TOLD if reason is None else Kind.LOGOUT_UNTOLD,
            Result.DONE if reason is None else Result.REFUSED,
            person_id=person_id,
            client_id=client_id,
            request_id=request_id,
            details=details,
        )
        await self._audit.record(tx, event)
