"""Decides what a client's metadata are called on the wire and of what kind they are: the one table of registration, admin API and commands.

Sources of the names: see client_metadata.py; those of our own have no standard behind them. ``check_client`` of client_checks.py decides
which values go together.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from idp.kernel.levels import ACR_ORDER, Acr
from idp.protocol.rules.admin_scopes import ADMIN_SCOPES
from idp.protocol.rules.algorithms import CLIENT_SIGNING, CONTENT_ENCRYPTION, ENCRYPTION, SECRET_SIGNING
from idp.protocol.rules.authorization_details import TYPES
from idp.protocol.rules.client import (
    ID_TOKEN_ALGORITHMS,
    ApplicationType,
    AuthMethod,
    BadRegistration,
    Basis,
    Client,
    Entitlement,
    GrantType,
)
from idp.protocol.rules.client_metadata import PARTS, DeliveryMode, Profile, TokenFormat
from idp.protocol.rules.request_object import demands_pushing, demands_signature
from idp.protocol.rules.scopes import SCOPES


class Kind(StrEnum):
    """What a value is on the wire."""

    TEXT = "text"
    ADDRESS = "address"
    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXTS = "texts"
    ADDRESSES = "addresses"
    WORDS = "words"
    KEYS = "keys"
    ENTITLEMENTS = "entitlements"


LISTS: Final = frozenset({Kind.TEXTS, Kind.ADDRESSES, Kind.ENTITLEMENTS})
MAX_ADDRESS: Final = 1_000
MAX_KEYS: Final = 16_384
MAX_NUMBER: Final = 2_147_483_647


@dataclass(frozen=True)
class Metadata:
    """One metadata name: the field of Client, or of the ``part`` of Client, that holds it, and its value.

    ``choices``: the values there are, of each element where it is a list. ``longest``: characters of a text or element; ``most``: elements.
    ``parse`` makes what the field holds of a text. ``guarded``: on a live client a second person approves the change. ``own``: a client
    that registers itself may say it; the others are the operator's.
    """

    name: str
    field: str
    kind: Kind = Kind.TEXT
    part: str | None = None
    choices: tuple[str, ...] = ()
    longest: int = 200
    most: int = 20
    parse: Callable[[str], object] = str
    guarded: bool = True
    own: bool = True


def _list_rows() -> Iterable[Metadata]:
    text, address, boolean, texts, addresses = Kind.TEXT, Kind.ADDRESS, Kind.BOOLEAN, Kind.TEXTS, Kind.ADDRESSES
    yield Metadata("client_name", "name", longest=100)
    yield Metadata("client_name#en", "name_en", longest=100)
    yield Metadata("sector", "sector", longest=100, own=False)
    yield Metadata("sector_identifier_uri", "sector_identifier_uri", address)
    yield Metadata("token_endpoint_auth_method", "auth_method", choices=tuple(AuthMethod), parse=AuthMethod)
    yield Metadata("application_type", "application_type", choices=tuple(ApplicationType), parse=ApplicationType)
    yield Metadata("redirect_uris", "redirect_uris", addresses)
    yield Metadata("post_logout_redirect_uris", "post_logout_redirect_uris", addresses)
    yield Metadata("grant_types", "grant_types", texts, choices=tuple(GrantType))
    yield Metadata("scope", "scopes", Kind.WORDS, choices=(*SCOPES, *ADMIN_SCOPES))
    yield Metadata("id_token_signed_response_alg", "id_token_algorithm", choices=ID_TOKEN_ALGORITHMS)
    yield Metadata("entitlements", "entitlements", Kind.ENTITLEMENTS, own=False)
    yield Metadata("minimum_acr", "minimum_acr", choices=ACR_ORDER, parse=Acr, own=False)
    yield Metadata("resources", "resources", texts, longest=500, own=False)
    yield Metadata("requires_pkce", "requires_pkce", boolean, own=False)
    yield Metadata("keeps_secret", "keeps_secret", boolean, own=False)
    yield Metadata("profile", "profile", choices=tuple(Profile), parse=Profile)
    yield Metadata("isolated", "isolated", boolean, own=False)
    yield Metadata("confirms_sign_on", "confirms_sign_on", boolean, own=False)
    yield Metadata("access_token_format", "access_token_format", choices=tuple(TokenFormat), parse=TokenFormat, own=False)

    yield Metadata("jwks", "jwks", Kind.KEYS, "keys", longest=MAX_KEYS)
    yield Metadata("jwks_uri", "jwks_uri", address, "keys")

    for name in ("subject_dn", "san_dns", "san_uri", "san_ip", "san_email"):
        yield Metadata(f"tls_client_auth_{name}", f"tls_client_auth_{name}", text, "tls", longest=500)
    yield _of("tls", "tls_client_certificate_bound_access_tokens", boolean)

    yield _of("requests", "require_pushed_authorization_requests", boolean)
    yield _of("requests", "require_signed_request_object", boolean)
    yield _of("requests", "request_object_signing_alg", text, CLIENT_SIGNING)
    yield _of("requests", "request_uris", addresses)
    yield _of("requests", "dpop_bound_access_tokens", boolean)
    yield _of("requests", "token_endpoint_auth_signing_alg", text, (*CLIENT_SIGNING, *SECRET_SIGNING))
    yield Metadata("accepts_endpoint_audience", "accepts_endpoint_audience", boolean, "requests", own=False)
    yield _of("requests", "default_max_age", Kind.NUMBER)
    yield _of("requests", "default_acr_values", texts, tuple(Acr))
    yield _of("requests", "authorization_details_types", texts, tuple(TYPES))
    yield Metadata("allowed_resources", "allowed_resources", addresses, "requests", own=False)
    yield Metadata("front_ticket_targets", "front_ticket_targets", texts, "requests", longest=64, own=False)

    for answer in ("id_token", "userinfo", "authorization"):
        if answer != "id_token":
            yield _of("responses", f"{answer}_signed_response_alg", text, ID_TOKEN_ALGORITHMS)
        yield _of("responses", f"{answer}_encrypted_response_alg", text, ENCRYPTION)
        yield _of("responses", f"{answer}_encrypted_response_enc", text, CONTENT_ENCRYPTION)
    yield _of("responses", "introspection_signed_response_alg", text, ID_TOKEN_ALGORITHMS)

    for channel in ("backchannel", "frontchannel"):
        yield _of("logout", f"{channel}_logout_uri", address)
        yield _of("logout", f"{channel}_logout_session_required", boolean)

    yield _of("ciba", "backchannel_token_delivery_mode", text, tuple(DeliveryMode))
    yield _of("ciba", "backchannel_client_notification_endpoint", address)
    yield _of("ciba", "backchannel_authentication_request_signing_alg", text, CLIENT_SIGNING)

    for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri"):
        yield _of("about", name, address)
    yield _of("about", "initiate_login_uri", address)
    yield Metadata("contacts", "contacts", texts, "about", guarded=False)
    yield Metadata("software_id", "software_id", text, "about", guarded=False)
    yield Metadata("software_version", "software_version", text, "about", guarded=False)


def _of(part: str, name: str, kind: Kind, choices: Iterable[str] = ()) -> Metadata:
    return Metadata(name, name, kind, part, tuple(choices))


METADATA: Final[Mapping[str, Metadata]] = {row.name: row for row in _list_rows()}
"""Name → its row. Every field of every part has one: a test compares."""

OWN: Final = frozenset(row.name for row in METADATA.values() if row.own)
GUARDED: Final = frozenset(row.name for row in METADATA.values() if row.guarded)
REQUIRED: Final = frozenset({"client_name", "sector"})
_BLANK: Final = Client("", "")


def change_client(client: Client, wanted: Mapping[str, object], allowed: Collection[str] = METADATA.keys()) -> Client:
    """Return ``client`` with the wanted values; null is the default again (RFC 7396 §2). Raises BadRegistration, unchecked beyond that.

    A name that is not ``allowed`` is refused; leave out before what is to be ignored.
    """
    own: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in wanted.items():
        row = METADATA.get(name)
        if row is None or name not in allowed:
            raise BadRegistration(name[:100], "there is no such metadata")
        if value is None:
            if name in REQUIRED:
                raise BadRegistration(name, "cannot be left out")
            held: object = getattr(_BLANK if row.part is None else PARTS[row.part](), row.field)
        else:
            held = read_value(row, value)
            if row.kind is Kind.ENTITLEMENTS:
                held = _keep_versions(client.entitlements, held)  # type: ignore[arg-type]
        (own if row.part is None else parts.setdefault(row.part, {}))[row.field] = held
    if own.get("sector", client.sector) != client.sector:
        own["sector_id"] = _BLANK.sector_id
    return replace(client, **own, **{part: replace(getattr(client, part), **values) for part, values in parts.items()})


def list_metadata(client: Client) -> dict[str, Any]:
    """Return a client's metadata as JSON writes them; what is empty is left out."""
    found: dict[str, Any] = {}
    for row in METADATA.values():
        held = getattr(client if row.part is None else getattr(client, row.part), row.field)
        if held is None or held in ("", (), frozenset()):
            continue
        found[row.name] = _write_value(row, held)
    return found


def list_effective(client: Client) -> dict[str, Any]:
    """Return the metadata as they hold: what the profile makes compulsory is told as if it were registered (RFC 7591 §3.2.1)."""
    demanded = replace(
        client.requests,
        require_pushed_authorization_requests=demands_pushing(client),
        require_signed_request_object=demands_signature(client),
    )
    return list_metadata(replace(client, requests=demanded))


def find_changes(before: Client, after: Client) -> dict[str, Any]:
    """Return the metadata that differ, with their values afterwards; None for what is left out."""
    old, new = list_metadata(before), list_metadata(after)
    return {name: new.get(name) for name in METADATA if old.get(name) != new.get(name)}


def read_value(row: Metadata, value: object) -> object:
    """Return what the field holds of a JSON value. Raises BadRegistration."""
    match row.kind:
        case Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise BadRegistration(row.name, "true or false")
            return value
        case Kind.NUMBER:
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
                raise BadRegistration(row.name, f"a whole number from 0 to {MAX_NUMBER}")
            return value
        case Kind.TEXT | Kind.ADDRESS:
            return row.parse(_read_text(row, value))
        case Kind.WORDS:
            words = _read_text(row, value, longest=1_000).split(" ")
            return _read_list(row, [word for word in words if word not in ("", "openid")])
        case Kind.TEXTS | Kind.ADDRESSES:
            texts = _read_list(row, value)
            return frozenset(texts) if row.field == "grant_types" else texts
        case Kind.KEYS:
            return _read_keys(row, value)
        case _:
            return _read_entitlements(row, value)


def _read_text(row: Metadata, value: object, longest: int | None = None) -> str:
    longest = longest or (MAX_ADDRESS if row.kind in (Kind.ADDRESS, Kind.ADDRESSES) else row.longest)
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise BadRegistration(row.name, f"a text of 1 to {longest} printable characters")
    if row.choices and row.kind is not Kind.WORDS and value not in row.choices:
        raise BadRegistration(row.name, f"one of {', '.join(row.choices)}")
    return value


def _read_list(row: Metadata, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > row.most:
        raise BadRegistration(row.name, f"a list of at most {row.most}")
    texts = tuple(_read_text(row, element) for element in value)
    if len(set(texts)) != len(texts):
        raise BadRegistration(row.name, "each once")
    strange = sorted(set(texts) - set(row.choices)) if row.choices else []
    if strange:
        raise BadRegistration(row.name, f"of {', '.join(row.choices)}")
    return texts


def _read_keys(row: Metadata, value: object) -> str:
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise BadRegistration(row.name, 'a JWK set: {"keys": [...]}')
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    if len(text) > row.longest:
        raise BadRegistration(row.name, f"at most {row.longest} characters")
    return text


def _read_entitlements(row: Metadata, value: object) -> tuple[Entitlement, ...]:
    if not isinstance(value, list) or len(value) > row.most:
        raise BadRegistration(row.name, f"a list of at most {row.most}")
    return tuple(_read_entitlement(row, element) for element in value)


def _read_entitlement(row: Metadata, value: object) -> Entitlement:
    if not isinstance(value, dict) or set(value) - {"purpose", "purpose_en", "basis", "claims", "version"}:
        raise BadRegistration(row.name, "objects of purpose, purpose_en, basis and claims")
    purpose, english, basis, claims = value.get("purpose"), value.get("purpose_en", ""), value.get("basis"), value.get("claims")
    if not isinstance(purpose, str) or not isinstance(english, str):
        raise BadRegistration(row.name, "a purpose is a text")
    if basis not in tuple(Basis):
        raise BadRegistration(row.name, f"a basis is one of {', '.join(Basis)}")
    if not isinstance(claims, list) or not all(isinstance(claim, str) for claim in claims):
        raise BadRegistration(row.name, "claims are a list of names")
    return Entitlement(purpose, Basis(basis), tuple(claims), purpose_en=english)


def _keep_versions(known: tuple[Entitlement, ...], wanted: tuple[Entitlement, ...]) -> tuple[Entitlement, ...]:
    """Return the wanted entitlements with the versions that the known ones of the same purpose have; versions are ours."""
    versions = {e.purpose: e.version for e in known}
    return tuple(replace(e, version=versions.get(e.purpose, 1)) for e in wanted)


def _write_value(row: Metadata, held: Any) -> object:
    match row.kind:
        case Kind.WORDS:
            return " ".join(held)
        case Kind.TEXTS | Kind.ADDRESSES:
            return sorted(held) if isinstance(held, frozenset) else list(held)
        case Kind.KEYS:
            return json.loads(held)
        case Kind.ENTITLEMENTS:
            return [
                {"purpose": e.purpose, **({"purpose_en": e.purpose_en} if e.purpose_en else {}), "basis": e.basis.value,
                 "claims": list(e.claims), "version": e.version}
                for e in held
            ]  # fmt: skip
        case _:
            return held.value if isinstance(held, StrEnum) else held
