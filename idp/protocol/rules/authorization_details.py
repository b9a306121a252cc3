"""Decides which rich authorization requests are understood (RFC 9396 §2, §5): one row per type, each with its own members."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json, parse_json
from idp.protocol.rules.client import Client
from idp.protocol.rules.terms import read_terms

MAX_DETAILS = 4_000
"""Characters of the parameter."""

MAX_ENTRIES = 5
MAX_TEXTS = 50
MANDATE = "urn:yizheng:mandate"
REPRESENTATIONS = ("none", "optional", "required")

Detail = Mapping[str, Json]


@dataclass(frozen=True)
class DetailType:
    """One type of authorization details. ``read`` returns the entry as it is granted, or raises ValueError with what is wrong."""

    name: str
    read: Callable[[Detail], Detail]


def read_authorization_details(text: str | None, client: Client) -> tuple[Detail, ...]:
    """Return the entries that are asked for; raise ProtocolError ``invalid_authorization_details``."""
    if text is None:
        return ()
    try:
        return tuple(_read_entry(entry, client) for entry in _read_entries(text))
    except ValueError as error:
        raise _refuse(error) from None


def check_details(terms: str | None, parameters: Mapping[str, str], client: Client) -> None:
    """Raise ProtocolError ``invalid_authorization_details`` for what is named without having been granted, whatever its type (RFC 9396 §5).

    ``terms``: the stored ones of the grant that tokens are asked of, None where nothing can be granted. An entry is named as it was
    granted, or as it was asked for. No token is for a part of what was granted: a client names all of it or nothing (RFC 9396 §6).
    """
    text = parameters.get("authorization_details")
    if text is None:
        return
    granted = read_terms(terms).authorization_details
    try:
        named = [entry if entry in granted else _read_again(entry, client) for entry in _read_entries(text)]
        if not all(detail in granted for detail in named):
            raise ValueError("an entry was not granted; entries are asked for at the authorization endpoint")
        if not all(detail in named for detail in granted):
            raise ValueError("a token is for all that was granted")
    except ValueError as error:
        raise _refuse(error) from None


def requires_representation(details: tuple[Detail, ...]) -> bool:
    """Tell whether the client only wants somebody who acts for another."""
    return any(detail["type"] == MANDATE and detail.get("representation") == "required" for detail in details)


def grant_details(details: tuple[Detail, ...]) -> tuple[Detail, ...]:
    """Return what is granted of what was asked: nobody acts for anybody else yet, so each mandate is the person's own capacity.

    What a department wanted to see mandated is not part of it: it limits a mandate, and there is none.
    """
    return tuple(_find_granted(detail) for detail in details)


def _find_granted(detail: Detail) -> Detail:
    return {"type": MANDATE, "capacity": "none"} if detail["type"] == MANDATE else detail


def _read_again(entry: Json, client: Client) -> Detail:
    """Return what an entry was granted as if it was asked for; nobody was granted who acts for another."""
    detail = _read_entry(entry, client)
    return detail if requires_representation((detail,)) else _find_granted(detail)


def _read_entries(text: str) -> list[Json]:
    value = parse_json(text, MAX_DETAILS)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ENTRIES:
        raise ValueError(f"an array of 1 to {MAX_ENTRIES} objects is expected")
    return value


def _read_entry(entry: Json, client: Client) -> Detail:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise ValueError("every entry is an object with a type")
    name = str(entry["type"])
    if name not in TYPES or name not in client.requests.authorization_details_types:
        raise ValueError("a type is not registered for this client")
    return TYPES[name].read(entry)


def _read_mandate(entry: Detail) -> Detail:
    unknown = entry.keys() - {"type", "representation", "services", "actions", "principal_hint"}
    if unknown:
        raise ValueError("a member is not known for urn:yizheng:mandate")
    if entry.get("representation", "optional") not in REPRESENTATIONS:
        raise ValueError(f"representation is one of {', '.join(REPRESENTATIONS)}")
    hint = entry.get("principal_hint", "-")
    if not (isinstance(hint, str) and 1 <= len(hint) <= 100 and hint.isprintable()):
        raise ValueError("principal_hint is a text of 1 to 100 characters")
    for name in ("services", "actions"):
        texts = entry.get(name, [])
        if not isinstance(texts, list) or len(texts) > MAX_TEXTS or not all(_is_code(text) for text in texts):
            raise ValueError(f"{name} is an array of at most {MAX_TEXTS} codes")
    return {"representation": "optional", **entry}


def _is_code(text: Json) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= 100 and text.isascii() and text.isprintable() and " " not in text


def _refuse(reason: ValueError) -> ProtocolError:
    return ProtocolError("invalid_authorization_details", f"The authorization_details cannot be used: {reason}.")


TYPES = {kind.name: kind for kind in (DetailType(MANDATE, _read_mandate),)}
"""The types that the code understands; a client is registered for those that it may use."""
