"""Decides which JSON a program may post: one object of the announced type, UTF-8, bounded, no name twice."""

from collections.abc import Collection

from starlette.requests import Request

from idp.http.forms import BadForm, FormTooLarge, read_body
from idp.kernel.json_text import Json, parse_json

JSON_TYPES = frozenset({"application/json"})


class BadJson(ValueError):
    """The body is not what the endpoint reads; the text is a sentence for the caller."""


async def read_object(request: Request, limit: int, types: Collection[str] = JSON_TYPES) -> dict[str, Json]:
    """Return the object that was posted; raise BadJson for anything else. An empty body is an empty object."""
    try:
        body = await read_body(request.receive, limit)
    except FormTooLarge:
        raise BadJson(f"The body is longer than {limit} bytes.") from None
    except BadForm:
        raise BadJson("The body did not arrive.") from None
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise BadJson(f"The body must be {' or '.join(sorted(types))}.")
    try:
        value = parse_json(body.decode(), limit)
    except ValueError:
        raise BadJson("The body is not JSON, or a name is given twice, or it is nested too deep.") from None
    if not isinstance(value, dict):
        raise BadJson("The body must be one JSON object.")
    return value
