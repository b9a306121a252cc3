"""Decides how the person of a conformance run answers a counter's request: an address says yes or no for them, in this demo alone."""

import asyncio
from datetime import timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from idp.app import Services
from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.ids import make_outward_id
from idp.kernel.levels import Acr, Factor, Proved
from idp.platform.database import Transaction
from idp.protocol.rules.client import Client
from idp.protocol.rules.decoupled_request import Answer, Approval, DecoupledRequest
from idp.protocol.rules.decoupled_request import Kind as RequestKind
from idp.protocol.services.backchannel_authentication import PING
from idp.protocol.services.decoupled_requests import DecoupledRequests, HeldRequest
from idp.protocol.stores import consents, subjects
from idp.sign_in.rules.session import write_factors

PATH = "/demo/ciba"
ANSWERS = {"allow": Answer.APPROVE, "deny": Answer.DENY}
"""The suite's words for ``action``."""

ACTOR = "demo"
TRIES, PAUSE = 30, 0.1
"""How often it is looked whether a request reached its person, and the seconds between."""


class NotForConformance(Exception):
    """Somebody else's people would be answered for."""


class Decisions:
    """``POST /demo/ciba?auth_req_id=…&action=allow|deny``: what the suite calls ``automated_ciba_approval_url``.

    Raises NotForConformance unless the settings are those of a conformance run: the demo environment with a code that everybody knows.
    """

    def __init__(self, services: Services) -> None:
        platform = services.platform
        if platform.settings.environment != "demo" or not platform.settings.sms.fixed_code:
            raise NotForConformance("Requests are answered for people in a conformance run only.")
        self._platform = platform
        self._directory = services.directory
        self._requests = DecoupledRequests(platform.transients, platform.clock, platform.random)

    def routes(self) -> list[BaseRoute]:
        """Return the routes to add."""
        return [Route(PATH, self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """Answer a request that waits for a person: 200 when that counted, 400 for another word, 404 when nothing waits under this id."""
        answer = ANSWERS.get(request.query_params.get("action", ""))
        if answer is None:
            return _say({"error": "action is allow or deny"}, 400)
        held = await self._await_person(request.query_params.get("auth_req_id", ""))
        client = await self._directory.find(held.request.client_id) if held else None
        if held is None or client is None:
            return _say({"error": "nothing waits for a person under this id"}, 404)
        async with self._platform.database.transaction() as tx:
            approval = await self._approve(tx, held.request, client) if answer is Answer.APPROVE else None
            if not await self._requests.answer(held, answer, approval):
                return _say({"error": "it was answered before, or it is too late"}, 404)
            await self._note(tx, held.request, client, answer)
        return _say({"answer": answer.value}, 200)

    async def _await_person(self, request_id: str) -> HeldRequest | None:
        """Return a request once it reached its person, which happens after it was answered; None when it does not."""
        for _ in range(TRIES):
            held = await self._requests.find(request_id)
            if held is None or held.request.kind is not RequestKind.CIBA:
                return None
            if held.request.person_id is not None:
                return held
            await asyncio.sleep(PAUSE)
        return None

    async def _approve(self, tx: Transaction, request: DecoupledRequest, client: Client) -> Approval | None:
        now = self._platform.clock()
        if request.person_id is None:
            return None
        for each in client.entitlements:
            await consents.give(tx, request.person_id, client.client_id, each.purpose, each.version, each.claims, now)
        subject = await subjects.find_or_add(tx, request.person_id, client.sector_id, make_outward_id(self._platform.random), now)
        proved = (Proved(Factor.PASSWORD, now), Proved(Factor.SMS, now))
        return Approval(
            person_id=request.person_id,
            subject=subject,
            factors=write_factors(proved),
            acr=Acr.SUBSTANTIAL.value,
            auth_time=int(now.timestamp()),
            sector_id=client.sector_id,
        )

    async def _note(self, tx: Transaction, request: DecoupledRequest, client: Client, answer: Answer) -> None:
        approved = answer is Answer.APPROVE
        event = AuditEvent(
            Kind.REQUEST_APPROVED if approved else Kind.REQUEST_DENIED,
            Result.DONE if approved else Result.REFUSED,
            actor=ACTOR,
            person_id=request.person_id,
            client_id=client.client_id,
            details={"kind": request.kind.value},
        )
        await self._platform.audit_log.record(tx, event)
        if request.notify:
            payload = {"client_id": client.client_id, "auth_req_id": request.id, "token": request.notify}
            await self._platform.outbox.add(tx, PING, payload, request.expires_at + timedelta(seconds=60))


def _say(body: dict[str, str], status: int) -> Response:
    return Response(msgspec.json.encode(body), status, {"cache-control": "no-store"}, "application/json")
