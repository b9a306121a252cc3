"""Decides what the demo shows besides the product: synthetic people, and the messages that a phone would have received."""

from dataclasses import asdict
from urllib.parse import urlsplit

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from idp.app import Services
from idp.demo.authorities_page import AuthoritiesPage, find_address
from idp.demo.population import PASSWORD, REGISTERED, SIZE, make_person
from idp.kernel.loopback import LOOPBACK

MACHINE_PREFIX = "/demo/"
"""Below the index everything is read by programs."""

MARK = {"cache-control": "no-store", "x-synthetic-data": "yes"}
MOST = 200
INDEX = """<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>演示环境 Demo</title></head>
<body>
<h1>演示环境 Demo</h1>
<p>这里的姓名、证件号码、手机号码和卡号都是合成的，不属于任何人。Every name and number here is synthetic and nobody's.</p>
<ul>
<li><a href="/demo/people">/demo/people</a>: 全部合成人员 all synthetic people</li>
<li><a href="/demo/people?unregistered=1">/demo/people?unregistered=1</a>: 未注册的 those without an account</li>
<li><a href="/demo/outbox">/demo/outbox?phone=…</a>: 已发出的短信，新的在前 sent messages, newest first</li>
<li><a href="/demo/authorities">/demo/authorities</a>: 模拟核验机构及其故障 simulated authorities and their faults</li>
</ul>
</body>
</html>
"""


class NotLoopback(Exception):
    """The demo would be reachable from elsewhere."""


class DemoSite:
    """The demo's own addresses. Raises NotLoopback unless the issuer is a loopback address."""

    def __init__(self, services: Services) -> None:
        settings = services.platform.settings
        if settings.environment != "demo" or urlsplit(settings.server.issuer).hostname not in LOOPBACK:
            raise NotLoopback("The demo's pages are served in the demo environment on a loopback issuer only.")
        self._people = services.people
        self._simulator = settings.sms.endpoint
        self._authorities = AuthoritiesPage(find_address([each.endpoint for each in settings.sources.authorities.values()]))

    def routes(self) -> list[BaseRoute]:
        """Return the routes to add; the shell around them checks the Host header."""
        return [
            Route("/demo", self.show_index, methods=["GET"]),
            Route("/demo/people", self.list_people, methods=["GET"]),
            Route("/demo/outbox", self.list_messages, methods=["GET"]),
            *self._authorities.routes(),
        ]

    async def show_index(self, request: Request) -> Response:
        """Say what is here, and that all of it is synthetic."""
        return HTMLResponse(INDEX, headers=MARK)

    async def list_people(self, request: Request) -> Response:
        """List synthetic people; ``unregistered=1`` those without an account, ``limit`` at most 200, ``after`` a number to begin behind."""
        try:
            limit = min(int(request.query_params.get("limit", "20")), MOST)
            start = int(request.query_params.get("after", "-1")) + 1
        except ValueError:
            return _answer({"error": "limit and after are numbers"}, 400)
        unregistered = request.query_params.get("unregistered") == "1"
        found: list[dict[str, str]] = []
        for number in range(max(start, REGISTERED if unregistered else 0), SIZE):
            if len(found) >= limit:
                break
            person = make_person(number)
            if unregistered and await self._people.find_by_identifier(person.id_number) is not None:
                continue
            found.append(asdict(person))
        return _answer(found)

    async def list_messages(self, request: Request) -> Response:
        """List what was sent to ``phone`` (with or without +86), newest first: phone, text, code, sent_at."""
        query = {"phone": request.query_params["phone"][:40]} if "phone" in request.query_params else {}
        async with httpx2.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"{self._simulator}/messages", params=query)
            except httpx2.HTTPError:
                return _answer({"error": "the SMS simulator does not answer"}, 502)
        return Response(answer.content, answer.status_code, MARK, "application/json")


def _answer(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, MARK, "application/json")


def describe_account() -> str:
    """Return the ready-made account as the demo prints it: identifier, password, phone."""
    person = make_person(0)
    return f"{person.id_number} {PASSWORD} {person.phone}"
