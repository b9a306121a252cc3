"""Decides how request parameters are read: strict UTF-8, bounded, and never twice but for one (RFC 6749 §3.1)."""

from urllib.parse import unquote_to_bytes

MAX_PARAMETERS = 40
MAX_VALUE = 2_000
LONGER = {
    "id_token_hint": 8_000,
    "request": 16_000,
    "claims": 8_000,
    "authorization_details": 4_000,
    "client_assertion": 16_000,
    "code": 16_000,
    "refresh_token": 16_000,
    "token": 16_000,
}
"""Values that carry a sealed or signed text may be longer than the 2,000 characters of all others."""

SEVERAL = "resource"
"""The one parameter that may come several times (RFC 8707 §2): its values are joined by a space, which no URI contains."""


class BadParameters(ValueError):
    """The parameters cannot be read; ``name`` is the offending one, empty when none can be named."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name


def parse_parameters(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query string or form body (application/x-www-form-urlencoded).

    Raises BadParameters for repeated, over-long, too many, non-UTF-8 or control-character values. Parameters without a
    value count as absent (RFC 6749 §3.1).
    """
    found: dict[str, str] = {}
    if not raw:
        return found
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadParameters("not_utf8") from None
    parts = text.split("&")
    if len(parts) > MAX_PARAMETERS:
        raise BadParameters("too_many")
    for part in parts:
        name, _, value = part.partition("=")
        if "%" in name or "+" in name:
            name = _decode(name, "")
        if len(value) > 200 and len(value) > 9 * LONGER.get(name, MAX_VALUE):
            raise BadParameters("too_long", name[:60])
        if "%" in value or "+" in value:
            value = _decode(value, name)
        if name in found:
            if name != SEVERAL:
                raise BadParameters("repeated", name[:60])
            value = f"{found[name]} {value}".strip()
        if len(value) > MAX_VALUE and len(value) > LONGER.get(name, MAX_VALUE):
            raise BadParameters("too_long", name[:60])
        if not value.isprintable() and any(c < " " or c == "\x7f" for c in value):
            raise BadParameters("control_character", name[:60])
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _decode(text: str, name: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise BadParameters("not_utf8", name[:60]) from None
