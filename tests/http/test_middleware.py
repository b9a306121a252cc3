"""What holds for every answer: headers, hosts, bodies, and one answer to whatever went wrong."""

from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from idp.http.cookies import CookieNames
from idp.http.errors import MACHINE_LINES
from idp.http.forms import read_form
from idp.http.hot import Dispatch
from idp.http.messages import load_messages
from idp.http.middleware import CSP, Shell
from idp.http.rendering import Pages, Service
from idp.http.request_context import ContextRules, read_context
from idp.http.static import StaticFiles
from idp.kernel.clock import read_system_random
from idp.platform.database import DatabaseUnavailable

SECRET = "350102194001010005"


class Log:
    """A log that is read by the test."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, /, **fields: object) -> None:
        """Keep a line."""
        self.lines.append((event, fields))

    error = info


async def show(request: Request) -> Response:
    """Answer with the caller's address."""
    return PlainTextResponse(read_context(request).address)


async def take(request: Request) -> Response:
    """Read a form."""
    return PlainTextResponse(str(len(await read_form(request))))


async def fail(request: Request) -> Response:
    """Fail with a text that names somebody."""
    raise RuntimeError(f"no place for {SECRET}")


async def lose(request: Request) -> Response:
    """Lose the database."""
    raise DatabaseUnavailable("gone")


def make_client(issuer: str = "http://127.0.0.1:8000", hops: int = 0, log: Log | None = None) -> httpx2.AsyncClient:
    """Return a client of a small application in the shell."""
    pages = Pages(load_messages(), Service("一证通", "Yizheng", "12345"), StaticFiles())
    routes = [
        Route("/show", show),
        Route("/take", take, methods=["POST"]),
        Route("/fail", fail),
        Route("/lose", lose),
        Route("/token", fail),
        Route("/userinfo", lose),
    ]
    shell = Shell(
        Dispatch({}, Router(routes=routes)),
        issuer=issuer,
        pages=pages,
        rules=ContextRules(CookieNames(issuer), hops),
        random=read_system_random,
        log=log or Log(),
        body_limit=1000,
    )
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(shell, client=("192.0.2.7", 1)), base_url=issuer)


async def test_every_page_carries_its_security_headers() -> None:
    page = await make_client("https://id.example").get("/nowhere")
    assert page.status_code == 404
    assert page.headers["content-security-policy"] == CSP
    assert "unsafe" not in CSP
    assert "form-action 'self'" in CSP
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["strict-transport-security"].startswith("max-age=31536000")
    assert page.headers["cache-control"] == "no-store"
    for near in ("http://127.0.0.1:8000", "https://localhost:8000", "https://127.0.0.1:8000"):
        assert "strict-transport-security" not in (await make_client(near).get("/nowhere")).headers


async def test_request_ids_differ() -> None:
    client = make_client()
    assert len({(await client.get("/show")).headers["x-request-id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8001", "", "127.0.0.1:8000.evil.example"])
async def test_another_host_is_refused(host: str) -> None:
    assert (await make_client().get("/show", headers={"host": host})).status_code == 421


async def test_bodies_are_bounded_with_and_without_a_length() -> None:
    client = make_client()
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post("/take", content=b"a=" + b"x" * 900, headers=form)).status_code == 200
    assert (await client.post("/take", content=b"a=" + b"x" * 999, headers=form)).status_code == 413

    async def stream() -> Any:
        for _ in range(20):
            yield b"x" * 100

    assert (await client.post("/take", content=stream(), headers=form)).status_code == 413


async def test_a_fault_says_a_number_and_nothing_of_the_error() -> None:
    log = Log()
    for path, kind in (("/fail", "text/html"), ("/token", "application/json")):
        page = await make_client(log=log).get(path)
        assert page.status_code == 500
        assert page.headers["content-type"].startswith(kind)
        assert page.headers["x-request-id"] in page.text
        assert SECRET not in page.text
        assert "RuntimeError" not in page.text
    assert any(event == "fault" for event, _ in log.lines)
    assert SECRET not in repr(log.lines)


async def test_a_lost_database_is_busy_and_says_when_to_come_back() -> None:
    page = await make_client().get("/lose")
    assert page.status_code == 503
    assert int(page.headers["retry-after"]) > 0
    answer = await make_client().get("/userinfo")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "host", "error", "line"),
    [
        ("GET", "/.well-known/nothing", "127.0.0.1:8000", "invalid_request", MACHINE_LINES["not_found"]),
        ("PUT", "/token", "127.0.0.1:8000", "invalid_request", MACHINE_LINES["method_not_allowed"]),
        ("POST", "/device_authorization", "127.0.0.1:8000", "invalid_request", MACHINE_LINES["form_too_large"]),
        ("POST", "/bc-authorize", "evil.example", "invalid_request", MACHINE_LINES["wrong_host"]),
        ("GET", "/userinfo", "127.0.0.1:8000", "temporarily_unavailable", MACHINE_LINES["busy"]),
        ("GET", "/token", "127.0.0.1:8000", "server_error", MACHINE_LINES["fault"]),
    ],
)
async def test_a_program_is_told_nothing_of_pages(method: str, path: str, host: str, error: str, line: str) -> None:
    body = b"x" * 2000 if method == "POST" else b""
    answer = await make_client().request(method, path, headers={"host": host}, content=body)
    assert (answer.json()["error"], answer.json()["error_description"]) == (error, line)
    assert not {"page", "back", "website"} & set(line.lower().replace(".", "").split())


async def test_forwarded_addresses_count_only_from_configured_proxies() -> None:
    forged = {"x-forwarded-for": "203.0.113.9, 198.51.100.4"}
    assert (await make_client().get("/show", headers=forged)).text == "192.0.2.7"
    assert (await make_client(hops=1).get("/show", headers=forged)).text == "198.51.100.4"
    assert (await make_client(hops=2).get("/show", headers=forged)).text == "203.0.113.9"
    assert (await make_client(hops=3).get("/show", headers=forged)).text == "192.0.2.7"


async def test_other_methods_are_told_what_is_allowed() -> None:
    page = await make_client().get("/take")
    assert page.status_code == 405
    assert page.headers["allow"] == "POST"
