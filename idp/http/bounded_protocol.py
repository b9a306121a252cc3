"""Decides how HTTP/1.1 is spoken: how much of a request's head is read and how long it may take, and that a whole answer is one write."""

import asyncio
import urllib.parse
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MAX_HEAD = 65_536
"""Bytes of request line and headers; what one further read of the socket holds may come on top."""

HEAD_SECONDS = 20.0
"""Within this time a head is whole, from the connection or from its first byte on."""

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

ONE_WRITE = 65_536
"""Bytes of a body that are copied behind its head; a longer one is written by itself."""

_ABOUT_THE_CONNECTION = frozenset({b"connection", b"transfer-encoding"})
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte not in b"\t\r\n")
_plain_names: set[bytes] = set()
"""Header names that were found to be lower-case tokens; our own code has some thirty."""


class _Wake:
    """What ``asyncio.Event`` is to uvicorn, for the one task that waits: a third of its cost."""

    __slots__ = ("_set", "_waiter")

    def __init__(self) -> None:
        self._set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Let the task go on."""
        self._set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Let the next wait take until the next set."""
        self._set = False

    async def wait(self) -> None:
        """Return when set."""
        while not self._set:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None


class Cycle(RequestResponseCycle):
    """One request and its answer. An answer that comes whole is written at once; every other is uvicorn's own business."""

    _start: Any = None

    async def send(self, message: Any) -> None:
        """Hold the start of an answer until the first part of its body is here."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            if whole and self._write(start["status"], start.get("headers", ()), message.get("body", b"")):
                return
            await super().send(start)
        await super().send(message)

    def _write(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write the whole answer; False, and nothing done, where anything about it or its connection is out of the ordinary."""
        if self.disconnected or not self.keep_alive or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        length = b""
        parts = [STATUS_LINE[status]]
        for fields in (self.default_headers, headers):
            for name, value in fields:
                if name not in _plain_names and not _is_plain(name):
                    return False
                if name == b"content-length":
                    length = value
                elif name in _ABOUT_THE_CONNECTION:
                    return False
                parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        head = b"".join(parts)
        # One look at everything for what uvicorn looks for in every value: more lines than headers, or a control character.
        lines = len(parts) // 4 + 2
        if length != b"%d" % len(body) or head.count(b"\n") != lines or head.count(b"\r") != lines or _has_control(head):
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        if len(body) <= ONE_WRITE:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        self.message_event.set()
        self.on_response()
        return True


def _is_plain(name: bytes) -> bool:
    if not name.islower() or HEADER_RE.search(name):
        return False
    if len(_plain_names) < 200:
        _plain_names.add(name)
    return True


def _has_control(head: bytes) -> bool:
    return len(head.translate(None, _CONTROLS)) != len(head)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 that answers 431 to a head over MAX_HEAD and 408 to one that is not whole after HEAD_SECONDS."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._just_begun = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished head; what came with its first byte is within one read, whatever stood before it."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._in_head:
            return
        self._wait()  # only now: a head that came whole costs no timer
        if self._just_begun:
            self._just_begun = False
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self._end(TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._just_begun, self._head_bytes = True, True, 0

    def on_headers_complete(self) -> None:
        """The head is whole: begin to answer it, or put it behind the one that is being answered."""
        self._in_head = False
        self._stop_waiting()
        parser, scope, url = self.parser, self.scope, self.url
        version = parser.get_http_version()
        if version != "1.1" or url[:1] != b"/" or b"#" in url or parser.should_upgrade() or self.limit_concurrency is not None:
            super().on_headers_complete()
            return
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"] = self.root_path + (urllib.parse.unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        scope["query_string"] = query
        before = self.cycle
        self.cycle = cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=_Wake(),  # type: ignore[arg-type]
            expect_100_continue=self.expect_100_continue,
            keep_alive=parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_response_complete(self) -> None:
        """Answer the next request that waits, or begin to be idle: one timer for the connection, not one for every request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_whether_idle)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _look_whether_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return  # the end of the present request sets it again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_whether_idle)
        else:
            self.timeout_keep_alive_handler()

    def _wait(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._end, TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end(self, answer: bytes) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            # While an earlier request is still answered, its bytes may not be followed by ours.
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(answer)
            self.transport.close()
