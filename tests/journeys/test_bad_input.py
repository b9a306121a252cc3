"""The issue's "Bad input", line by line, on the whole provider: a clear page, JSON or OAuth error; nothing half-written, nothing told."""

import base64
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode

import httpx2
import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.http.cookies import CookieNames
from idp.kernel.levels import Acr
from idp.platform.logging import configure_logging
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import BACK, ISSUER, PASSWORD, REDIRECT_URI, SESSION, Provider, Somebody, run_provider
from tests.support.raw_requests import FORM, Answered, send_raw
from tests.support.web import Web, find_code

CLIENT = "sweep"
ALL_GRANTS = ("authorization_code", "refresh_token", "client_credentials")
NAMES = CookieNames(ISSUER, "")
COUNTS = """
    SELECT (SELECT count(*) FROM grants) AS grants, (SELECT count(*) FROM sessions) AS sessions,
        (SELECT count(*) FROM grants WHERE ended_at IS NULL) AS live_grants, (SELECT sum(generation) FROM grants) AS generations,
        (SELECT count(*) FROM sessions WHERE ended_at IS NULL) AS live_sessions, (SELECT count(*) FROM outbox) AS outbox,
        (SELECT count(*) FROM consents) AS consents, (SELECT count(*) FROM subjects) AS subjects, (SELECT count(*) FROM people) AS people,
        (SELECT count(*) FROM sign_in_locks) AS locks
"""
TALES = ("Traceback", 'File "', "asyncpg", "Exception", "site-packages", "SELECT ", "0x7f")


@pytest.fixture(scope="module", autouse=True)
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, from debug up."""
    stream = io.StringIO()
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logging("debug", stream)
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory, log: io.StringIO) -> AsyncIterator[Provider]:
    """The whole application on this module's database, with one department."""
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider")) as running:
        await running.add_client(CLIENT, grant_types=ALL_GRANTS, minimum_acr=Acr.SUBSTANTIAL)
        await running.add_client("asking", entitlements=(Entitlement("登记", Basis.CONSENT, ("name",)),))
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def person(provider: Provider) -> Somebody:
    """Somebody whose data must appear nowhere."""
    return await provider.add_person()


@pytest.fixture(autouse=True)
def _quiet(log: io.StringIO, person: Somebody) -> Iterator[None]:
    """After every test: no fault, no personal data and no secret in the log."""
    log.seek(0)
    log.truncate()
    yield
    written = log.getvalue()
    assert '"fault"' not in written, written
    for told in (person.document, person.phone, person.phone.removeprefix("+86"), person.name, PASSWORD, *TALES):
        assert told not in written, written


async def count_rows(provider: Provider) -> dict[str, object]:
    """Return how much there is of everything that bad input must not add to."""
    return dict((await provider.services.platform.database.fetch(COUNTS))[0])


@asynccontextmanager
async def nothing_written(provider: Provider) -> AsyncIterator[None]:
    """Hold that no grant, session, message, consent or lock comes, goes or changes meanwhile."""
    before = await count_rows(provider)
    yield
    assert await count_rows(provider) == before


def hold_tongue(answer: Answered | httpx2.Response, person: Somebody) -> None:
    """Hold that an answer is no fault and tells neither how we are made nor whom we know."""
    status = answer.status if isinstance(answer, Answered) else answer.status_code
    assert status < 500, answer.text
    for told in (*TALES, person.name, person.phone, person.phone.removeprefix("+86"), PASSWORD):
        assert told not in answer.text


def ask(**changes: str | None) -> str:
    """Return the query of an authorization request; None leaves a parameter out."""
    parameters: dict[str, str | None] = {
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "state": "state-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return urlencode({name: value for name, value in parameters.items() if value is not None})


def basic(provider: Provider, client_id: str = CLIENT) -> tuple[bytes, bytes]:
    """Return the Authorization header of a client."""
    return b"authorization", b"Basic " + base64.b64encode(f"{client_id}:{provider.secrets[client_id]}".encode())


def to_cookie(**cookies: str) -> tuple[bytes, bytes]:
    """Return a Cookie header."""
    return b"cookie", "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()


UNREADABLE = [
    ("unknown_client", ask(client_id="nobody").encode()),
    ("unknown_client", ask(client_id="no\u00a0body").encode()),
    ("unknown_client", ask(client_id="x" * 500).encode()),
    ("unknown_client", ask(client_id=None).encode()),
    ("unknown_client", b""),
    ("bad_redirect_uri", ask(redirect_uri="https://evil.example/").encode()),
    ("bad_redirect_uri", ask(redirect_uri=REDIRECT_URI + "/../x").encode()),
    ("bad_redirect_uri", ask(redirect_uri=REDIRECT_URI.upper()).encode()),
    ("bad_redirect_uri", ask(redirect_uri="javascript:alert(1)").encode()),
    ("bad_redirect_uri", ask(redirect_uri="https://user@department.example/callback").encode()),
    ("bad_redirect_uri", ask(redirect_uri=None).encode()),
    ("repeated_parameter", ask().encode() + b"&state=again"),
    ("repeated_parameter", ask().encode() + b"&%73tate=again"),
    ("repeated_parameter", ask(client_id=None).encode() + b"&client_id=sweep&client_id=sweep"),
    ("parameter_too_long", ask(state="x" * 2_001).encode()),
    ("parameter_too_long", ask(nonce="%41" * 8_000).encode()),
    ("parameter_too_long", ask(id_token_hint="x" * 8_001).encode()),
    ("parameter_too_long", ask().encode() + b"&a=1" * 60),
    ("request_refused", ask(state=None).encode() + b"&state=%FF%FE"),
    ("request_refused", ask(state=None).encode() + b"&state=\xff\xfe"),
    ("request_refused", ask(state=None).encode() + b"&state=%ED%A0%80"),
    ("request_refused", ask(state=None).encode() + b"&state=%C0%80"),
    ("request_refused", ask(state="a\0b").encode()),
    ("request_refused", ask(state="a\r\nset-cookie: x=y").encode()),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("code", "raw"), UNREADABLE, ids=[f"{code}-{i}" for i, (code, _) in enumerate(UNREADABLE)])
async def test_an_authorization_request_that_cannot_be_answered_at_the_client_is_a_page(
    provider: Provider, person: Somebody, method: str, code: str, raw: bytes
) -> None:
    async with nothing_written(provider):
        if method == "GET":
            answer = await send_raw(provider, "GET", "/authorize", raw)
        else:
            answer = await send_raw(provider, "POST", "/authorize", b"", [FORM, (b"sec-fetch-site", b"same-site")], raw)
    hold_tongue(answer, person)
    assert (answer.status, answer.code) == (400, code)
    assert not answer.header("location")
    assert b"evil.example" not in answer.body.replace(b"lang=en", b"").partition(b"<main")[2], "an address we refuse is no link"
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize(
    ("status", "error", "form"),
    [
        (401, "invalid_client", b"grant_type=authorization_code&code=x&client_id=nobody"),
        (400, "invalid_request", b"grant_type=authorization_code&grant_type=refresh_token"),
        (400, "invalid_request", b"grant_type=authorization_code&code=" + b"x" * 8_001),
        (400, "invalid_request", b"grant_type=authorization_code&code=%FF"),
        (400, "invalid_request", b"grant_type=authorization_code&code=%00"),
        (400, "invalid_request", b"&".join(b"a%d=1" % i for i in range(60))),
        (400, "invalid_request", b""),
        (400, "invalid_request", b'{"grant_type":"client_credentials"}'),
        (400, "unsupported_grant_type", b"grant_type=password&username=a&password=b"),
        (400, "invalid_grant", b"grant_type=refresh_token&refresh_token=AAAA"),
        (400, "invalid_grant", b"grant_type=authorization_code&code=AAAA&redirect_uri=https%3A%2F%2Fx.example&code_verifier=" + b"v" * 43),
    ],
)
async def test_a_token_request_that_cannot_be_read_is_a_json_error(
    provider: Provider, person: Somebody, status: int, error: str, form: bytes
) -> None:
    headers = [FORM] if status == 401 else [FORM, basic(provider)]
    async with nothing_written(provider):
        answer = await send_raw(provider, "POST", "/token", b"", headers, form)
    hold_tongue(answer, person)
    assert (answer.status, answer.code) == (status, error)
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize(
    "credentials",
    [
        b"Basic",
        b"Basic ",
        b"Basic \xff\xff",
        b"Basic " + base64.b64encode(b"no colon"),
        b"Basic " + base64.b64encode(b"a\x00b:secret"),
        b"Basic " + base64.b64encode(b"%00:secret"),
        b"Basic " + base64.b64encode(b"\xff\xfe:secret"),
        b"Basic " + base64.b64encode(b"%ff:secret"),
        b"Basic " + base64.b64encode(b"x" * 3_000 + b":secret"),
        b"Basic " + b"A" * 10_000,
        b"Bearer x",
        b"basic " + base64.b64encode(b"sweep:wrong"),
        b"Basic " + base64.b64encode(b"sweep:\x00"),
    ],
)
@pytest.mark.parametrize("path", ["/token", "/introspect"])
async def test_credentials_of_any_shape_are_only_wrong(provider: Provider, person: Somebody, path: str, credentials: bytes) -> None:
    form = b"grant_type=client_credentials&token=x"
    async with nothing_written(provider):
        answer = await send_raw(provider, "POST", path, b"", [FORM, (b"authorization", credentials)], form)
    hold_tongue(answer, person)
    assert (answer.status, answer.code) == (401, "invalid_client")


@pytest.mark.parametrize("path", ["/token", "/introspect", "/userinfo", "/authorize", "/sign-in", "/consent", "/sign-out"])
@pytest.mark.parametrize("way", ["announced", "chunked", "understated", "absurd"])
async def test_a_body_over_the_limit_is_refused_without_being_kept(provider: Provider, person: Somebody, path: str, way: str) -> None:
    body = [b"a=" + b"x" * 30_000] + [b"x" * 30_000] * 3
    headers = [FORM, basic(provider)]
    if way == "understated":
        headers.append((b"content-length", b"10"))
    if way == "absurd":
        headers.append((b"content-length", b"9" * 5_000))
    async with nothing_written(provider):
        answer = await send_raw(provider, "POST", path, b"", headers, body, length=way == "announced")
    hold_tongue(answer, person)
    assert answer.status == 413
    assert answer.code in ("form_too_large", "invalid_request")


@pytest.mark.parametrize(
    "body", [b"identifier=%FF", b"a=1&a=2", b"password=%00", b"x=" + b"y" * 2_000, b"i=" + b"y" * 300, b"%zz=1", b"=1"]
)
@pytest.mark.parametrize("path", ["/sign-in", "/consent", "/sign-out"])
async def test_a_page_refuses_forms_that_are_none(provider: Provider, person: Somebody, path: str, body: bytes) -> None:
    async with nothing_written(provider):
        answer = await send_raw(provider, "POST", path, b"", [FORM, to_cookie(**{NAMES.browser: "b" * 22})], body)
        hold_tongue(answer, person)
        assert answer.status in (303, 400, 410), answer.text
        unnamed = await send_raw(provider, "POST", path, b"", [(b"content-type", b"application/json")], b"{}")
    assert (unnamed.status, unnamed.code) == (400, "bad_form")


async def begin(provider: Provider, client_id: str = CLIENT, **changes: str | None) -> Web:
    """Return a browser that stands at the first page of a flow."""
    web = Web(provider)
    page = await web.get("/authorize?" + ask(client_id=client_id, **changes))
    assert page.status_code == 200
    return web


async def test_an_expired_interaction_says_start_again(provider: Provider, person: Somebody) -> None:
    web = await begin(provider)
    fields = web.fields()
    provider.clock.advance(3_601)
    async with nothing_written(provider):
        answers = [
            await web.client.get(f"/continue?i={fields['i']}"),
            await web.client.get(f"/sign-in?i={fields['i']}"),
            await web.client.post("/sign-in", data={**fields, "identifier": person.document, "password": PASSWORD}),
            await web.client.get(f"/consent?i={fields['i']}"),
            await web.client.post("/consent", data={**fields, "decision": "allow"}),
            await web.client.post("/sign-out", data={**fields, "decision": "sign_out"}),
        ]
        answers += [
            await web.client.get(f"/{page}?i={quote(i)}") for page in ("continue", "sign-in", "consent") for i in ("", "x", "一", "\0")
        ]
    for answer in answers:
        hold_tongue(answer, person)
        assert (answer.status_code, find_code(answer)) == (410, "interaction_expired")


async def test_a_repeated_step_is_told_and_does_nothing(provider: Provider, person: Somebody) -> None:
    web = await begin(provider)
    fields = web.fields()
    typed = {**fields, "identifier": person.document, "password": PASSWORD}
    assert (await web.client.post("/sign-in", data=typed)).status_code == 303
    async with nothing_written(provider):
        for step in (fields["step"], "", "0", "x" * 100, "一"):
            page = await web.client.post("/sign-in", data={**typed, "step": step})
            hold_tongue(page, person)
            assert (page.status_code, find_code(page)) == (409, "step_repeated")


@pytest.mark.parametrize("change", [{"csrf": ""}, {"csrf": "x"}, {"csrf": "一"}, {"csrf": None}])
async def test_a_form_without_its_token_is_refused(provider: Provider, person: Somebody, change: dict[str, str | None]) -> None:
    web = await begin(provider)
    typed = {**web.fields(), "identifier": person.document, "password": PASSWORD, **change}
    form = {name: value for name, value in typed.items() if value is not None}
    async with nothing_written(provider):
        page = await web.client.post("/sign-in", data=form)
        elsewhere = await web.client.post("/sign-in", data={**form, **web.fields()}, headers={"sec-fetch-site": "cross-site"})
    for answer in (page, elsewhere):
        hold_tongue(answer, person)
        assert (answer.status_code, find_code(answer)) == (403, "form_forged")


async def test_a_foreign_browser_cannot_go_on_in_any_flow(provider: Provider, person: Somebody) -> None:
    web = await begin(provider)
    fields = web.fields()
    asking = Web(provider)
    await asking.sign_in(person, "/authorize?" + ask(client_id="asking", scope="openid profile"))
    consent = asking.fields()
    async with nothing_written(provider):
        for foreign in (Web(provider), await begin(provider)):
            answers = [
                await foreign.client.get(f"/continue?i={fields['i']}"),
                await foreign.client.get(f"/sign-in?i={fields['i']}"),
                await foreign.client.post("/sign-in", data={**fields, "identifier": person.document, "password": PASSWORD}),
                await foreign.client.get(f"/consent?i={consent['i']}"),
                await foreign.client.post("/consent", data={**consent, "decision": "allow"}),
            ]
            for answer in answers:
                hold_tongue(answer, person)
                assert (answer.status_code, find_code(answer)) == (403, "foreign_browser")


async def test_a_replayed_code_gives_nothing_and_ends_what_it_gave(provider: Provider, person: Somebody) -> None:
    landing = await provider.authorize(CLIENT, await provider.open_session(person))
    tokens = (await provider.redeem(CLIENT, landing)).json()
    before = await count_rows(provider)
    again = await provider.redeem(CLIENT, landing)
    hold_tongue(again, person)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await count_rows(provider))["grants"] == before["grants"]
    assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401


async def test_a_reused_refresh_token_ends_its_grant_and_only_that(provider: Provider, person: Somebody) -> None:
    cookies = await provider.open_session(person)
    tokens, other = await provider.get_tokens(CLIENT, cookies), await provider.get_tokens(CLIENT, cookies)

    async def refresh(token: str) -> httpx2.Response:
        return await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, CLIENT)

    second = (await refresh(tokens["refresh_token"])).json()
    provider.clock.advance(11)
    before = await count_rows(provider)
    reused = await refresh(tokens["refresh_token"])
    hold_tongue(reused, person)
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    after = await count_rows(provider)
    assert after["live_grants"] == before["live_grants"] - 1  # type: ignore[operator]
    assert (await refresh(second["refresh_token"])).status_code == 400
    assert (await refresh(other["refresh_token"])).status_code == 200


def tamper(text: str) -> list[str]:
    """Return ways to alter a sealed text."""
    middle = len(text) // 2
    flipped = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
    return [flipped, text[:-1], text[1:], text + "A", text + "=", text[:middle], text + text, text.swapcase(), "=" + text, "一" + text, ""]


async def test_tampered_sealed_values_are_like_unknown_ones(provider: Provider, person: Somebody) -> None:
    cookies = await provider.open_session(person)
    landing = await provider.authorize(CLIENT, cookies)
    tokens = await provider.get_tokens(CLIENT, cookies)
    async with nothing_written(provider):
        for code in (*tamper(landing.code), tokens["access_token"], tokens["refresh_token"]):
            answer = await provider.redeem(CLIENT, landing, code=code)
            hold_tongue(answer, person)
            assert answer.status_code == 400
        for token in (*tamper(tokens["refresh_token"]), tokens["access_token"], landing.code):
            answer = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, CLIENT)
            hold_tongue(answer, person)
            assert answer.status_code == 400
        for token in (*tamper(tokens["access_token"]), tokens["refresh_token"], landing.code, tokens["id_token"]):
            raw = await send_raw(provider, "GET", "/userinfo", b"", [(b"authorization", b"Bearer " + token.encode())])
            hold_tongue(raw, person)
            assert raw.status == 401
            answer = await provider.post("/introspect", {"token": token or "x"}, CLIENT)
            assert answer.json().get("active") is False or (token == tokens["refresh_token"] and answer.json()["active"])
        for cookie in tamper(cookies[SESSION]):
            raw = await send_raw(provider, "GET", "/authorize", ask(prompt="none").encode(), [to_cookie(**{SESSION: cookie})])
            hold_tongue(raw, person)
            assert "error=login_required" in raw.header("location")
    assert (await provider.redeem(CLIENT, landing)).status_code == 200


@pytest.mark.parametrize("twice", ["sub", "aud", "iss", "sid"])
async def test_a_hint_with_duplicate_keys_is_no_hint_though_we_signed_it(provider: Provider, person: Somebody, twice: str) -> None:
    cookies = await provider.open_session(person)
    token = (await provider.get_tokens(CLIENT, cookies))["id_token"]
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    again = json.dumps(claims)[:-1] + f', "{twice}": {json.dumps(claims[twice])}}}'
    hint = provider.services.platform.ring.sign("ES256", again.encode())
    honest = provider.services.platform.ring.sign("ES256", json.dumps(claims).encode())
    async with nothing_written(provider):
        refused = await provider.authorize(CLIENT, cookies, id_token_hint=hint)
        assert refused.parameters["error"] == "invalid_request"
        web = Web(provider)
        web.client.cookies.update(cookies)
        page = await web.client.get("/sign-out?" + urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BACK}))
        hold_tongue(page, person)
        assert page.status_code == 200, "the person is asked"
    ended = await web.client.get("/sign-out?" + urlencode({"id_token_hint": honest, "post_logout_redirect_uri": BACK}))
    assert (ended.status_code, ended.headers["location"]) == (303, BACK), "the same hint without the duplicate is taken"


INJECTIONS = [
    "a\r\nset-cookie: x=y",
    "a\nb",
    "a\u2028b",
    "\u0085",
    "a%0d%0ab",
    "<script>alert(1)</script>",
    '"><img src=x>',
    "\ufeff",
    "💧" * 300,
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_no_parameter_reaches_a_header_or_the_markup(provider: Provider, person: Somebody, text: str) -> None:
    cookies = await provider.open_session(person)
    cookie = to_cookie(**cookies)
    async with nothing_written(provider):
        answers = [
            await send_raw(provider, "GET", "/authorize", ask(prompt="none", state=text).encode()),
            await send_raw(provider, "GET", "/authorize", ask(login_hint=text).encode()),
            await send_raw(provider, "GET", "/authorize", ask(ui_locales=text).encode()),
            await send_raw(provider, "GET", "/authorize", ask(redirect_uri=text).encode()),
            await send_raw(provider, "POST", "/authorize", b"", [FORM, (b"sec-fetch-site", b"cross-site")], ask(state=text).encode()),
            await send_raw(provider, "GET", "/continue", urlencode({"i": text}).encode()),
            await send_raw(provider, "GET", "/sign-in", urlencode({"i": text, "lang": text, "elder": text}).encode()),
            await send_raw(provider, "GET", "/help", urlencode({text: text, "lang": "en"}).encode()),
            await send_raw(provider, "GET", "/sign-out", urlencode({"state": text, "post_logout_redirect_uri": text}).encode(), [cookie]),
            await send_raw(provider, "POST", "/sign-out", b"", [FORM, cookie], urlencode({"state": text}).encode()),
            await send_raw(provider, "GET", "/help", b"", [(b"accept-language", text.encode()), (b"user-agent", text.encode())]),
            await send_raw(provider, "GET", "/" + text, b""),
        ]
    for answer in answers:
        hold_tongue(answer, person)
        assert b"<script>alert" not in answer.body
        assert b"<img src=x" not in answer.body
        assert not answer.header("location") or answer.header("location").startswith((REDIRECT_URI, "/", ISSUER))


@pytest.mark.parametrize(
    "cookies",
    [
        b"; ".join(b"c%d=%d" % (i, i) for i in range(5_000)),
        b";" * 20_000,
        NAMES.session.encode() + b"=" + b"x" * 60_000,
        NAMES.browser.encode() + b"=" + b"x" * 60_000,
        NAMES.session.encode() + b"=\xff\xfe\x80; " + NAMES.browser.encode() + b"=\xff; " + NAMES.device.encode() + b"=\xff",
        NAMES.session.encode() + b'="; ' + NAMES.language.encode() + b"=xx; " + NAMES.elder.encode() + b"=\x01",
        b"=; ===; ;=;",
    ],
)
@pytest.mark.parametrize("path", ["/authorize", "/sign-in", "/continue", "/sign-out", "/", "/userinfo", "/help"])
async def test_cookies_of_any_number_and_shape(provider: Provider, person: Somebody, path: str, cookies: bytes) -> None:
    async with nothing_written(provider):
        answer = await send_raw(provider, "GET", path, ask().encode() if path == "/authorize" else b"i=x", [(b"cookie", cookies)])
    hold_tongue(answer, person)
    assert answer.status in (200, 303, 401, 410)


PATHS = ["/authorize", "/token", "/userinfo", "/introspect", "/jwks.json", "/.well-known/openid-configuration", "/sign-in", "/consent"]
PATHS += ["/continue", "/sign-out", "/signed-out", "/", "/help", "/healthz", "/static/x/site.css", "/nowhere"]
OPEN_TO_SCRIPTS = {"/token", "/userinfo", "/jwks.json", "/.well-known/openid-configuration"}
"""What answers OPTIONS: browsers ask it before a script of another origin may ask anything."""


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "GETT", "get", "一", "X" * 5_000, ""]
)
async def test_absurd_methods_are_refused_everywhere(provider: Provider, person: Somebody, method: str) -> None:
    async with nothing_written(provider):
        for path in PATHS:
            answer = await send_raw(provider, method, path, b"", [FORM], b"a=1")
            hold_tongue(answer, person)
            if method == "OPTIONS" and path in OPEN_TO_SCRIPTS:
                assert (answer.status, answer.text) == (204, ""), path
                continue
            assert answer.status in ((404,) if path == "/nowhere" else (400, 401, 404, 405)), (path, answer.status)
            assert "X" * 100 not in answer.text


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_answered_like_get_or_refused(provider: Provider, person: Somebody, path: str) -> None:
    query = ask().encode() if path == "/authorize" else b""
    async with nothing_written(provider):
        answer = await send_raw(provider, "HEAD", path, query)
    hold_tongue(answer, person)
    if path == "/authorize":
        assert (answer.status, answer.header("location")) == (405, "")


@pytest.mark.parametrize(
    "path",
    [
        "//authorize",
        "///token",
        "/authorize/",
        "/token/",
        "/Authorize",
        "/authorize;x=1",
        "/authorize\0",
        "/./authorize",
        "/../authorize",
        "/%2e%2e/authorize",
        "/%2e%2e/",
        "/static/../../settings.py",
        "/static/x/..%2f..%2fsettings.py",
        "/static/x/../../../pyproject.toml",
        "/static/%00/site.css",
        "/static/x/\0",
        "//evil.example/sign-in/",
        "/\\evil.example",
        "/sign-in\r\nset-cookie: a=b",
        "/" + "a" * 10_000,
        "/" + "a/" * 3_000,
        "",
        "authorize",
        "*",
        "http://evil.example/authorize",
        "/demo/people",
        "/demo/outbox",
        "/metrics",
    ],
)
async def test_path_tricks_lead_nowhere(provider: Provider, person: Somebody, path: str) -> None:
    cookies = await provider.open_session(person)
    async with nothing_written(provider):
        answer = await send_raw(provider, "GET", path, ask().encode(), [to_cookie(**cookies)])
    hold_tongue(answer, person)
    assert answer.status == 404, (answer.status, answer.headers)


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-out/", "/consent/", "/continue/"])
async def test_a_trailing_slash_never_acts(provider: Provider, person: Somebody, path: str) -> None:
    async with nothing_written(provider):
        for method in ("GET", "POST"):
            answer = await send_raw(provider, method, path, b"i=x", [FORM], b"a=1" if method == "POST" else b"")
            hold_tongue(answer, person)
            assert answer.status == 404


@pytest.mark.parametrize(
    "hosts",
    [[], [b"evil.example"], [b"127.0.0.1:8000", b"evil.example"], [b"127.0.0.1:8000@evil.example"], [b""], [b"\xff"], [b"127.0.0.1"]],
)
async def test_another_host_is_refused(provider: Provider, person: Somebody, hosts: list[bytes]) -> None:
    async with nothing_written(provider):
        for path in ("/authorize", "/sign-in", "/.well-known/openid-configuration"):
            given = [(b"host", host) for host in hosts] or [(b"host", b"none")]
            answer = await send_raw(provider, "GET", path, ask().encode(), given)
            hold_tongue(answer, person)
            assert answer.status == 421


# ------------------------------------------------------------------------------------------------------------------- fuzz

KNOWN_NAMES = (
    *("client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "prompt", "max_age", "acr_values", "ui_locales"),
    *("login_hint", "id_token_hint", "code_challenge", "code_challenge_method", "response_mode", "request", "grant_type", "code"),
    *("refresh_token", "code_verifier", "client_secret", "resource", "i", "csrf", "step", "identifier", "password", "resend"),
    *("decision", "lang", "elder", "post_logout_redirect_uri", "logout_hint", "token", "access_token"),
)
GOOD_VALUES = (
    *(CLIENT, REDIRECT_URI, BACK, CHALLENGE, "openid profile offline_access", "e30.e30.e30", "urn:yizheng:acr:high", "code", "openid"),
    *("S256", "none", "login", "consent", "authorization_code", "refresh_token", "client_credentials", "0", "1", "en", "query", "allow"),
)
VALUES = st.one_of(st.sampled_from(GOOD_VALUES), st.text(max_size=60), st.binary(max_size=40))
PAIRS = st.lists(st.tuples(st.one_of(st.sampled_from(KNOWN_NAMES), st.text(max_size=12)), VALUES), max_size=14)
REQUESTS = st.one_of(PAIRS.map(lambda pairs: urlencode(pairs, errors="replace").encode()), st.binary(max_size=300))
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("path", ["/authorize", "/token", "/introspect", "/userinfo", "/sign-in", "/continue", "/consent", "/sign-out"])
@FUZZ
@given(raw=REQUESTS, base=st.booleans(), method=st.sampled_from(["GET", "POST"]), noise=st.binary(max_size=60))
async def test_whatever_comes_is_never_our_fault(
    provider: Provider, person: Somebody, path: str, raw: bytes, base: bool, method: str, noise: bytes
) -> None:
    if base and path == "/authorize":
        raw = ask().encode() + b"&" + raw
    noise = noise.replace(b"\r", b"").replace(b"\n", b"")  # no server lets these through
    headers = [FORM, (b"cookie", b"%s=%s; %s=b" % (SESSION.encode(), noise, NAMES.browser.encode())), (b"accept-language", noise)]
    headers.append(basic(provider) if base else (b"authorization", noise))
    answer = await send_raw(provider, method, path, raw if method == "GET" else b"", headers, raw if method == "POST" else b"")
    hold_tongue(answer, person)
    if 300 <= answer.status < 400:
        assert answer.header("location").startswith(
            (REDIRECT_URI + "?", "/continue?i=", "/authorize?", "/sign-out?", "/signed-out", "/sign-in?i=")
        )


@FUZZ
@given(identifier=st.text(max_size=120), password=st.text(max_size=320), code=st.one_of(st.none(), st.text(max_size=30)))
async def test_whatever_is_typed_into_the_sign_in_page_is_answered(
    provider: Provider, person: Somebody, identifier: str, password: str, code: str | None
) -> None:
    web = await begin(provider, client_id="asking")
    form = {**web.fields(), "identifier": identifier, "password": password, **({} if code is None else {"code": code})}
    raw = urlencode(form, errors="replace").encode()
    cookie = to_cookie(**dict(web.client.cookies))
    answer = await send_raw(provider, "POST", "/sign-in", b"", [FORM, cookie], raw)
    hold_tongue(answer, person)
    assert answer.status in (400, 409, 422, 429), answer.text
    # The page says again what was typed as identifier, and short texts stand in any page.
    assert password not in answer.text or password in identifier or len(password) < 20
