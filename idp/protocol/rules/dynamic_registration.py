"""Decides what a client that registers itself may say, what it gets where it says nothing, and what it is told (RFC 7591 §2, §3.2)."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from idp.kernel.json_text import Json
from idp.protocol.rules.client import ApplicationType, AuthMethod, BadRegistration, Client, GrantType
from idp.protocol.rules.client_checks import CLIENT_SECTOR, HOST_SECTOR
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.device_secret import SCOPE as DEVICE_SSO
from idp.protocol.rules.profile import find_demands
from idp.protocol.rules.registration_metadata import METADATA, OWN, REQUIRED, change_client, list_effective
from idp.protocol.rules.scopes import SCOPES

DEFAULT_ALGORITHM: Final = "RS256"
"""Of the ID Token, as OpenID Connect Registration §2 promises; FAPI 2.0 does not know it, so there it is ours."""

RESPONSE_TYPES: Final = ("code",)
_OWN_SCOPES: Final = tuple(name for name in SCOPES if name != DEVICE_SSO)
_BESIDE_REDIRECTS: Final = frozenset({GrantType.CIBA, GrantType.DEVICE_CODE, GrantType.TOKEN_EXCHANGE})
_BY_KEYS: Final = frozenset({AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SELF_SIGNED_TLS})

NOT_OURS_TO_CHANGE: Final = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
"""What an update may not hold (RFC 7592 §2.2)."""


class RegistrationMode(StrEnum):
    """Who may register a client: nobody, whoever holds an initial access token or a software statement, anybody."""

    OFF = "off"
    TOKEN = "token"  # noqa: S105
    OPEN = "open"


def read_registration(document: Mapping[str, Json], base: Client, requires_pkce: bool, accepts_endpoint_audience: bool = False) -> Client:
    """Return ``base`` with the metadata of a registration; what the document leaves out has the specification's default.

    Metadata that we do not know, or that are the operator's, are ignored (RFC 7591 §2). ``requires_pkce`` is for those that could do
    without; ``accepts_endpoint_audience`` for those whose assertions name the token endpoint (OpenID Connect Core §9) and whose profile
    lets them. Raises BadRegistration.
    """
    said = {name: value for name, value in document.items() if value is not None}
    _check_types(said)
    wanted: dict[str, object] = dict.fromkeys(OWN - REQUIRED)
    wanted.update({name: value for name, value in said.items() if name in OWN})
    wanted.setdefault("client_name", base.client_id)
    if wanted["profile"] in (None, Profile.STANDARD):
        wanted["id_token_signed_response_alg"] = wanted["id_token_signed_response_alg"] or DEFAULT_ALGORITHM
    wanted["scope"] = _choose_scopes(said)
    client = change_client(base, wanted, OWN)
    there = client.about.initiate_login_uri
    if there is not None and not there.lower().startswith("https:"):
        raise BadRegistration("initiate_login_uri", "https")  # OpenID Connect Registration §2; the operator may name a loopback address
    could = client.auth_method is not AuthMethod.NONE and client.application_type is ApplicationType.WEB
    client = replace(client, name_en=client.name_en or client.name, requires_pkce=requires_pkce or not could)
    if accepts_endpoint_audience and not find_demands(client.profile).issuer_audience_only:
        client = replace(client, requests=replace(client.requests, accepts_endpoint_audience=True))
    sector = find_sector(client)
    return client if sector == client.sector else change_client(client, {"sector": sector})


def find_sector(client: Client) -> str:
    """Return the sector of a client that registered itself: the host it is reached at (OpenID Connect Core §8.1), else itself.

    Raises BadRegistration where there are several hosts and no ``sector_identifier_uri`` to join them.
    """
    if client.sector_identifier_uri is not None:
        return _name_sector(client, _find_host(client.sector_identifier_uri))
    hosts = {_find_host(uri) for uri in client.redirect_uris}
    if len(hosts) > 1:
        raise BadRegistration("sector_identifier_uri", "redirect URIs of several hosts need one")
    return _name_sector(client, next(iter(hosts), "") if is_reached_by_redirects(client) else "")


def is_reached_by_redirects(client: Client) -> bool:
    """Tell whether a client learns of people only at its redirect URIs, and those are its own.

    Anybody may name somebody else's; that proves a host only where answers reach nobody but the host. An answer to a back-channel
    request, a device or an exchange reaches the client itself, and a loopback address or a scheme of one's own reaches whoever listens.
    """
    return bool(client.redirect_uris) and client.grant_types.isdisjoint(_BESIDE_REDIRECTS) and all(map(_find_host, client.redirect_uris))


def check_sector_document(client: Client, document: object) -> None:
    """Raise BadRegistration unless the document at ``sector_identifier_uri`` says that this client belongs to its sector.

    It lists every redirect URI (Registration §5). Of a client that is not reached by those alone it lists the ``jwks_uri`` whose keys the
    client authenticates with, and the address of a ping (CIBA §4).
    """
    listed = {uri for uri in document if isinstance(uri, str)} if isinstance(document, list) else None
    if listed is None or not set(client.redirect_uris) <= listed:
        raise BadRegistration("sector_identifier_uri", "what is there is no JSON list with all redirect URIs")
    if is_reached_by_redirects(client):
        return
    if client.auth_method not in _BY_KEYS or client.keys.jwks_uri not in listed:
        raise BadRegistration("sector_identifier_uri", "its list needs the jwks_uri of the keys that this client authenticates with")
    ping = client.ciba.backchannel_client_notification_endpoint
    if ping is not None and ping not in listed:
        raise BadRegistration("sector_identifier_uri", "its list needs the backchannel_client_notification_endpoint")


def check_update(document: Mapping[str, Json], client_id: str) -> None:
    """Raise BadRegistration for an update that is for another client or holds what only we say (RFC 7592 §2.2)."""
    if document.get("client_id") != client_id:
        raise BadRegistration("client_id", "the id of this client")
    for name in NOT_OURS_TO_CHANGE:
        if name in document:
            raise BadRegistration(name, "is not part of an update")


def describe_registration(client: Client) -> dict[str, Any]:
    """Return the metadata that a client is told of itself (RFC 7591 §3.2.1)."""
    told = {name: value for name, value in list_effective(client).items() if name in METADATA and METADATA[name].own}
    coded = GrantType.AUTHORIZATION_CODE in client.grant_types
    return {
        "client_id": client.client_id,
        **told,
        "scope": " ".join((*(("openid",) if coded else ()), *client.scopes)),
        "response_types": list(RESPONSE_TYPES) if coded else [],
        "subject_type": "pairwise",
    }


def _check_types(said: Mapping[str, Json]) -> None:
    if said.get("subject_type", "pairwise") != "pairwise":
        raise BadRegistration("subject_type", "pairwise")
    grants = said.get("grant_types", [GrantType.AUTHORIZATION_CODE.value])
    coded = isinstance(grants, list) and GrantType.AUTHORIZATION_CODE.value in grants
    types = said.get("response_types", list(RESPONSE_TYPES) if coded else [])
    if not isinstance(types, list) or not all(kind in RESPONSE_TYPES for kind in types):
        raise BadRegistration("response_types", "code")
    if bool(types) is not coded:
        raise BadRegistration("response_types", "code goes with the grant type authorization_code, and neither without the other")


def _choose_scopes(said: Mapping[str, Json]) -> str | None:
    """Return the scopes that exist of those asked for; all but offline access where nothing is asked (RFC 7591 §2).

    Never Native SSO: which apps of a device trust each other is the operator's to say.
    """
    asked = said.get("scope")
    if asked is None:
        grants = said.get("grant_types")
        offline = isinstance(grants, list) and GrantType.REFRESH_TOKEN.value in grants
        return " ".join(name for name in _OWN_SCOPES if offline or name != "offline_access")
    if not isinstance(asked, str):
        raise BadRegistration("scope", "a text")
    return " ".join(dict.fromkeys(name for name in asked.split(" ") if name in _OWN_SCOPES)) or None


def _name_sector(client: Client, host: str) -> str:
    name = f"{HOST_SECTOR}{host}"
    return name if host and len(name) <= 100 else f"{CLIENT_SECTOR}{client.client_id}"


def _find_host(uri: str) -> str:
    """Return the host of a public address; a loopback one or a scheme of one's own is the same for everybody, so it joins nobody."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""  # refused a little later, by name
    return (parts.hostname or "") if parts.scheme == "https" else ""
