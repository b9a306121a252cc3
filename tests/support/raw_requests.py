"""Requests that no client library would send, put to the application as the server would: any method, path, header and body."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.provider import ISSUER, Provider

FORM = (b"content-type", b"application/x-www-form-urlencoded")
HOST = (b"host", ISSUER.removeprefix("http://").encode())


@dataclass(frozen=True)
class Answered:
    """What the application answered."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; it must be UTF-8."""
        return self.body.decode("utf-8")

    @property
    def code(self) -> str:
        """The refusal code of an error page, or the error of a JSON answer; "" for neither."""
        if self.header("content-type").startswith("application/json"):
            answer: Any = json.loads(self.body)
            return str(answer.get("error", ""))
        found = re.search(r'data-code="([a-z_]+)"', self.text)
        return found[1] if found else ""

    def header(self, name: str) -> str:
        """Return a header that comes once, "" when it is absent."""
        found = [value.decode("latin-1") for key, value in self.headers if key.decode("latin-1") == name]
        assert len(found) < 2, (name, found)
        return found[0] if found else ""


async def send_raw(
    provider: Provider,
    method: str,
    path: str,
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes | Sequence[bytes] = b"",
    *,
    length: bool = True,
) -> Answered:
    """Put one request to the application; a sequence of bodies comes in chunks, and without ``length`` nothing announces their size."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    named = {name for name, _ in headers}
    sent = [*([] if b"host" in named else [HOST]), *headers]
    if any(chunks) and b"content-length" not in named:
        sent.append((b"content-length", b"%d" % sum(map(len, chunks))) if length else (b"transfer-encoding", b"chunked"))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query,
        "root_path": "",
        "headers": sent,
        "client": ("192.0.2.44", 40_000),
        "server": ("127.0.0.1", 8000),
    }
    waiting = [{"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1} for i, chunk in enumerate(chunks)]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await provider.browser._transport.app(scope, receive, send)  # type: ignore[attr-defined]
    assert [m["type"] for m in messages].count("http.response.start") == 1
    assert messages[0]["type"] == "http.response.start"
    assert not messages[-1].get("more_body", False)
    headers_out = [(bytes(name), bytes(value)) for name, value in messages[0]["headers"]]
    for name, value in headers_out:
        assert not set(name + value) & set(b"\r\n\0"), (name, value)
    return Answered(messages[0]["status"], headers_out, b"".join(m.get("body", b"") for m in messages[1:]))
