"""Decides which posted forms are read at all: strict UTF-8, every name once, no control characters, bounded."""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.types import Receive

from idp.http.request_context import SCOPE_KEY
from idp.kernel.errors import Refusal

FORM_TYPE = b"application/x-www-form-urlencoded"
MAX_FIELDS = 64
MAX_NAME = 100
MAX_INTERACTION = 200
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class BadForm(Refusal):
    """What was posted is not a form we can read."""

    code = "bad_form"


class FormTooLarge(BadForm):
    """The body is longer than the limit."""

    code = "form_too_large"


@dataclasses.dataclass(frozen=True)
class FieldError:
    """One thing to correct: the form field's name ("" for the form as a whole), a message key, and its facts."""

    field: str
    key: str
    facts: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


class Form(Mapping[str, str]):
    """The fields of one posted form."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Form({sorted(self._fields)})"

    def get(self, name: str, max_length: int = 1_000) -> str:  # type: ignore[override]
        """Return a field's text, "" when it was not sent; raise BadForm when it is longer than ``max_length`` characters."""
        text = self._fields.get(name, "")
        if len(text) > max_length:
            raise BadForm()
        return text


def _decode(part: bytes) -> str:
    if _BAD_ESCAPE.search(part):
        raise BadForm()
    raw = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), part.replace(b"+", b" "))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadForm() from None
    if _CONTROL.search(text):
        raise BadForm()
    return text


def parse_form(body: bytes, *, limit: int = 65_536) -> Form:
    """Return the fields of an application/x-www-form-urlencoded body (WHATWG URL §5.1), or raise BadForm and nothing else."""
    if len(body) > limit:
        raise FormTooLarge()
    fields: dict[str, str] = {}
    if body:
        parts = body.split(b"&", MAX_FIELDS + 1)
        if len(parts) > MAX_FIELDS:
            raise BadForm()
        for part in parts:
            if not part:
                continue
            raw_name, _, raw_value = part.partition(b"=")
            name = _decode(raw_name)
            if not name or len(name) > MAX_NAME or name in fields:
                raise BadForm()
            fields[name] = _decode(raw_value)
    return Form(fields)


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body of a raw ASGI request; raise FormTooLarge beyond ``limit`` bytes, BadForm when the caller left."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadForm()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise FormTooLarge()
        if not message.get("more_body", False):
            return chunk if not chunks else b"".join((*chunks, chunk))
        chunks.append(chunk)


def is_form(content_type: bytes | None) -> bool:
    """Tell whether a Content-Type header is that of an urlencoded form: the whole media type in any case, its parameters apart."""
    return content_type is not None and (content_type == FORM_TYPE or content_type.partition(b";")[0].strip().lower() == FORM_TYPE)


async def read_form(request: Request, limit: int = 65_536) -> Form:
    """Return the posted form of a page request; raise BadForm when it is not an urlencoded form.

    The flow that it names (``i``) is noted, so that also the page of a refusal changes its language within the flow.
    """
    if not is_form(request.headers.get("content-type", "").encode("latin-1")):
        raise BadForm()
    form = parse_form(await read_body(request.receive, limit), limit=limit)
    context = request.scope.get(SCOPE_KEY)
    if context is not None:
        context.interaction = form.get("i", limit)[:MAX_INTERACTION]
    return form
