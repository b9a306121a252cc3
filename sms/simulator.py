"""Decides how a stand-in for Aliyun's SMS service behaves on one's own machine: strict about signatures, and it shows what it was sent.

For demonstration and tests only. It binds and answers loopback addresses only, because ``GET /messages`` shows one-time codes.

- ``POST /?PhoneNumbers=…`` the vendor's ``SendSms``, signed with ACS3-HMAC-SHA256.
- ``GET /messages?phone=…`` the last messages, newest first: ``[{phone, text, code, sent_at}]``; without ``phone`` those of every number.
- ``POST /faults`` ``{"fault": …, "times": n}`` the next n messages fail: ``fault`` is a vendor's code (``isv.BUSINESS_LIMIT_CONTROL``), or
  ``unavailable`` (HTTP 503), ``garbage`` (no JSON), ``silence`` (no answer for 30 s). ``{"fault": "", "times": 0}`` ends it.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sms.acs3 import encode_query, read_authorization, sign_request
from sms.gateway import SmsRefused, read_mainland_number
from sms.templates import TEMPLATES, render

KEPT = 1_000
CLOCK_TOLERANCE = timedelta(minutes=15)
MAXIMUM_BODY = 16_384
SILENCE = 30.0
MUST_SIGN = frozenset({"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"})


class SimulatorRefused(Exception):
    """The simulator was asked to listen where others could read its messages."""


class _Rejected(Exception):
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class _Message:
    phone: str
    text: str
    code: str
    sent_at: datetime

    def to_json(self) -> dict[str, str]:
        sent_at = self.sent_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"phone": self.phone, "text": self.text, "code": self.code, "sent_at": sent_at}


class _Simulator:
    def __init__(self, keys: Mapping[str, str], templates: Mapping[str, str], sign_name: str, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._templates = templates
        self._sign_name = sign_name
        self._clock = clock
        self._messages: deque[_Message] = deque(maxlen=KEPT)
        self._nonces: OrderedDict[str, datetime] = OrderedDict()
        self._fault = ""
        self._faults_left = 0
        self._count = 0

    async def send(self, request: Request) -> Response:
        """Answer SendSms as the vendor does."""
        request_id = hashlib.sha256(f"request {self._count}".encode()).hexdigest()[:32].upper()
        self._count += 1
        try:
            self._check(request, await _read_body(request))
            if self._faults_left > 0:
                self._faults_left -= 1
                return await self._fail(self._fault, request_id)
            message = self._read(request)
        except _Rejected as rejected:
            answer = {"Code": rejected.code, "Message": "refused by the simulator", "RequestId": request_id}
            return JSONResponse(answer, status_code=rejected.status)
        self._messages.append(message)
        return JSONResponse({"Code": "OK", "Message": "OK", "BizId": f"{900_000_000_000 + self._count}^0", "RequestId": request_id})

    async def show(self, request: Request) -> Response:
        """Show the messages of one number, or of all."""
        _check_loopback(request)
        phone = request.query_params.get("phone")
        if phone is not None:
            try:
                phone = read_mainland_number(phone.strip())  # an unescaped "+" of +86 arrives as a space
            except SmsRefused:
                return JSONResponse({"error": "phone"}, status_code=400)
        found = [message.to_json() for message in reversed(self._messages) if phone in (None, message.phone)]
        return JSONResponse(found, headers={"cache-control": "no-store"})

    async def set_fault(self, request: Request) -> Response:
        """Choose how the next messages fail."""
        _check_loopback(request)
        try:
            chosen: Any = json.loads(await _read_body(request))
            fault, times = chosen["fault"], chosen["times"]
        except (ValueError, TypeError, KeyError, RecursionError, _Rejected):
            return JSONResponse({"error": "fault and times are wanted"}, status_code=400)
        if not isinstance(fault, str) or len(fault) > 100 or type(times) is not int or not 0 <= times <= 1_000_000:
            return JSONResponse({"error": "fault is text, times a number"}, status_code=400)
        self._fault, self._faults_left = fault, times
        return JSONResponse({"fault": fault, "times": times})

    async def _fail(self, fault: str, request_id: str) -> Response:
        if fault == "unavailable":
            return JSONResponse({"Code": "ServiceUnavailable", "Message": "", "RequestId": request_id}, status_code=503)
        if fault == "garbage":
            return Response(b"<html>gateway</html>", status_code=502)
        if fault == "silence":
            await asyncio.sleep(SILENCE)
        return JSONResponse({"Code": fault, "Message": "a chosen fault", "RequestId": request_id})

    def _check(self, request: Request, body: bytes) -> None:
        """Refuse what the vendor would: credentials, signed headers, clock, body hash, signature, and a nonce seen before."""
        _check_loopback(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(headers) != len(request.headers.raw):
            raise _Rejected("SignatureDoesNotMatch")
        try:
            key_id, names, signature = read_authorization(headers.get("authorization", ""))
        except ValueError:
            raise _Rejected("MissingAuthorization") from None
        secret = self._keys.get(key_id)
        if secret is None:
            raise _Rejected("InvalidAccessKeyId.NotFound", 404)
        if names != sorted(set(names)) or not set(names) >= MUST_SIGN or not set(names) <= set(headers):
            raise _Rejected("SignatureDoesNotMatch")
        if headers["x-acs-action"] != "SendSms" or headers["x-acs-version"] != "2017-05-25":
            raise _Rejected("InvalidAction.NotFound", 404)
        now = self._clock()
        try:
            sent = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise _Rejected("InvalidTimeStamp.Format") from None
        if abs(now - sent) > CLOCK_TOLERANCE:
            raise _Rejected("InvalidTimeStamp.Expired")
        body_hash = hashlib.sha256(body).hexdigest()
        if not hmac.compare_digest(body_hash.encode(), headers["x-acs-content-sha256"].encode()):
            raise _Rejected("SignatureDoesNotMatch")
        query = encode_query(request.query_params.multi_items())
        expected = sign_request(secret, request.method, request.url.path, query, headers, names, body_hash)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise _Rejected("SignatureDoesNotMatch")
        # Last, so that only signed requests use up nonces.
        self._use_nonce(headers["x-acs-signature-nonce"], now)

    def _use_nonce(self, nonce: str, now: datetime) -> None:
        while self._nonces and now - next(iter(self._nonces.values())) > 2 * CLOCK_TOLERANCE:
            self._nonces.popitem(last=False)
        if not nonce or nonce in self._nonces:
            raise _Rejected("SignatureNonceUsed")
        self._nonces[nonce] = now

    def _read(self, request: Request) -> _Message:
        query = request.query_params
        try:
            phone = read_mainland_number(query.get("PhoneNumbers", ""))
        except SmsRefused:
            raise _Rejected("isv.MOBILE_NUMBER_ILLEGAL", 200) from None
        if query.get("SignName") != self._sign_name:
            raise _Rejected("isv.SMS_SIGN_ILLEGAL", 200)
        text = self._templates.get(query.get("TemplateCode", ""))
        if text is None:
            raise _Rejected("isv.SMS_TEMPLATE_ILLEGAL", 200)
        try:
            parameters = json.loads(query.get("TemplateParam", "{}"))
            if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
                raise ValueError("not an object of texts")
            rendered = render(text, parameters, self._sign_name)
        except KeyError:
            raise _Rejected("isv.TEMPLATE_MISSING_PARAMETERS", 200) from None
        except (ValueError, RecursionError):
            raise _Rejected("isv.INVALID_JSON_PARAM", 200) from None
        return _Message(phone, rendered, parameters.get("code", ""), self._clock())


async def _refuse(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=getattr(error, "status", 400))


def create_simulator(
    *,
    keys: Mapping[str, str],
    sign_name: str,
    clock: Callable[[], datetime],
    templates: Mapping[str, str] | None = None,
) -> Starlette:
    """Return the simulator as an ASGI application.

    ``keys``: access key id → secret; ``templates``: the vendor's template code → text, by default our own under their demo codes.
    """
    texts = templates if templates is not None else {template.code: template.text for template in TEMPLATES.values()}
    simulator = _Simulator(keys, texts, sign_name, clock)
    return Starlette(
        routes=[
            Route("/", simulator.send, methods=["POST"]),
            Route("/messages", simulator.show, methods=["GET"]),
            Route("/faults", simulator.set_fault, methods=["POST"]),
        ],
        exception_handlers={_Rejected: _refuse},
    )


def run_simulator(application: Starlette, host: str, port: int) -> None:
    """Serve until stopped. Raises SimulatorRefused for an address that is not loopback."""
    import uvicorn

    if not is_loopback(host):
        raise SimulatorRefused(f"The SMS simulator shows one-time codes and listens on 127.0.0.1 or ::1 only, not on {host}.")
    uvicorn.run(application, host=host, port=port, log_level="warning", access_log=False)


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is a loopback address, written as a number or as localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_loopback(request: Request) -> None:
    """Refuse a request that reached us on another address, or that a foreign page sent here by a name of its own (DNS rebinding)."""
    server = request.scope.get("server")
    named = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    if server is None or not is_loopback(server[0]) or not is_loopback(named.strip("[]")):
        raise _Rejected("loopback only", 403)


async def _read_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAXIMUM_BODY:
            raise _Rejected("RequestTooLarge", 413)
    return body
