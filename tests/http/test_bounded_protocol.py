"""What a real server reads and writes: heads without end, heads that never end, honest requests beside them, and answers of every kind."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from idp.http import bounded_protocol
from idp.http.bounded_protocol import MAX_HEAD, BoundedHttp


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d\n" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def open_server(app: Any = echo_length, keep_alive: float = 5) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve on a free port and connect."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.force_exit = True
        await server.shutdown()


async def read_answers(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes, or five seconds."""
    answers = b""
    try:
        async with asyncio.timeout(5):
            while piece := await reader.read(65_536):
                answers += piece
    except (TimeoutError, ConnectionError):
        pass
    return answers


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\n"], ids=["target", "value", "many"])
async def test_a_head_without_end_is_refused_and_not_collected(start: bytes) -> None:
    piece = b"a: b\r\n" * 10_000 if start.endswith(b"1.1\r\n") else b"a" * 60_000
    async with open_server() as (_, writer):
        writer.write(start)
        sent = 0
        try:
            for _ in range(200):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
                sent += len(piece)
        except ConnectionError:
            pass
        assert sent < 8_000_000, "the server stopped reading long before"


async def test_the_refusal_says_why() -> None:
    async with open_server() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"a" * (MAX_HEAD + 1))
        assert (await read_answers(reader)).startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "HEAD_SECONDS", 0.2)
    for beginning in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nx: 1\r\n"):
        async with open_server() as (reader, writer):
            writer.write(beginning)
            assert (await read_answers(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_second_head_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "HEAD_SECONDS", 0.2)
    async with open_server() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n0\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET / HT")
        assert (await read_answers(reader)).startswith(b"HTTP/1.1 408 ")


async def test_honest_requests_pass_whatever_their_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "HEAD_SECONDS", 0.3)
    async with open_server() as (reader, writer):
        for size in (0, 300_000, 10, 60_000):
            cookies = b"cookie: " + b"c" * 30_000 + b"\r\n"
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\n" + cookies + b"content-length: %d\r\n\r\n" % size)
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.write(b"x" * size)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readline() == b"%d\n" % size
        # A slow body is not a slow head.
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")
        for _ in range(3):
            await asyncio.sleep(0.2)
            writer.write(b"x")
        assert (await reader.readuntil(b"\r\n\r\n3\n")).startswith(b"HTTP/1.1 200 ")


def answer_with(status: int, headers: list[tuple[bytes, bytes]], *parts: bytes) -> Any:
    """Return an application that always answers the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    return app


LENGTH = (b"content-length", b"5")


async def ask(app: Any, *requests: bytes) -> bytes:
    """Return what comes back for requests that are sent at once, the last of which closes."""
    async with open_server(app) as (reader, writer):
        writer.write(b"".join(requests))
        return await read_answers(reader)


GET = b"GET /a%20b?c=d HTTP/1.1\r\nhost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


async def test_a_whole_answer_and_one_in_parts_look_the_same() -> None:
    headers = [(b"x-one", b"1"), LENGTH]
    whole, parts = [await ask(answer_with(200, headers, *pieces), GET, LAST) for pieces in ((b"abcde",), (b"ab", b"cde"))]
    assert whole.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert whole.count(b"x-one: 1\r\n") == 2
    assert whole.endswith(b"\r\n\r\nabcde")
    dates = re.compile(rb"date: [^\r]*")
    assert dates.sub(b"", whole) == dates.sub(b"", parts)


async def test_the_application_is_told_what_was_asked() -> None:
    asked: list[tuple[str, str, bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append((scope["method"], scope["path"], scope["raw_path"], scope["query_string"]))
        await answer_with(200, [LENGTH], b"abcde")(scope, receive, send)

    absolute = b"GET http://b.example/x?y HTTP/1.1\r\nhost: a\r\n\r\n"
    await ask(app, GET, absolute, b"POST //x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", LAST)
    assert asked == [
        ("GET", "/a b", b"/a%20b", b"c=d"),
        ("GET", "/x", b"/x", b"y"),
        ("POST", "//x", b"//x", b""),
        ("GET", "/", b"/", b""),
    ]


async def test_a_head_request_gets_no_body_and_an_old_client_is_left() -> None:
    app = answer_with(200, [LENGTH], b"abcde")
    answer = await ask(app, b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", LAST)
    assert answer.count(b"content-length: 5") == 2
    assert answer.count(b"abcde") == 1
    answer = await ask(app, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"abcde")
    assert b"connection: close" in answer


async def test_without_a_length_it_is_sent_in_chunks() -> None:
    answer = await ask(answer_with(200, [], b"abcde"), GET, LAST)
    assert answer.count(b"transfer-encoding: chunked") == 2
    assert answer.count(b"5\r\nabcde\r\n0\r\n\r\n") == 2


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-one", b"1\r\nx-two: 2"), LENGTH],
        [(b"x-one", b"1\n"), LENGTH],
        [(b"x-one", b"1\r"), LENGTH],
        [(b"x-one", b"\x00"), LENGTH],
        [(b"x one", b"1"), LENGTH],
        [(b"content-length", b"4")],
    ],
    ids=["two lines", "line feed", "return", "control", "name", "too short"],
)
async def test_an_answer_that_would_be_another_one_is_never_sent(headers: list[tuple[bytes, bytes]]) -> None:
    answer = await ask(answer_with(200, headers, b"abcde"), GET, LAST)
    assert b"x-two: 2" not in answer
    assert b"abcde" not in answer
    assert b"\x00" not in answer


async def test_an_answer_that_is_shorter_than_it_says_ends_the_connection() -> None:
    answer = await ask(answer_with(200, [(b"content-length", b"6")], b"abcde"), GET, GET)
    assert answer.endswith(b"abcde")
    assert answer.count(b"HTTP/1.1") == 1


async def test_the_application_may_end_the_connection() -> None:
    answer = await ask(answer_with(200, [LENGTH, (b"connection", b"close")], b"abcde"), GET, GET)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.count(b"connection: close") == 1


async def test_an_application_that_fails_before_its_body_answers_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [LENGTH]})
        raise RuntimeError("synthetic")

    answer = await ask(app, LAST)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_whoever_waits_for_leave_to_send_a_body_gets_it() -> None:
    async with open_server() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n3\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_long_answer_arrives_whole() -> None:
    body = bytes(range(256)) * 4_000
    answer = await ask(answer_with(200, [(b"content-length", b"%d" % len(body))], body), GET, LAST)
    assert answer.count(body) == 2


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    async with open_server(keep_alive=1.2) as (reader, writer):
        started = asyncio.get_running_loop().time()
        for _ in range(5):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n0\n")
            await asyncio.sleep(0.3)
        async with asyncio.timeout(20):
            assert await read_answers(reader) == b""
        assert asyncio.get_running_loop().time() - started > 1.5


async def test_whoever_leaves_while_being_answered_is_noticed() -> None:
    left = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    async with open_server(app) as (_, writer):
        writer.write(GET)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(20):
            await left.wait()
