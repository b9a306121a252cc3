"""Decides what holds for every request: known host, bounded body, an id, security headers, one answer to whatever went wrong."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from idp.http.client_certificate import FORGEABLE, drop_forgeable, is_forgeable
from idp.http.errors import (
    MACHINE_LINES,
    Busy,
    MethodNotAllowed,
    NotFound,
    WrongHost,
    find_protocol_status,
    find_refusal_status,
    write_protocol_error,
    write_protocol_headers,
    write_refusal_as_json,
    write_retry_headers,
)
from idp.http.forms import FormTooLarge
from idp.http.problems import PREFIX as PROBLEM_PREFIX
from idp.http.problems import send_problem, write_problem
from idp.http.rendering import Pages
from idp.http.request_context import SCOPE_KEY, ContextRules, RequestContext
from idp.http.responses import JSON_TYPE, Header, send_json
from idp.kernel.clock import Random
from idp.kernel.errors import Fault, ProtocolError, Refusal
from idp.kernel.loopback import LOOPBACK
from idp.platform.database import DatabaseUnavailable
from idp.platform.transients import TransientsUnavailable
from keys import UnusableToken

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SHORT: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
FULL: tuple[Header, ...] = (
    *SHORT,
    (b"content-security-policy", CSP.encode()),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
HSTS: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
METHODS = frozenset({"GET", "POST", "HEAD"})
MACHINE_PATHS = frozenset(
    {
        *("/token", "/par", "/userinfo", "/introspect", "/revoke", "/device_authorization", "/bc-authorize"),
        *("/jwks.json", "/jwks-sm2.json", "/healthz", "/readyz", "/metrics"),
    }
)
WELL_KNOWN = "/.well-known/"
OPEN_HOST_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by load balancers under the machine's own address; their answers do not depend on the host."""

FORWARDED = (b"forwarded", b"x-forwarded-")
"""How headers begin that tell whose request a proxy passes on."""


class Log(Protocol):
    """What the middleware needs of a structured logger."""

    def info(self, event: str, /, **fields: object) -> object:
        """Write one line."""

    def error(self, event: str, /, **fields: object) -> object:
        """Write one line of something broken."""


class Shell:
    """The one stack around everything: pure ASGI, a few microseconds per request.

    Answers of 500 and above are logged, without their query, so nothing a person typed gets there. ``observe(method, route, status,
    seconds)`` measures every answer; a path that is not one of ``routes`` is ``other``. Under ``machine_prefixes`` programs are answered,
    as at the well-known addresses: by JSON where a person would get a page.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        issuer: str,
        pages: Pages,
        rules: ContextRules,
        random: Random,
        log: Log,
        body_limit: int = 65_536,
        routes: Collection[str] = (),
        machine_prefixes: Iterable[str] = (),
        observe: Callable[[str, str, int, float], None] | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        parts = urlsplit(issuer)
        self._app = app
        self._pages = pages
        self._rules = rules
        self._log = log
        self._body_limit = body_limit
        self._host = parts.netloc.lower().encode()
        self._certificates = rules.certificates
        self._proxy_hops = rules.proxy_hops
        # Of localhost it would be said of every port, and browsers would never again reach what speaks plain http there.
        secure = (HSTS,) if parts.scheme == "https" and parts.hostname not in LOOPBACK else ()
        self._short = (*SHORT, *secure)
        self._full = (*FULL, *secure)
        self._routes = frozenset(routes)
        self._machine_prefixes = (WELL_KNOWN, *machine_prefixes)
        self._observe = observe
        self._timer = timer
        self._prefix = random(6).hex()
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan passes through, anything but HTTP is closed."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        self._count = count = self._count + 1
        request_id = f"{self._prefix}-{count:x}"
        path: str = scope["path"]
        headers = scope["headers"]
        told = self._certificates is not None and scope.get("server") == (self._certificates.socket, None)
        host, length, forgeable = _look_at(headers, self._proxy_hops)
        if forgeable and not told:
            scope["headers"] = headers = drop_forgeable(headers, self._proxy_hops)
        query: bytes = scope["query_string"]
        client = scope.get("client")
        context = RequestContext(self._rules, request_id, scope["method"], path, headers, query, client[0] if client else "")
        scope[SCOPE_KEY] = context
        scope["app"] = self  # so that a Starlette Router raises its 404 and 405 instead of answering them itself
        if query and (b"lang=" in query or b"ui_locales=" in query or b"elder=" in query):
            context.keep_preferences()
        started = self._timer()
        status = 0
        request_id_header = (b"x-request-id", request_id.encode())

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message.get("headers") or ()
                short = 300 <= status < 400 or (own and next(iter(own)) is JSON_TYPE)
                common = self._short if short else self._full
                if context.frame_sources or context.form_target or context.frame_ancestors:
                    common = _widen(common, context)
                message["headers"] = [*own, *common, request_id_header, *context.response_headers]
            await send(message)

        refused: Exception | None = None
        try:
            refused = self._check(path, host, told)
            if refused is None:
                if length > self._body_limit:
                    refused = FormTooLarge()
                else:
                    guarded = receive if length >= 0 else _bound_body(receive, self._body_limit)
                    await self._app(scope, guarded, send_with_headers)
        except Exception as error:
            refused = error
        if refused is not None:
            await self._answer(refused, context, scope, send_with_headers, status)
        if self._observe is not None:
            method = context.method if context.method in METHODS else "other"
            self._observe(method, path if path in self._routes else "other", status, self._timer() - started)
        if status >= 500:
            self._log.info(
                "request",
                request_id=request_id,
                method=context.method if len(context.method) < 10 else "?",
                path=path,
                status=status,
                milliseconds=round((self._timer() - started) * 1000, 2),
            )

    def _check(self, path: str, host: bytes, told: bool) -> Refusal | None:
        if told and self._certificates is not None:
            # Programs with certificates come this way; people and their cookies do not.
            if path not in self._certificates.paths:
                return NotFound()
            return None if host.lower() == self._certificates.host else WrongHost()
        return None if host == self._host or path in OPEN_HOST_PATHS or host.lower() == self._host else WrongHost()

    async def _answer(self, error: Exception, context: RequestContext, scope: Scope, send: Send, status: int) -> None:
        if isinstance(error, HTTPException):
            if error.status_code == 405 and error.headers and "Allow" in error.headers:
                context.response_headers.append((b"allow", error.headers["Allow"].encode("ascii")))
            error = {404: NotFound(), 405: MethodNotAllowed()}.get(error.status_code, Fault("an unlisted HTTP status"))
        elif isinstance(error, DatabaseUnavailable):
            away = "transients_unavailable" if isinstance(error, TransientsUnavailable) else "database_unavailable"
            self._log.error(away, request_id=context.request_id)
            error = Busy()
        elif isinstance(error, UnusableToken):
            self._log.error("signing_device_unavailable", request_id=context.request_id, reason=str(error))
            error = Busy()
        if not isinstance(error, (Refusal, ProtocolError)):
            self._log.error("fault", request_id=context.request_id, what=describe_fault(error))
        if status:
            return  # the answer has begun; the server closes the connection
        machine = context.path in MACHINE_PATHS or context.path.startswith(self._machine_prefixes)
        if machine and isinstance(error, ProtocolError):
            wire = find_protocol_status(error)
            await send_json(send, wire, write_protocol_error(error), write_protocol_headers(error, wire))
            return
        code = _find_code(error)
        if machine:
            facts = error.facts if isinstance(error, Refusal) else {}
            line = MACHINE_LINES.get(code) or self._pages.messages.refusal("en", code, facts).what
            answered = find_refusal_status(code)
            if context.path.startswith(PROBLEM_PREFIX):
                await send_problem(send, answered, write_problem(answered, code, line.removesuffix(".")))
                return
            body = write_refusal_as_json(_find_wire_code(code), line, context.request_id)
            await send_json(send, answered, body, write_retry_headers(answered))
            return
        shown = error if isinstance(error, Refusal) else code
        await self._pages.refuse(context, shown)(scope, _no_body, send)


def _widen(headers: Iterable[Header], context: RequestContext) -> tuple[Header, ...]:
    """Return the headers of a page that shows frames of exactly these origins, posts to exactly this one, or is shown in frames itself."""
    policy = CSP.replace("form-action 'self'", f"form-action {context.form_target}") if context.form_target else CSP
    if context.frame_sources:
        policy += f"; frame-src {' '.join(context.frame_sources)}"
    if context.frame_ancestors:
        policy = policy.replace("frame-ancestors 'none'", f"frame-ancestors {context.frame_ancestors}")
    own = {b"content-security-policy": policy.encode("ascii")}
    if context.frame_ancestors:
        own[b"cross-origin-resource-policy"] = b"cross-origin"  # else a page that isolates itself cannot show it (Fetch §3.7)
    return tuple((name, own.get(name, value)) for name, value in headers)


def _find_code(error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.code
    return "request_refused" if isinstance(error, ProtocolError) else "fault"


def _find_wire_code(code: str) -> str:
    return {"fault": "server_error", "busy": "temporarily_unavailable"}.get(code, "invalid_request")


def _look_at(headers: Iterable[Header], proxy_hops: int) -> tuple[bytes, int, bool]:
    """Return what of the headers concerns every request, in one pass.

    The one host that is named, empty for none or several; the announced length of the body, 0 without one, -1 when only reading tells;
    whether there is a header that only a proxy of ours may write.
    """
    host, hosts, length, forgeable = b"", 0, 0, False
    announced = chunked = False
    for name, value in headers:
        if name == b"host":
            host, hosts = value, hosts + 1
        elif name == b"content-length":
            if not announced:
                announced, length = True, int(value) if value.isdigit() and len(value) < 20 else -1
        elif name == b"transfer-encoding":
            chunked = True
        elif name in FORGEABLE or name.startswith(FORWARDED):
            forgeable = forgeable or is_forgeable(name, proxy_hops)
    if chunked and not announced:
        length = -1
    return host if hosts == 1 else b"", length, forgeable


def _bound_body(receive: Receive, limit: int) -> Callable[[], Awaitable[Message]]:
    left = limit

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise FormTooLarge()
        return message

    return receive_bounded


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def describe_fault(error: BaseException) -> str:
    """Return type and places of an error, never its text: a driver's message may quote a person's data."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(lines) < 4:
        frames: list[str] = []
        trace = seen.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{'/'.join(code.co_filename.rsplit('/', 3)[-3:])}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        lines.append(f"{type(seen).__name__} at {' > '.join(frames[-8:]) or 'nowhere'}")
        seen = seen.__cause__ or seen.__context__
    return " because ".join(lines)
