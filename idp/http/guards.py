"""Decides whether a posted step may act: from our own page, with the token of its flow."""

import hmac

from idp.http.forms import Form
from idp.http.request_context import RequestContext
from idp.kernel.errors import Refusal

MAX_TOKEN = 200


class FormForged(Refusal):
    """The form does not carry the token of its page, or another site sent it."""

    code = "form_forged"


def require_csrf(context: RequestContext, form: Form, expected: str) -> None:
    """Raise FormForged unless the form carries ``expected`` and the browser does not say that another site sent it."""
    sent = form.get("csrf", MAX_TOKEN)
    if is_from_elsewhere(context) or not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise FormForged()


def is_from_elsewhere(context: RequestContext) -> bool:
    """Tell whether the browser says that another site sent this request (Fetch Metadata); silent browsers do not."""
    return context.header(b"sec-fetch-site") in (b"cross-site", b"same-site")
