"""Decides how raw ASGI answers are written: few bytes, precomputed headers, never a line break inside one."""

from collections.abc import Iterable

from starlette.types import Send

Header = tuple[bytes, bytes]

JSON_TYPE: Header = (b"content-type", b"application/json")
NO_STORE: Header = (b"cache-control", b"no-store")
NO_HEADERS: tuple[Header, ...] = (NO_STORE,)
"""What an answer carries when the caller says nothing: it is not stored."""


def _refuse_line_break(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a Location is printable ASCII without spaces")
    return value


async def send_json(send: Send, status: int, body: bytes, headers: Iterable[Header] = NO_HEADERS) -> None:
    """Answer with ready JSON bytes. ``headers`` replace the default ``Cache-Control: no-store``."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_bytes(send: Send, status: int, content_type: bytes, body: bytes, headers: Iterable[Header] = NO_HEADERS) -> None:
    """Answer with bytes of another type than JSON. ``headers`` replace the default ``Cache-Control: no-store``."""
    start = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_redirect(send: Send, location: str, status: int = 303, headers: Iterable[Header] = NO_HEADERS) -> None:
    """Send the browser to ``location`` (already percent-encoded); raise ValueError for one that would break the header."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"location", _refuse_line_break(location).encode("ascii")), (b"content-length", b"0"), *headers],
        }
    )
    await send({"type": "http.response.body", "body": b""})
