"""Decides how stand-ins for the authorities behave on one's own machine: strict about signatures, true to a table, and faulty on demand.

For demonstration and tests only; nothing that serves for real imports it. Binds and answers loopback addresses only.

- ``POST /<authority>/checks``, ``GET /<authority>/status/<kind>``: the contract of contract.py and signatures.py.
- ``GET /face``, ``POST /face``: the page of the real-person check (simulated_face.py).
- ``GET /faults``: authorities, kinds, faults and how often each kind was asked. ``POST /faults`` (JSON) ``{"kind": "bank_card" | "*",
  "fault": "silent" | …, "times": 3, "seconds": 2}`` chooses one; without ``times`` it lasts; ``"fault": ""`` ends it.
"""

import asyncio
import contextlib
import hashlib
import hmac
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.sources.addresses import is_loopback
from idp.sources.contract import MAXIMUM_REQUEST, CheckRequest, Unreadable, read_check
from idp.sources.signatures import Forged, NonceMemory, PartnerKey
from idp.sources.simulated_face import FaceDesk
from idp.sources.simulated_register import (
    AUTHORITIES,
    Face,
    Fault,
    FaultKind,
    FindByPhone,
    FindPerson,
    RegisteredPerson,
    answer_question,
    read_national_number,
)

SILENCE = 60.0
"""Seconds until a silent authority gives the connection up."""

MOST_ANSWERS = 10_000
MOST_CALLS = 10_000
UNPROCESSED = frozenset({FaultKind.ERROR_500, FaultKind.UNAVAILABLE, FaultKind.LIMIT})
"""Faults before the question is looked at; after the others its answer is on record."""


class SimulatorRefused(Exception):
    """The simulator was asked to listen where others could reach it."""


class _Rejected(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class FaultChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``POST /faults`` takes."""

    kind: str
    fault: str
    times: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=60)] = 2.0


@dataclass
class _Chosen:
    fault: Fault
    left: int | None


@dataclass(frozen=True)
class _Exchange:
    """One verified request: whose key, which nonce, which body."""

    key: PartnerKey
    nonce: str
    body: bytes


class SimulatedAuthorities:
    """All of them at once. ``keys``: app key → what is shared with it; ``find`` and ``find_by_phone`` are the registers."""

    def __init__(
        self, keys: Mapping[str, PartnerKey], find: FindPerson, clock: Clock, random: Random, find_by_phone: FindByPhone = lambda _: None
    ) -> None:
        self._keys = dict(keys)
        self._find = find
        self._find_by_phone = find_by_phone
        self._clock = clock
        self._random = random
        self._nonces = NonceMemory()
        self._answers: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
        self._faults: dict[CheckKind, _Chosen] = {}
        self._older: dict[CheckKind, tuple[bytes, dict[str, str]]] = {}
        self._counts: Counter[CheckKind] = Counter()
        self.calls: deque[CheckRequest] = deque(maxlen=MOST_CALLS)
        """Every verified question, oldest first, repetitions and those that met a fault included."""
        self.face = FaceDesk(clock, random)
        self.application = Starlette(
            routes=[
                Route("/faults", self._show_faults, methods=["GET"]),
                Route("/faults", self._choose_fault, methods=["POST"]),
                Route("/face", self._show_face, methods=["GET"]),
                Route("/face", self._submit_face, methods=["POST"]),
                Route("/{authority}/checks", self._answer_check, methods=["POST"]),
                Route("/{authority}/status/{kind}", self._answer_status, methods=["GET"]),
            ],
            exception_handlers={_Rejected: _refuse},
        )

    def set_fault(self, kind: CheckKind | str, fault: FaultKind | str = "", *, times: int | None = None, seconds: float = 2.0) -> None:
        """Choose how the next ``times`` questions of a kind (``*``: of every kind) fail; an empty fault ends it, no ``times`` lasts."""
        for each in CheckKind if kind == "*" else [CheckKind(kind)]:
            if fault:
                self._faults[each] = _Chosen(Fault(FaultKind(fault), seconds), times)
            else:
                self._faults.pop(each, None)

    def describe(self) -> list[dict[str, object]]:
        """Return one row for each kind: authority, kind, chosen fault, how often it will still strike, how often it was asked."""
        rows: list[dict[str, object]] = []
        for authority, kinds in AUTHORITIES.items():
            for kind in sorted(kinds):
                chosen = self._faults.get(kind)
                row = {"authority": authority, "kind": kind.value, "fault": chosen.fault.kind.value if chosen else ""}
                rows.append({**row, "times": chosen.left if chosen else None, "calls": self._counts[kind]})
        return rows

    async def _answer_check(self, request: Request) -> Response:
        exchange = await self._receive(request)
        try:
            question = read_check(exchange.body)
        except Unreadable:
            return self._reply(exchange, 400, {"error": "body"})
        if question.kind not in AUTHORITIES.get(request.path_params["authority"], frozenset()):
            return self._reply(exchange, 404, {"error": "kind"})
        self.calls.append(question)
        self._counts[question.kind] += 1
        recorded = self._answers.get(question.request_id)
        if recorded is not None and not hmac.compare_digest(recorded[0], hashlib.sha256(exchange.body).digest()):
            return self._reply(exchange, 409, {"error": "request_id"})
        fault = self._take_fault(question)
        if fault is not None and fault.kind in UNPROCESSED:
            return self._refuse_by(fault, question, exchange)
        body = self._record(question, exchange) if recorded is None else recorded[1]
        if fault is not None and fault.kind is FaultKind.SILENT:
            return await _keep_silent(request)
        return await self._send(body, question.kind, exchange, fault)

    async def _answer_status(self, request: Request) -> Response:
        exchange = await self._receive(request)
        kinds = AUTHORITIES.get(request.path_params["authority"], frozenset())
        kind = request.path_params["kind"]
        if kind not in kinds:
            return self._reply(exchange, 404, {"error": "kind"})
        chosen = self._faults.get(CheckKind(kind))
        fault = chosen.fault.kind if chosen else None
        if fault is FaultKind.SILENT:
            await _keep_silent(request)
        if fault is FaultKind.ERROR_500:
            return Response(b"internal error", 500)
        return self._reply(exchange, 200, {"kind": kind, "ready": fault not in (FaultKind.UNAVAILABLE, FaultKind.SILENT)})

    async def _receive(self, request: Request) -> _Exchange:
        """Return a request whose key, clock, signature and nonce are in order; otherwise an unsigned refusal."""
        _check_loopback(request)
        body = await _read_body(request)
        key = self._keys.get(request.headers.get("x-app-key", ""))
        if key is None:
            raise _Rejected(401, "app_key")
        query = request.url.query
        target = request.url.path + (f"?{query}" if query else "")
        now = self._clock()
        try:
            nonce = key.verify_request(request.method, target, body, request.headers, now)
            self._nonces.add(nonce, now)
        except Forged as forged:
            raise _Rejected(401, forged.reason) from None
        return _Exchange(key, nonce, body)

    def _take_fault(self, question: CheckRequest) -> Fault | None:
        """Return the fault that strikes this question: a chosen one before one that the person is known for."""
        chosen = self._faults.get(question.kind)
        if chosen is None:
            person = self._find_person(question)
            return person.faults.get(question.kind) if person is not None else None
        if chosen.left is not None:
            chosen.left -= 1
            if chosen.left == 0:
                del self._faults[question.kind]
        return chosen.fault

    def _find_person(self, question: CheckRequest) -> RegisteredPerson | None:
        subject = question.subject
        if question.kind is CheckKind.REGISTRATION_RISK:
            return self._find_by_phone(read_national_number(subject.get("phone", "")))
        return self._find(subject.get("document_kind", ""), subject.get("id_number", ""))

    def _refuse_by(self, fault: Fault, question: CheckRequest, exchange: _Exchange) -> Response:
        if fault.kind is FaultKind.ERROR_500:
            return Response(b"<html>internal error</html>", 500)
        if fault.kind is FaultKind.UNAVAILABLE:
            return self._reply(exchange, 503, {"processed": False})
        limited = {
            "request_id": question.request_id,
            "kind": question.kind,
            "result": CheckResult.LIMITED,
            "retry_after": 60,
            "charged": False,
        }
        return self._reply(exchange, 200, limited)

    def _record(self, question: CheckRequest, exchange: _Exchange) -> bytes:
        """Answer from the register and keep the answer under the question's id."""
        face: Face | None = None
        if question.kind is CheckKind.REAL_PERSON:
            face = self.face.take_ticket(question.subject.get("ticket", ""))
        result = answer_question(question.kind, question.subject, self._find_person(question), face)
        answer = {
            "request_id": question.request_id,
            "kind": question.kind,
            "result": result,
            "reference": f"SIM-{hashlib.sha256(question.request_id.encode()).hexdigest()[:16].upper()}",
            "charged": result in (CheckResult.MATCH, CheckResult.MISMATCH),
            "as_of": self._clock(),
        }
        body = msgspec.json.encode(answer)
        self._answers[question.request_id] = hashlib.sha256(exchange.body).digest(), body
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)
        return body

    async def _send(self, body: bytes, kind: CheckKind, exchange: _Exchange, fault: Fault | None) -> Response:
        key, nonce = exchange.key, exchange.nonce
        if fault is None or fault.kind is FaultKind.SLOW:
            if fault is not None:
                await asyncio.sleep(fault.seconds)
            headers = key.sign_reply(200, body, self._clock(), nonce)
            self._older[kind] = body, headers
        elif fault.kind is FaultKind.TRUNCATED_JSON:
            body = body[: len(body) // 2]
            headers = key.sign_reply(200, body, self._clock(), nonce)
        elif fault.kind is FaultKind.WRONG_SIGNATURE:
            headers = PartnerKey(key.app_key, self._random(32)).sign_reply(200, body, self._clock(), nonce)
        else:
            earlier = body, key.sign_reply(200, body, self._clock(), self._random(16).hex())
            body, headers = self._older.get(kind, earlier)
        return Response(body, 200, headers, "application/json")

    def _reply(self, exchange: _Exchange, status: int, answer: dict[str, object]) -> Response:
        body = msgspec.json.encode(answer)
        return Response(body, status, exchange.key.sign_reply(status, body, self._clock(), exchange.nonce), "application/json")

    async def _show_face(self, request: Request) -> Response:
        _check_loopback(request)
        return await self.face.show(request)

    async def _submit_face(self, request: Request) -> Response:
        _check_loopback(request)
        return await self.face.submit(await _read_body(request))

    async def _show_faults(self, request: Request) -> Response:
        _check_loopback(request)
        return _answer(self.describe())

    async def _choose_fault(self, request: Request) -> Response:
        _check_loopback(request)
        # Another site's form cannot send this type, so no page that somebody visits can choose faults.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise _Rejected(415, "application/json is wanted")
        try:
            choice = msgspec.json.decode(await _read_body(request), type=FaultChoice)
            self.set_fault(choice.kind, choice.fault, times=choice.times, seconds=choice.seconds)
        except (ValueError, RecursionError):
            raise _Rejected(400, "kind, fault, times, seconds") from None
        return _answer(self.describe())


def run_authorities(application: Starlette, host: str, port: int) -> None:
    """Serve until stopped. Raises SimulatorRefused for an address that is not loopback."""
    import uvicorn

    if not is_loopback(host):
        raise SimulatorRefused(f"The simulated authorities listen on 127.0.0.1 or ::1 only, not on {host}.")
    uvicorn.run(application, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2)


async def _refuse(_: Request, error: Exception) -> Response:
    return _answer({"error": getattr(error, "error", "")}, getattr(error, "status", 400))


def _answer(body: object, status: int = 200) -> Response:
    headers = {"cache-control": "no-store", "x-synthetic-data": "yes"}
    return Response(msgspec.json.encode(body), status, headers, "application/json")


async def _keep_silent(request: Request) -> Response:
    """Say nothing until the caller leaves, or for a minute."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SILENCE):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    return Response(status_code=504)


def _check_loopback(request: Request) -> None:
    """Refuse a request that reached us on another address, or that a foreign page sent here by a name of its own (DNS rebinding)."""
    server = request.scope.get("server")
    if server is None or not is_loopback(server[0]) or not is_loopback(request.url.hostname or ""):
        raise _Rejected(403, "loopback only")


async def _read_body(request: Request) -> bytes:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAXIMUM_REQUEST:
                raise _Rejected(413, "size")
    except ClientDisconnect:
        raise _Rejected(400, "the caller left") from None
    return body
