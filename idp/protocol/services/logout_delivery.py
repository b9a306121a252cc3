"""Decides how a department is told on its own server that a sign-in ended: a token made at that moment, one POST, an outcome that stays.

The outbox asks again what did not work (Back-Channel Logout 1.0 §2.8 leaves that to us); a department that does not answer is left
alone for a while, so that what waits for it costs nobody else's time.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from idp.kernel.audit_events import AuditEvent, Detail, Kind, Result
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import MessageId, decode_base64url, make_outward_id
from idp.platform.audit_log import AuditLog
from idp.platform.current_ring import CurrentRing
from idp.platform.database import Database, Transaction
from idp.platform.fetching import Fetcher, FetchFailed
from idp.platform.outbox import DeliveryRefused
from idp.protocol.rules.client import Client
from idp.protocol.rules.logout import NO_ADDRESS, NO_KEY, TIME_IS_UP, TOKEN_TYPE, Answered, Channel, State, describe_logout, judge_answer
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.protection import Protection
from idp.protocol.stores import logout_deliveries as store
from idp.sources.breaker import Breaker, BreakerEvent, BreakerLimits, admit_call, end_call

SECONDS = 5.0
"""A department has so long to answer."""

ANSWER_LIMIT = 16 * 1024
"""Bytes of an answer; nothing of it is read but its status."""

LIMITS = BreakerLimits(calls=3, share=0.5, window=timedelta(minutes=1), rest=timedelta(minutes=1))
KEPT_FOR = timedelta(days=90)
BATCH = 500
FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "*/*"}

_encode = msgspec.json.Encoder().encode


class DepartmentResting(Exception):
    """The department did not answer others just now; this message waits."""


class DepartmentSilent(Exception):
    """The department did not take the message this time; the outbox tries again."""


class LogoutDelivery:
    """Delivers outbox messages of kind ``logout``. One for the process: it remembers who does not answer."""

    def __init__(
        self,
        database: Database,
        directory: ClientDirectory,
        ring: CurrentRing,
        id_tokens: IdTokens,
        protection: Protection,
        fetcher: Fetcher,
        audit: AuditLog,
        issuer: str,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._directory = directory
        self._ring = ring
        self._id_tokens = id_tokens
        self._protection = protection
        self._fetcher = fetcher
        self._audit = audit
        self._issuer = issuer
        self._clock = clock
        self._random = random
        self._breakers: dict[str, Breaker] = {}

    async def deliver(self, payload: dict[str, Any], message_id: MessageId) -> str:
        """Tell one department; the handler of the outbox.

        Raises DeliveryRefused when it will never be told, DepartmentSilent and DepartmentResting when it is to be tried again.
        """
        delivery = await store.find_waiting(self._database, decode_base64url(payload["lineage"]), payload["client_id"])
        if delivery is None:
            return "ended before"
        client = await self._directory.find(delivery.client_id)
        address = client.logout.backchannel_logout_uri if client is not None and client.status != "retired" else None
        if client is None or address is None:
            await self._finish(delivery, NO_ADDRESS, told=False)
            raise DeliveryRefused(NO_ADDRESS)
        form = await self._make_form(client, delivery)
        answered = Answered(told=False, final=False, reason=NO_KEY) if form is None else await self._ask(client, address, form)
        if answered.told:
            await self._finish(delivery, answered.reason, told=True)
            return answered.reason
        if answered.final:
            await self._finish(delivery, answered.reason, told=False)
            raise DeliveryRefused(answered.reason)
        await store.note_trouble(self._database, delivery.lineage, delivery.client_id, answered.reason)
        raise DepartmentSilent(answered.reason)

    async def give_up_overdue(self) -> int:
        """Note which departments were not told in time; return how many. For the worker, now and then."""
        async with self._database.transaction() as tx:
            overdue = await store.give_up_overdue(tx, self._clock(), TIME_IS_UP, BATCH)
            for ended in overdue:
                await self._record(tx, ended.client_id, ended.person_id, ended.reason, told=False)
        return len(overdue)

    async def forget(self) -> bool:
        """Delete what ended long ago (the audit log keeps it); tell whether some is left."""
        async with self._database.transaction() as tx:
            return await store.drop_old(tx, self._clock() - KEPT_FOR, BATCH) == BATCH

    async def _make_form(self, client: Client, delivery: store.Delivery) -> bytes | None:
        """Return what the department is sent; None when it is to be encrypted and cannot be now."""
        try:
            recipient = await self._protection.find_recipient(client)
        except ProtocolError:
            return None
        # Made now, not when the sign-in ended: it is good for two minutes (Back-Channel Logout §2.4).
        sid = self._id_tokens.make_sid(delivery.lineage, client.client_id)
        now = int(self._clock().timestamp())
        claims = describe_logout(self._issuer, client.client_id, delivery.subject, sid, now, make_outward_id(self._random))
        token = await self._ring.sign_token(client.id_token_algorithm, _encode(claims), TOKEN_TYPE)
        return urlencode({"logout_token": await self._protection.encrypt_logout_token(recipient, client, token)}).encode()

    async def _ask(self, client: Client, address: str, form: bytes) -> Answered:
        """Send the form, unless the department is left alone just now. Raises DepartmentResting."""
        known = self._breakers.get(client.client_id, Breaker())
        admitted = admit_call(known, LIMITS, self._clock())
        if admitted is None:
            raise DepartmentResting
        self._breakers[client.client_id] = admitted
        event = BreakerEvent.ABANDONED
        try:
            fetched = await self._fetcher.send("POST", address, headers=FORM, content=form, size=ANSWER_LIMIT, seconds=SECONDS)
            answered = judge_answer(fetched.status)
            event = BreakerEvent.ANSWERED if answered.final else BreakerEvent.FAILED
        except FetchFailed as failed:
            answered = Answered(told=False, final=failed.by_rule, reason=failed.reason)
            event = BreakerEvent.FAILED
        finally:
            current = self._breakers.get(client.client_id, Breaker())
            self._breakers[client.client_id] = end_call(current, LIMITS, event, self._clock(), admitted.turn)
        return answered

    async def _finish(self, delivery: store.Delivery, reason: str, *, told: bool) -> None:
        state = State.TOLD if told else State.UNTOLD
        async with self._database.transaction() as tx:
            person_id = await store.finish(tx, delivery.lineage, delivery.client_id, state, reason, self._clock())
            if person_id is not None:
                await self._record(tx, delivery.client_id, person_id, reason, told=told)

    async def _record(self, tx: Transaction, client_id: str, person_id: UUID, reason: str, *, told: bool) -> None:
        details: dict[str, Detail] = {"channel": Channel.BACK.value, "reason": reason}
        event = AuditEvent(
            Kind.LOGOUT_TOLD if told else Kind.LOGOUT_UNTOLD,
            Result.DONE if told else Result.REFUSED,
            person_id=person_id,
            client_id=client_id,
            details=details,
        )
        await self._audit.record(tx, event)
