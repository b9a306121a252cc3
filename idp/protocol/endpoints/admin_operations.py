"""Decides which operations the admin API has and how it describes itself: routes and OpenAPI document are made of one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from idp import __version__
from idp.protocol.endpoints.admin_documents import (
    ChangeDocument,
    ChangePage,
    ClientDocument,
    ClientPage,
    ClientPatch,
    NewClient,
    Nothing,
    OutcomeDocument,
    ProblemDocument,
    Refusal,
    SecretRotation,
)
from idp.protocol.rules.admin_scopes import ADMIN_SCOPES, PATH, AdminScope
from idp.protocol.rules.client_changes import ChangeState

MERGE_PATCH: Final = "application/merge-patch+json"
MAX_LIMIT: Final = 200
MAX_KEY: Final = 64

_ID: Final = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}
_AFTER: Final = {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$"}
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
_KEY: Final = {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[A-Za-z0-9_-]+$"}


@dataclass(frozen=True)
class Operation:
    """One operation: ``handler`` names the endpoint's method; ``answers`` are the good ones by status."""

    method: str
    path: str
    handler: str
    summary: str
    scope: AdminScope
    answers: Mapping[int, type[msgspec.Struct]]
    problems: tuple[int, ...] = ()
    request: type[msgspec.Struct] | None = None
    query: Mapping[str, object] = field(default_factory=dict)
    takes_version: bool = False

    @property
    def repeatable(self) -> bool:
        """Tell whether an Idempotency-Key may come with it."""
        return self.method == "POST"


_READ, _WRITE, _APPROVE = AdminScope.READ, AdminScope.WRITE, AdminScope.APPROVE
_ONE, _CHANGE = "/clients/{client_id}", "/client-changes/{change_id}"
_PAGE: Final = {"after": _AFTER, "limit": _LIMIT}
_CHANGES: Final = {**_PAGE, "state": {"type": "string", "enum": [state.value for state in ChangeState]}, "client_id": _ID}

OPERATIONS: Final = (
    Operation("GET", "/clients", "list_clients", "List clients by id", _READ, {200: ClientPage}, (400,), query=_PAGE),
    Operation("POST", "/clients", "add", "Register a client in the sandbox", _WRITE, {201: OutcomeDocument}, (400, 409, 422), NewClient),
    Operation("GET", _ONE, "read", "Read a client", _READ, {200: ClientDocument}, (404,)),
    Operation(
        "PATCH",
        _ONE,
        "change",
        "Change a client's metadata; 202: on a live client it waits for a second person",
        _WRITE,
        {200: OutcomeDocument, 202: OutcomeDocument},
        (400, 404, 409, 412, 422, 428),
        ClientPatch,
        takes_version=True,
    ),
    Operation(
        "POST",
        f"{_ONE}/rotate-secret",
        "rotate_secret",
        "Make a new secret; 202: of a live client it waits for a second person",
        _WRITE,
        {200: OutcomeDocument, 202: OutcomeDocument},
        (400, 404, 409, 422),
        SecretRotation,
    ),
    Operation("POST", f"{_ONE}/suspend", "suspend", "Stop a client at once", _WRITE, {200: OutcomeDocument}, (400, 404, 409, 422), Nothing),
    Operation(
        "POST",
        f"{_ONE}/resume",
        "resume",
        "Let a suspended client go on; 202: one that was live waits for a second person",
        _WRITE,
        {200: OutcomeDocument, 202: OutcomeDocument},
        (400, 404, 409, 422),
        Nothing,
    ),
    Operation("POST", f"{_ONE}/retire", "retire", "End a client for ever", _APPROVE, {200: OutcomeDocument}, (400, 404, 409, 422), Nothing),
    Operation(
        "POST",
        f"{_ONE}/go-live",
        "go_live",
        "Ask that real people may use a client; a second person decides",
        _WRITE,
        {202: OutcomeDocument},
        (400, 404, 409, 422),
        Nothing,
    ),
    Operation("GET", "/client-changes", "list_changes", "List what waits or waited", _READ, {200: ChangePage}, (400,), query=_CHANGES),
    Operation("GET", _CHANGE, "read_change", "Read a change", _READ, {200: ChangeDocument}, (404,)),
    Operation(
        "POST",
        f"{_CHANGE}/approve",
        "approve",
        "Do what somebody else asked for",
        _APPROVE,
        {200: OutcomeDocument},
        (400, 404, 409, 422),
        Nothing,
    ),
    Operation(
        "POST",
        f"{_CHANGE}/take-secret",
        "take_secret",
        "Make the secret that somebody else approved; for whoever asked for it, once",
        _WRITE,
        {200: OutcomeDocument},
        (400, 404, 409, 422),
        Nothing,
    ),
    Operation(
        "POST",
        f"{_CHANGE}/refuse",
        "refuse",
        "Leave things as they are; whoever asked takes it back in this way, with clients:write",
        _WRITE,
        {200: OutcomeDocument},
        (400, 404, 409, 422),
        Refusal,
    ),
)
"""The whole API. A retired method, path or field is announced two minor releases before it goes."""


def write_openapi(issuer: str) -> bytes:
    """Return the OpenAPI 3.1 document of the table."""
    used = {kind for operation in OPERATIONS for kind in (*operation.answers.values(), operation.request, ProblemDocument)}
    ordered = sorted((kind for kind in used if kind is not None), key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, object]] = {}
    for operation in OPERATIONS:
        paths.setdefault(PATH + operation.path, {})[operation.method.lower()] = _describe(operation)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Yizheng: clients",
            "version": __version__,
            "description": "Registering and changing clients. On a live client two persons change what matters.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "client": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": issuer + "/token", "scopes": {name: name for name in ADMIN_SCOPES}}},
                }
            },
        },
    }
    return msgspec.json.encode(document)


def _describe(operation: Operation) -> dict[str, object]:
    answers: dict[str, object] = {}
    for status, kind in operation.answers.items():
        answers[str(status)] = _answer(operation.summary, "application/json", kind)
        if kind is ClientDocument or operation.takes_version:
            answers[str(status)] |= {"headers": {"ETag": {"description": "the client's version", "schema": {"type": "string"}}}}  # type: ignore[operator]
    for status in sorted({401, 403, 413, 503, *operation.problems}):
        answers[str(status)] = _answer("a problem (RFC 9457)", "application/problem+json", ProblemDocument)
    told: dict[str, object] = {
        "operationId": operation.handler,
        "summary": operation.summary,
        "security": [{"client": [operation.scope.value]}],
        "parameters": _list_parameters(operation),
        "responses": answers,
    }
    if operation.request is not None:
        types = ("application/json", MERGE_PATCH) if operation.method == "PATCH" else ("application/json",)
        schema = {"schema": {"$ref": f"#/components/schemas/{operation.request.__name__}"}}
        told["requestBody"] = {"required": operation.request not in (Nothing, SecretRotation), "content": dict.fromkeys(types, schema)}
    return told


def _answer(description: str, media_type: str, kind: type[msgspec.Struct]) -> dict[str, object]:
    return {"description": description, "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}}


def _list_parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in ("client_id", "change_id"):
        if "{" + name + "}" in operation.path:
            found.append({"name": name, "in": "path", "required": True, "schema": _ID})
    found += [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in operation.query.items()]
    if operation.takes_version:
        tag = {"type": "string", "pattern": '^(\\*|"[0-9]{1,9}"(, "[0-9]{1,9}")*)$'}
        found.append({"name": "If-Match", "in": "header", "required": True, "description": "the ETag that was read", "schema": tag})
    if operation.repeatable:
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": _KEY})
    return found
