"""Decides what the ``claims`` parameter asks for (OpenID Connect Core §5.5, OpenID Connect for Identity Assurance 1.0 §5).

What it names and nobody knows is left out: whatever is kept and shown is what can be released.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json, parse_json

MAX_CLAIMS_REQUEST = 8_000
"""Characters of the parameter."""

MAX_VERIFIED = 5
"""Entries of ``verified_claims`` in one place."""

USERINFO, ID_TOKEN = "userinfo", "id_token"
VERIFIED = "verified_claims"
PURPOSE_LENGTHS = range(3, 301)


@dataclass(frozen=True)
class ClaimAsk:
    """How one claim is asked for; ``values`` is empty when any value will do."""

    essential: bool = False
    values: tuple[Json, ...] = ()

    def accepts(self, value: object) -> bool:
        """Tell whether a value is one of those asked for."""
        return not self.values or value in self.values


@dataclass(frozen=True)
class VerifiedAsk:
    """One entry of ``verified_claims``: what must hold of the verification, and the claims that are wanted with it."""

    verification: Mapping[str, Json]
    claims: Mapping[str, ClaimAsk]


@dataclass(frozen=True)
class Asked:
    """What one answer is asked to contain."""

    claims: Mapping[str, ClaimAsk] = field(default_factory=dict)
    verified: tuple[VerifiedAsk, ...] = ()


NOTHING = Asked()


@dataclass(frozen=True)
class ClaimsRequest:
    """What is asked of UserInfo and of the ID Token."""

    userinfo: Asked = NOTHING
    id_token: Asked = NOTHING

    @property
    def names(self) -> frozenset[str]:
        """Return every claim that is named, verified or not."""
        return frozenset([*self.userinfo.claims, *self.id_token.claims, *self.verified_names])

    @property
    def verified_names(self) -> frozenset[str]:
        """Return the claims of which the client wants to know how they were verified."""
        return frozenset(name for place in (self.userinfo, self.id_token) for ask in place.verified for name in ask.claims)


def read_claims_request(text: str, known: frozenset[str]) -> ClaimsRequest:
    """Return what a ``claims`` parameter asks for of the ``known`` claims; raise ProtocolError ``invalid_request``."""
    try:
        value = parse_json(text, MAX_CLAIMS_REQUEST)
    except ValueError as error:
        raise _refuse(f"is not JSON that we read: {error}") from None
    return load_claims_request(value, known)


def load_claims_request(value: Json, known: frozenset[str] | None = None) -> ClaimsRequest:
    """Return what the value asks for; None for ``known`` keeps every claim. Raises ProtocolError ``invalid_request``."""
    whole = _need_object(value, "is not an object")
    return ClaimsRequest(*(_read_place(whole.get(place), place, known) for place in (USERINFO, ID_TOKEN)))


def write_claims_request(request: ClaimsRequest) -> dict[str, Json]:
    """Return the JSON that ``load_claims_request`` reads."""
    places = {USERINFO: request.userinfo, ID_TOKEN: request.id_token}
    return {name: written for name, place in places.items() if (written := _write_place(place))}


def _read_place(value: Json, place: str, known: frozenset[str] | None) -> Asked:
    if value is None:
        return NOTHING
    members = _need_object(value, f"{place} is not an object")
    claims = _read_claims({name: ask for name, ask in members.items() if name != VERIFIED}, known)
    return Asked(claims, _read_verified(members.get(VERIFIED), known))


def _read_claims(members: Mapping[str, Json], known: frozenset[str] | None) -> dict[str, ClaimAsk]:
    asks = {name: _read_ask(name, ask) for name, ask in members.items()}
    return {name: ask for name, ask in asks.items() if known is None or name in known}


def _read_ask(name: str, value: Json) -> ClaimAsk:
    if value is None:
        return ClaimAsk()
    members = _need_object(value, f"the claim {_quote(name)} is neither null nor an object")
    essential, values = members.get("essential", False), members.get("values", [])
    if not isinstance(essential, bool) or not isinstance(values, list) or ("value" in members and "values" in members):
        raise _refuse(f"the claim {_quote(name)} is asked for in a way that we do not know")
    purpose = members.get("purpose", "---")
    if not isinstance(purpose, str) or len(purpose) not in PURPOSE_LENGTHS:
        raise _refuse(f"the purpose of the claim {_quote(name)} is not a text of 3 to 300 characters")
    return ClaimAsk(essential, (members["value"],) if "value" in members else tuple(values))


def _read_verified(value: Json, known: frozenset[str] | None) -> tuple[VerifiedAsk, ...]:
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    if not 1 <= len(entries) <= MAX_VERIFIED:
        raise _refuse(f"verified_claims has 1 to {MAX_VERIFIED} entries")
    asks = [_read_verified_entry(_need_object(entry, "verified_claims is not an object"), known) for entry in entries]
    return tuple(ask for ask in asks if ask.claims)


def _read_verified_entry(entry: Mapping[str, Json], known: frozenset[str] | None) -> VerifiedAsk:
    verification = _need_object(entry.get("verification"), "verified_claims has no verification")
    if "trust_framework" not in verification:
        raise _refuse("the verification of verified_claims names no trust_framework")
    claims = _need_object(entry.get("claims"), "verified_claims has no claims")
    if not claims:
        raise _refuse("the claims of verified_claims are empty")
    return VerifiedAsk(verification, _read_claims(claims, known))


def _write_place(place: Asked) -> dict[str, Json]:
    written: dict[str, Json] = _write_claims(place.claims)
    if place.verified:
        written[VERIFIED] = [{"verification": dict(ask.verification), "claims": _write_claims(ask.claims)} for ask in place.verified]
    return written


def _write_claims(claims: Mapping[str, ClaimAsk]) -> dict[str, Json]:
    return {name: _write_ask(ask) for name, ask in claims.items()}


def _write_ask(ask: ClaimAsk) -> Json:
    written: dict[str, Json] = {"essential": True} if ask.essential else {}
    if ask.values:
        written["values"] = list(ask.values)
    return cast(Json, written) or None


def _need_object(value: Json, fault: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _refuse(fault)
    return value


def _quote(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").isalnum() and len(name) <= 60 else "named"


def _refuse(fault: str) -> ProtocolError:
    return ProtocolError("invalid_request", f"The claims parameter cannot be used: {fault}.")
