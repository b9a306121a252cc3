"""What reaches the parser of a real server: heads without end, heads that never end, and honest requests beside them."""

import asyncio
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
async def open_server() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve on a free port and connect."""
    config = uvicorn.Config(echo_length, host="127.0.0.1", port=0, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
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
