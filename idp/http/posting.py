"""Decides how the last hop to a department is posted: a page with a form to exactly its origin (Form Post Response Mode §2)."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.responses import Response

from idp.http.rendering import Pages
from idp.http.request_context import RequestContext

Fields = Sequence[tuple[str, str]]
"""Name and value of each hidden input."""


def post_on(pages: Pages, context: RequestContext, url: str, fields: Fields, department: str, *, opened: bool = False) -> Response:
    """Return the page that posts ``fields`` to ``url``, an address that was registered; only to its origin may it post."""
    parts = urlsplit(url)
    context.form_target = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
    return pages.render(context, "posting.html", url=url, fields=fields, department=department, opened=opened)
