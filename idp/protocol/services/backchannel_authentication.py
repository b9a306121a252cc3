"""Decides how a counter or the hotline asks a person: every request is taken alike, few of them reach somebody (CIBA §7)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from idp.kernel.audit_events import AuditEvent, Kind, Place
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.people.rules.person import check_standing
from idp.people.services.directory import KnownPerson, People
from idp.platform.afterwards import Afterwards
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.outbox import Outbox
from idp.platform.transients import Transients
from idp.protocol.rules.authorization_details import check_details
from idp.protocol.rules.authorization_request import read_acr_values
from idp.protocol.rules.backchannel_authentication import (
    DENIALS,
    IN_TEN_MINUTES,
    INTERVAL,
    PARAMETERS,
    SIGNED_LIFE,
    BackchannelRequest,
    check_signed_request,
    demands_signed_request,
    read_backchannel_request,
)
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import DeliveryMode, Profile
from idp.protocol.rules.decoupled_level import check_classes
from idp.protocol.rules.decoupled_request import Answer, DecoupledRequest, Status
from idp.protocol.rules.decoupled_request import Kind as RequestKind
from idp.protocol.rules.request_object import read_object_parameters
from idp.protocol.rules.resources import keep_resources
from idp.protocol.services.client_authentication import Caller
from idp.protocol.services.decoupled_requests import DecoupledRequests, HeldRequest
from idp.protocol.services.device_authorization import find_scope
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.request_objects import RequestObjects
from idp.protocol.stores import subjects
from idp.sign_in.services.account_notices import AccountNotices

NOTICE = "request_waiting"
PING = "ciba_ping"
OF_PERSON = "ciba_of_person"
REACHED = "ciba_reached_after"
ASKED = "ciba_asked"
SIGNED = "ciba_signed_request"
DENIED = "ciba_denied"
TEN_MINUTES = 600.0
DAY = 86_400.0


class BackchannelResponse(msgspec.Struct, frozen=True):
    """The answer (CIBA §7.3)."""

    auth_req_id: str
    expires_in: int
    interval: int


class BackchannelAuthentication:
    """``POST /bc-authorize``, and what the person sees of it.

    Not ``limited``: every request reaches its person, and the newest takes the place of the one before; for conformance runs.
    """

    def __init__(
        self,
        database: Database,
        transients: Transients,
        requests: DecoupledRequests,
        objects: RequestObjects,
        people: People,
        id_tokens: IdTokens,
        notices: AccountNotices,
        outbox: Outbox,
        audit: AuditLog,
        afterwards: Afterwards,
        clock: Clock,
        *,
        limited: bool = True,
    ) -> None:
        self._limited = limited
        self._database = database
        self._transients = transients
        self._requests = requests
        self._objects = objects
        self._people = people
        self._id_tokens = id_tokens
        self._notices = notices
        self._outbox = outbox
        self._audit = audit
        self._afterwards = afterwards
        self._clock = clock

    async def begin(self, parameters: Mapping[str, str], caller: Caller, request_id: str, place: Place) -> bytes:
        """Begin a request and return the JSON answer; raise ProtocolError.

        Whom nobody knows, who may not sign in, has one waiting, was asked three times in ten minutes or muted this client, is answered for
        by silence: the client learns of none of these (protocol.md §2).
        """
        client = caller.client
        if "request" in parameters or demands_signed_request(client):
            parameters = await self._read_signed(parameters, client)
        asked = read_backchannel_request(parameters, client, message_required=client.profile is not Profile.STANDARD)
        check_classes(parameters, client)
        check_details(None, parameters, client)
        wanted = read_acr_values(parameters)
        scope = find_scope(parameters, client)
        request = await self._requests.begin(
            RequestKind.CIBA,
            client.client_id,
            scope,
            asked.life,
            INTERVAL,
            message=asked.message,
            wanted="" if wanted is None else wanted.value,
            notify=asked.notify,
            terms=keep_resources(parameters, client),
        )
        async with self._database.transaction() as tx:
            await self._audit.record(tx, _describe(Kind.REQUEST_BEGUN, client, request_id, place))
        hinted = self._read_hint(asked, client)
        # The answer leaves first: how long it took says nothing of who exists.
        self._afterwards.start("ciba_reach", self._reach(asked, hinted, request, client, request_id, place))
        return msgspec.json.encode(BackchannelResponse(request.id, asked.life, INTERVAL))

    async def _reach(
        self,
        asked: BackchannelRequest,
        hinted: str | None,
        request: DecoupledRequest,
        client: Client,
        request_id: str,
        place: Place,
    ) -> None:
        known = await self._find_person(asked, hinted, client)
        if known is None or not await self._may_reach(known.standing.person_id, client, asked.life):
            return
        person_id = known.standing.person_id
        name = await self._people.find_masked_name(person_id)
        if not await self._requests.address(request.id, person_id):
            return
        await self._transients.put(OF_PERSON, str(person_id), request.id.encode(), asked.life)
        async with self._database.transaction() as tx:
            await self._audit.record(tx, _describe(Kind.REQUEST_REACHED, client, request_id, place, person_id))
            await self._notices.add(tx, known.phone, name, NOTICE)

    async def find_waiting(self, person_id: UUID) -> DecoupledRequest | None:
        """Return the request that waits for this person, None when there is none."""
        return await self._find_waiting(person_id, await self._find_last(person_id))

    async def _find_last(self, person_id: UUID) -> str:
        stored = await self._transients.get(OF_PERSON, str(person_id))
        return "" if stored is None else stored.value.decode()

    async def _find_waiting(self, person_id: UUID, last: str) -> DecoupledRequest | None:
        held = await self._requests.find(last)
        if held is None or held.request.person_id != person_id or not self._is_waiting(held):
            return None
        return held.request

    async def note_answer(self, request: DecoupledRequest, client: Client, answer: Answer) -> None:
        """Count a refusal, and ping a client that asked for it (CIBA §10.2)."""
        if request.kind is not RequestKind.CIBA or request.person_id is None:
            return
        if answer is Answer.DENY:
            denials = 1 + await self._count_denials(request.person_id, client)
            await self._transients.put(DENIED, f"{request.person_id} {client.client_id}", b"%d" % denials, DAY)
        if request.notify and client.ciba.backchannel_token_delivery_mode == DeliveryMode.PING.value:
            payload = {"client_id": client.client_id, "auth_req_id": request.id, "token": request.notify}
            async with self._database.transaction() as tx:
                await self._outbox.add(tx, PING, payload, request.expires_at + timedelta(seconds=60))

    async def _read_signed(self, parameters: Mapping[str, str], client: Client) -> dict[str, str]:
        text = parameters.get("request")
        if text is None:
            raise ProtocolError("invalid_request", "This client's requests must be signed.", redirectable=False)
        try:
            registered = client.ciba.backchannel_authentication_request_signing_alg
            claims: Mapping[str, Any] = await self._objects.verify(text, client, registered)
            jti = check_signed_request(claims, parameters)
            inside = read_object_parameters(claims, {}, client, PARAMETERS)
        except ProtocolError as error:
            # CIBA §13 knows one word for all of this.
            raise replace(error, error="invalid_request", redirectable=False) from None
        # What the store may have forgotten cannot be told from what it never heard of (decision 10). iat has whole seconds.
        if claims["iat"] < int((await self._transients.born_at()).timestamp()):
            raise ProtocolError("invalid_request", "This signed request is older than our memory; sign another one.", redirectable=False)
        if not await self._transients.add_once(SIGNED, f"{client.client_id} {jti}", SIGNED_LIFE * 2):
            raise ProtocolError("invalid_request", "This signed request was used before.", redirectable=False)
        return inside

    def _read_hint(self, asked: BackchannelRequest, client: Client) -> str | None:
        if asked.id_token_hint is None:
            return None
        hinted = self._id_tokens.read_hint(asked.id_token_hint)
        if hinted is None or hinted.client_id != client.client_id:
            raise ProtocolError("invalid_request", "id_token_hint is not an ID Token that was issued to this client.", redirectable=False)
        return hinted.subject

    async def _find_person(self, asked: BackchannelRequest, hinted: str | None, client: Client) -> KnownPerson | None:
        if asked.login_hint is not None:
            known = await self._people.find_by_identifier(asked.login_hint)
        else:
            person_id = await subjects.find_person(self._database, hinted or "", client.sector_id)
            known = await self._people.find_by_id(person_id) if person_id is not None else None
        return known if known is not None and check_standing(known.standing.status) is None else None

    async def _may_reach(self, person_id: UUID, client: Client, life: int) -> bool:
        if not self._limited:
            return True
        last = await self._find_last(person_id)
        if await self._find_waiting(person_id, last) is not None:
            return False
        if await self._count_denials(person_id, client) >= DENIALS:
            return False
        if (await self._transients.count(ASKED, str(person_id), TEN_MINUTES)).number > IN_TEN_MINUTES:
            return False
        # Of requests that arrive together one is the next after the last; the mark is over when that one is.
        return await self._transients.add_once(REACHED, f"{person_id} {last}", life)

    async def _count_denials(self, person_id: UUID, client: Client) -> int:
        stored = await self._transients.get(DENIED, f"{person_id} {client.client_id}")
        return 0 if stored is None else int(stored.value)

    def _is_waiting(self, held: HeldRequest) -> bool:
        return held.request.status is Status.PENDING and self._clock() < held.request.expires_at


def _describe(kind: Kind, client: Client, request_id: str, place: Place, person_id: UUID | None = None) -> AuditEvent:
    return AuditEvent(
        kind,
        actor="client",
        person_id=person_id,
        client_id=client.client_id,
        request_id=request_id,
        details={"kind": RequestKind.CIBA.value},
        place=place,
    )
