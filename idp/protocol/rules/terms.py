"""Decides what is kept of a grant besides scope and level: resources, requested claims, authorization details, who acts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json, parse_json
from idp.protocol.rules.claims_request import ClaimsRequest, load_claims_request, write_claims_request

MAX_TERMS = 4_000
"""Characters; a code carries them, and it travels in an address."""


@dataclass(frozen=True)
class Terms:
    """What else was asked and granted. ``actor``: the ``act`` of a token exchange; ``kind``: how the grant came about, "" by a code."""

    resources: tuple[str, ...] = ()
    claims: ClaimsRequest | None = None
    authorization_details: tuple[Mapping[str, Json], ...] = ()
    actor: Mapping[str, Json] | None = None
    kind: str = ""


NO_TERMS = Terms()


def write_terms(terms: Terms) -> str | None:
    """Return the JSON text that a grant row keeps, None when there is nothing to keep; ValueError beyond MAX_TERMS."""
    if terms == NO_TERMS:
        return None
    found: dict[str, Json] = {
        "resources": list(terms.resources),
        "claims": write_claims_request(terms.claims) if terms.claims is not None else {},
        "authorization_details": [dict(detail) for detail in terms.authorization_details],
        "actor": dict(terms.actor) if terms.actor is not None else {},
        "kind": terms.kind,
    }
    text = json.dumps({name: value for name, value in found.items() if value}, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MAX_TERMS:
        raise ValueError("too much to keep")
    return text


def keep_terms(terms: Terms) -> str | None:
    """Return what ``write_terms`` does for what a request asks; raise ProtocolError ``invalid_request`` for too much."""
    try:
        return write_terms(terms)
    except ValueError:
        raise ProtocolError("invalid_request", "claims, resource and authorization_details are too long together.") from None


def read_terms(text: str | None) -> Terms:
    """Return the terms of a grant row; members that a newer release writes are left out."""
    if text is None:
        return NO_TERMS
    stored = parse_json(text, MAX_TERMS)
    if not isinstance(stored, dict):
        raise ValueError("not the terms of a grant")
    resources, details, actor = stored.get("resources", []), stored.get("authorization_details", []), stored.get("actor")
    return Terms(
        resources=tuple(str(resource) for resource in resources) if isinstance(resources, list) else (),
        claims=load_claims_request(stored["claims"]) if "claims" in stored else None,
        authorization_details=tuple(detail for detail in details if isinstance(detail, dict)) if isinstance(details, list) else (),
        actor=actor if isinstance(actor, dict) else None,
        kind=str(stored.get("kind", "")),
    )
