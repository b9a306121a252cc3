"""Schemathesis asks the admin API and the registration what their documents allow and forbid: no fault, only described answers.

``IDP_TEST_API_EXAMPLES`` sets how many requests each operation gets of either sort (default 8, which keeps the module below 40 seconds).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import msgspec
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi import checks

from idp.protocol.endpoints.admin_documents import NewClient
from idp.protocol.endpoints.admin_operations import OPERATIONS, write_openapi
from idp.protocol.rules.admin_scopes import PATH
from idp.protocol.rules.client import Client
from idp.protocol.rules.registration_metadata import OWN, change_client
from tests.support.administration import appoint
from tests.support.provider import ISSUER, Provider, run_provider

EXAMPLES = int(os.environ.get("IDP_TEST_API_EXAMPLES", "8"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
REGISTER = "/connect/register"


def describe_registration() -> dict[str, Any]:
    """Return a document of the registration, whose metadata are those of the admin API that a client may say itself."""
    (_,), schemas = msgspec.json.schema_components([NewClient], ref_template="#/components/schemas/{name}")
    told = schemas["NewClient"]["properties"]
    schemas["Registration"] = {"type": "object", "properties": {name: told[name] for name in sorted(OWN)}}
    schemas["Registered"] = {"type": "object", "required": ["client_id", "registration_access_token", "registration_client_uri"]}
    schemas["Error"] = {"type": "object", "required": ["error", "error_description"], "properties": {"error": {"type": "string"}}}

    def answer(name: str) -> dict[str, Any]:
        return {"description": name, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    operation = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Registration"}}}},
        "responses": {"201": answer("Registered"), "400": answer("Error"), "413": answer("Error")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "registration", "version": "1"},
        "paths": {REGISTER: {"post": operation}},
        "components": {"schemas": schemas},
    }


ADMIN_SCHEMA = from_dict(json.loads(write_openapi(ISSUER)))
REGISTER_SCHEMA = from_dict(describe_registration())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    environ = {"IDP_CLIENT_REGISTRATION__MODE": "open", "IDP_CLIENT_REGISTRATION__ATTEMPTS_PER_NETWORK_AND_HOUR": "1000000"}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider"), **environ) as running:
        wanted = {"client_name": "样例", "sector": "s", "redirect_uris": ["https://a.example/cb"]}
        async with running.services.platform.database.transaction() as tx:
            await running.services.clients.add(tx, change_client(Client("known", ""), wanted), actor="test")
        yield running


async def try_out(provider: Provider, schema: Any, method: str, path: str, mode: GenerationMode, headers: dict[str, str]) -> None:
    """Ask one operation as its document says; hypothesis runs in a thread, the provider in this loop."""
    loop = asyncio.get_running_loop()

    def ask(case: Case) -> httpx2.Response:
        asked = case.as_transport_kwargs(base_url=ISSUER)
        asked = {name: value for name, value in asked.items() if name in ("method", "url", "params", "json", "data", "headers")}
        if isinstance(asked.get("data"), bytes):
            asked["content"] = asked.pop("data")
        asked["headers"] = {**headers, **{name: value for name, value in asked["headers"].items() if name.lower() != "authorization"}}
        sent = provider.browser.request(**asked)
        return asyncio.run_coroutine_threadsafe(sent, loop).result(30)

    await asyncio.to_thread(make_attempt(schema[path][method], mode, ask))


def make_attempt(operation: Any, mode: GenerationMode, ask: Callable[[Case], httpx2.Response]) -> Callable[[], None]:
    """Return the hypothesis test of one operation."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        derandomize=EXAMPLES == 8,
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: Case) -> None:
        case.validate_response(ask(case), checks=CHECKS)

    return attempt


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.handler)
async def test_the_admin_api_answers_as_it_says(provider: Provider, operation: Any, mode: GenerationMode) -> None:
    name = f"admin-{operation.handler}-{mode.value}"
    who = await appoint(provider, name, "clients:read", "clients:write", "clients:approve")
    headers = {"authorization": f"Bearer {who.token}"}
    await try_out(provider, ADMIN_SCHEMA, operation.method, PATH + operation.path, mode, headers)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
async def test_the_registration_answers_as_it_says(provider: Provider, mode: GenerationMode) -> None:
    await try_out(provider, REGISTER_SCHEMA, "POST", REGISTER, mode, {})
