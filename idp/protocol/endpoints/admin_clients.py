"""Decides how ``/admin/v1`` speaks HTTP: an access token of its own, one JSON object in, one out, every refusal a problem (RFC 9457)."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from idp.http.forms import BadForm
from idp.http.json_bodies import JSON_TYPES, BadJson, read_object
from idp.http.problems import MEDIA_TYPE, PROBLEMS, Problem, write_problem
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json
from idp.protocol.endpoints.admin_documents import ChangePage, ClientPage, describe_change, describe_client, describe_outcome
from idp.protocol.endpoints.admin_operations import MAX_KEY, MAX_LIMIT, MERGE_PATCH, OPERATIONS, Operation, write_openapi
from idp.protocol.endpoints.bearer import read_token_use
from idp.protocol.rules.admin_scopes import PATH, AdminScope
from idp.protocol.rules.client import BadRegistration
from idp.protocol.rules.client_changes import ChangeState
from idp.protocol.rules.dpop import DPOP_ALGORITHMS
from idp.protocol.services.admin_access import AdminAccess, Administrator
from idp.protocol.services.client_administration import ClientAdministration, NotDone, Outcome
from idp.protocol.services.repeated_requests import Answer, KeyInUse, KeyReused, RepeatedRequests

MAX_BODY: Final = 49_152
DEFAULT_LIMIT: Final = 50
REALM: Final = "admin"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TAG = re.compile(r'"([0-9]{1,9})"')
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Call:
    """One request of somebody who may ask."""

    request: Request
    body: Mapping[str, Json]
    who: Administrator

    @property
    def actor(self) -> str:
        """Return who asks, as audit and changes name it."""
        return self.who.actor

    def find(self, name: str) -> str:
        """Return an id of the path, "" for what cannot be one: nothing has it."""
        value: str = self.request.path_params[name]
        return value if _NAME.fullmatch(value) else ""


class AdminEndpoint:
    """``/admin/v1``; each operation of the table is one method."""

    def __init__(self, administration: ClientAdministration, access: AdminAccess, repeated: RepeatedRequests, issuer: str) -> None:
        self._administration = administration
        self._access = access
        self._repeated = repeated
        self._openapi = write_openapi(issuer)

    def routes(self) -> list[Route]:
        """Return the routes of the table, and of the document that describes them."""
        made = [Route(f"{PATH}/openapi.json", self.show_openapi, methods=["GET"])]
        # One route for a path, so that a method it has not is answered with those that it has (RFC 9110 §15.5.6).
        for path in dict.fromkeys(operation.path for operation in OPERATIONS):
            found = {operation.method: operation for operation in OPERATIONS if operation.path == path}
            made.append(Route(PATH + path, partial(self._serve, found), methods=list(found)))
        return made

    async def show_openapi(self, _: Request) -> Response:
        """Show the OpenAPI document; it holds no secret, so nobody has to show a token."""
        return Response(self._openapi, media_type="application/json", headers={"cache-control": "public, max-age=300"})

    async def list_clients(self, call: Call) -> Answer:
        """One page of clients."""
        limit = _read_limit(call.request)
        found = await self._administration.list_clients(_read_name(call.request, "after") or "", limit)
        following = found[-1].client_id if len(found) == limit else None
        return Answer(200, _encode(ClientPage([describe_client(client) for client in found], following)))

    async def add(self, call: Call) -> Answer:
        """A new client."""
        metadata = dict(call.body)
        client_id = metadata.pop("client_id", None)
        return _tell(await self._administration.add(str(client_id) if client_id is not None else None, metadata, call.actor), 201)

    async def read(self, call: Call) -> Answer:
        """One client."""
        client = await self._administration.read(call.find("client_id"))
        return Answer(200, _encode(describe_client(client)), f'"{client.version}"')

    async def change(self, call: Call) -> Answer:
        """Changed metadata, or a change that waits."""
        versions = _read_versions(call.request)
        return _tell(await self._administration.change(call.find("client_id"), call.body, versions, call.actor))

    async def rotate_secret(self, call: Call) -> Answer:
        """A new secret, or of a live client a change that waits: whoever has it speaks as the client."""
        seconds = call.body.get("overlap_seconds", 0)
        overlap = timedelta(seconds=seconds if isinstance(seconds, int) else 0)
        return _tell(await self._administration.rotate_secret(call.find("client_id"), overlap, call.actor))

    async def suspend(self, call: Call) -> Answer:
        """A client that may not act."""
        return _tell(await self._administration.suspend(call.find("client_id"), call.actor))

    async def resume(self, call: Call) -> Answer:
        """A client that may act again, or a change that waits."""
        return _tell(await self._administration.resume(call.find("client_id"), call.actor))

    async def retire(self, call: Call) -> Answer:
        """A client at its end."""
        return _tell(await self._administration.retire(call.find("client_id"), call.actor))

    async def go_live(self, call: Call) -> Answer:
        """A client under review."""
        return _tell(await self._administration.go_live(call.find("client_id"), call.actor))

    async def list_changes(self, call: Call) -> Answer:
        """One page of changes."""
        limit, asked = _read_limit(call.request), call.request.query_params.get("state")
        if asked is not None and asked not in tuple(ChangeState):
            raise Problem("bad_query", f"state is one of {', '.join(ChangeState)}.", "state")
        found = await self._administration.list_changes(
            _read_name(call.request, "after") or "",
            None if asked is None else ChangeState(asked),
            _read_name(call.request, "client_id"),
            limit,
        )
        return Answer(200, _encode(ChangePage([describe_change(c) for c in found], found[-1].id if len(found) == limit else None)))

    async def read_change(self, call: Call) -> Answer:
        """One change."""
        return Answer(200, _encode(describe_change(await self._administration.read_change(call.find("change_id")))))

    async def approve(self, call: Call) -> Answer:
        """What somebody else asked for, done."""
        return _tell(await self._administration.approve(call.find("change_id"), call.actor))

    async def take_secret(self, call: Call) -> Answer:
        """The secret that somebody else approved."""
        return _tell(await self._administration.take_secret(call.find("change_id"), call.actor))

    async def refuse(self, call: Call) -> Answer:
        """Things as they were."""
        change = await self._administration.read_change(call.find("change_id"))
        if change.asked_by != call.actor:
            call.who.need(AdminScope.APPROVE)
        return _tell(await self._administration.refuse(change.id, str(call.body.get("reason", "")), call.actor))

    async def _serve(self, operations: Mapping[str, Operation], request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        try:
            context = read_context(request)
            who = await self._find_caller(context)
            who.need(operation.scope)
            call = Call(request, await _read_body(operation, request), who)
            key = _read_key(request) if operation.repeatable else None
            work = partial(self._work, operation, call)
            if key is None:
                return _send(await work())
            asked = b"\0".join((operation.method.encode(), context.path.encode(), _encode(call.body)))
            return _send(await self._repeat(who.actor, key, asked, work))
        except Problem as problem:
            return _send(_refuse(problem))
        except ProtocolError as error:
            if error.error not in PROBLEMS:
                raise
            return _challenge(error)

    async def _find_caller(self, context: RequestContext) -> Administrator:
        try:
            use = await read_token_use(context, _leave_body)
        except BadForm:
            raise Problem("bad_body", "The body must be application/json.") from None
        if use is None or not use.text:
            raise ProtocolError("invalid_token", "An access token is missing.", redirectable=False, realm=REALM)
        if use.proofs:
            context.response_headers.append((b"dpop-nonce", self._access.make_nonce().encode()))
        return await self._access.check(use)

    async def _work(self, operation: Operation, call: Call) -> Answer:
        """Return what the operation answers, refusals included: a repeated request gets the same."""
        handler: Callable[[Call], Awaitable[Answer]] = getattr(self, operation.handler)
        try:
            return await handler(call)
        except NotDone as reason:
            return _refuse(Problem(reason.obstacle.value, f"It is {reason.fact}." if reason.fact else ""))
        except BadRegistration as error:
            return _refuse(Problem("bad_metadata", f"{error.reason}.", error.field))

    async def _repeat(self, actor: str, key: str, asked: bytes, work: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await self._repeated.run(actor, key, asked, work)
        except KeyReused:
            raise Problem("key_reused", field="Idempotency-Key") from None
        except KeyInUse:
            raise Problem("key_in_use", field="Idempotency-Key") from None


async def _leave_body() -> Message:
    """Stand in for the body where only headers are read: a token is not posted here."""
    return {"type": "http.disconnect"}


async def _read_body(operation: Operation, request: Request) -> dict[str, Json]:
    if operation.request is None:
        return {}
    types = {*JSON_TYPES, MERGE_PATCH} if operation.method == "PATCH" else JSON_TYPES
    try:
        body = await read_object(request, MAX_BODY, types)
    except BadJson as error:
        raise Problem("bad_body", str(error)) from None
    try:
        msgspec.convert(body, operation.request)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        field = re.split(r"[.\[]", place.rstrip("`").lstrip("."), maxsplit=1)[0]
        raise Problem("bad_metadata", f"{reason}.", field or _find_named(reason)) from None
    return body


def _find_named(reason: str) -> str:
    """Return the field that msgspec names within its sentence: "Object missing required field `x`"."""
    named = re.search(r"field `([^`]{1,100})`", reason)
    return named[1] if named else ""


def _read_limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise Problem("bad_query", f"limit is a number from 1 to {MAX_LIMIT}.", "limit")
    return int(text)


def _read_name(request: Request, name: str) -> str | None:
    text = request.query_params.get(name)
    if not text:
        return None
    if not _NAME.fullmatch(text):
        raise Problem("bad_query", f"{name} is an id, or what next said.", name)
    return text


def _read_versions(request: Request) -> frozenset[int] | None:
    """Return the versions of If-Match, None for ``*`` (RFC 9110 §13.1.1); tags that are not ours, weak ones among them, match none."""
    given = request.headers.getlist("if-match")
    if not given:
        raise Problem("version_missing", field="If-Match")
    tags = [tag.strip() for tag in ",".join(given).split(",")]
    if tags == ["*"]:
        return None
    versions = frozenset(int(found[1]) for tag in tags if (found := _TAG.fullmatch(tag)) is not None)
    if not versions:
        raise Problem("version_moved", field="If-Match")
    return versions


def _read_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (_NAME.fullmatch(key) and len(key) <= MAX_KEY):
        raise Problem("bad_query", "An Idempotency-Key has 1 to 64 letters, digits, hyphens or underscores.", "Idempotency-Key")
    return key


def _tell(outcome: Outcome, status: int = 200) -> Answer:
    return Answer(202 if outcome.waits is not None else status, _encode(describe_outcome(outcome)), f'"{outcome.client.version}"')


def _refuse(problem: Problem) -> Answer:
    status, title = PROBLEMS[problem.code]
    return Answer(status, write_problem(status, problem.code, title, problem.detail, problem.field))


def _challenge(error: ProtocolError) -> Response:
    """Return a refusal of the access token, with the challenge that it owes (RFC 6750 §3)."""
    answer = _send(_refuse(Problem(error.error, error.description)))
    if error.realm:
        answer.headers.append("www-authenticate", f'Bearer realm="{error.realm}"')
        answer.headers.append("www-authenticate", f'DPoP algs="{" ".join(DPOP_ALGORITHMS)}"')
        return answer
    scheme = "DPoP" if "dpop" in error.error else "Bearer"
    answer.headers["www-authenticate"] = f'{scheme} error="{error.error}"'
    return answer


def _send(answer: Answer) -> Response:
    headers: dict[str, Any] = {"cache-control": "no-store", **({"etag": answer.tag} if answer.tag else {})}
    media = "application/json" if answer.status < 400 else MEDIA_TYPE
    return Response(answer.body, answer.status, headers, media)
