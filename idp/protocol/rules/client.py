"""Decides what is known of a department's system, how that is kept, and which redirect URI is its own (OpenID Connect Registration §2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from idp.kernel.levels import Acr
from idp.kernel.loopback import LOOPBACK
from idp.protocol.rules.client_metadata import (
    PARTS,
    About,
    BackchannelAuthentication,
    ClientKeys,
    LogoutAddresses,
    Profile,
    RequestDemands,
    ResponseProtection,
    TlsIdentity,
    TokenFormat,
    read_part,
    write_part,
)
from idp.protocol.rules.client_status import CLOSED


class AuthMethod(StrEnum):
    """How a client authenticates at the endpoints it asks directly (OpenID Connect Core §9, RFC 8705 §2)."""

    SECRET_BASIC = "client_secret_basic"  # noqa: S105
    SECRET_POST = "client_secret_post"  # noqa: S105
    SECRET_JWT = "client_secret_jwt"  # noqa: S105
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"
    NONE = "none"


class GrantType(StrEnum):
    """The grants that a client may be registered for."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    CLIENT_CREDENTIALS = "client_credentials"
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
    CIBA = "urn:openid:params:grant-type:ciba"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105


class ApplicationType(StrEnum):
    """``native`` clients may use any port of a loopback redirect URI (RFC 8252 §7.3)."""

    WEB = "web"
    NATIVE = "native"


class Basis(StrEnum):
    """The legal basis of a release (PIPL article 13): a statutory duty asks no consent page, consent does."""

    STATUTORY_DUTY = "statutory_duty"
    CONSENT = "consent"


ID_TOKEN_ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519", "SGD_SM3_SM2")


def may_be_client_id(text: str) -> bool:
    """Tell whether a client may have this id: 1 to 64 ASCII letters, digits, hyphens or underscores; no other is looked up anywhere."""
    return 1 <= len(text) <= 64 and text.isascii() and text.replace("-", "").replace("_", "").isalnum()


def find_usable_statuses(environment: str) -> frozenset[str]:
    """Return the statuses in which a client may act: where real people are, only what was set live (domain.md §4)."""
    return frozenset({"live"}) if environment == "production" else frozenset({"sandbox", "reviewing", "live"})


@dataclass(frozen=True)
class Entitlement:
    """Which claims a client may receive, for which purpose, on which legal basis; ``version`` grows when any of them changes."""

    purpose: str
    basis: Basis
    claims: tuple[str, ...]
    version: int = 1
    purpose_en: str = ""

    def name_purpose(self, language: str) -> str:
        """Return the purpose in the language of a page."""
        return self.purpose if language == "zh-CN" else self.purpose_en or self.purpose


NO_SECTOR = UUID(int=0)
"""Of a client that is not stored yet."""


@dataclass(frozen=True)
class Client:
    """One application of a department as the protocol sees it; every default is the strict one.

    Clients of one ``sector`` know a person by the same ``sub``. ``sealed_secret`` is kept for ``client_secret_jwt`` alone, which needs the
    secret itself, and only where ``keeps_secret`` says so; the previous secret counts until ``previous_secret_until``. ``isolated``: no
    other client's sign-in counts here. ``confirms_sign_on``: a person who comes by single sign-on is asked once. ``access_token_format``
    is that of tokens whose audience is one of ``resources``. ``resumes`` is the status that a suspended client goes back to.
    """

    client_id: str
    name: str
    name_en: str = ""
    sector: str = ""
    sector_id: UUID = NO_SECTOR
    version: int = 1
    status: str = "sandbox"
    resumes: str = ""
    auth_method: AuthMethod = AuthMethod.SECRET_BASIC
    application_type: ApplicationType = ApplicationType.WEB
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: frozenset[str] = frozenset({GrantType.AUTHORIZATION_CODE.value})
    scopes: tuple[str, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()
    minimum_acr: Acr = Acr.LOW
    id_token_algorithm: str = "ES256"  # noqa: S105 - an algorithm
    resources: tuple[str, ...] = ()
    requires_pkce: bool = True
    secret_mac: bytes | None = field(default=None, repr=False)
    sealed_secret: bytes | None = field(default=None, repr=False)
    previous_secret_mac: bytes | None = field(default=None, repr=False)
    previous_sealed_secret: bytes | None = field(default=None, repr=False)
    previous_secret_until: datetime | None = None
    keeps_secret: bool = False
    sector_identifier_uri: str | None = None
    profile: Profile = Profile.STANDARD
    isolated: bool = False
    confirms_sign_on: bool = False
    access_token_format: TokenFormat = TokenFormat.OPAQUE
    keys: ClientKeys = field(default_factory=ClientKeys)
    tls: TlsIdentity = field(default_factory=TlsIdentity)
    requests: RequestDemands = field(default_factory=RequestDemands)
    responses: ResponseProtection = field(default_factory=ResponseProtection)
    logout: LogoutAddresses = field(default_factory=LogoutAddresses)
    ciba: BackchannelAuthentication = field(default_factory=BackchannelAuthentication)
    about: About = field(default_factory=About)

    def name_application(self, language: str) -> str:
        """Return what the application is called in the language of a page."""
        return self.name if language == "zh-CN" else self.name_en or self.name


class BadRegistration(ValueError):
    """A registered value is not acceptable; ``field`` is its metadata name, ``reason`` one sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def write_document(client: Client) -> str:
    """Return the stored JSON document of everything that is not a column."""
    return json.dumps(
        {
            "name": client.name,
            "name_en": client.name_en,
            "auth_method": client.auth_method,
            "application_type": client.application_type,
            "redirect_uris": client.redirect_uris,
            "post_logout_redirect_uris": client.post_logout_redirect_uris,
            "grant_types": sorted(client.grant_types),
            "scopes": client.scopes,
            "entitlements": [
                {"purpose": e.purpose, "purpose_en": e.purpose_en, "basis": e.basis, "claims": e.claims, "version": e.version}
                for e in client.entitlements
            ],
            "minimum_acr": client.minimum_acr,
            "id_token_algorithm": client.id_token_algorithm,
            "resources": client.resources,
            "requires_pkce": client.requires_pkce,
            "profile": client.profile,
            "isolated": client.isolated,
            "confirms_sign_on": client.confirms_sign_on,
            "access_token_format": client.access_token_format,
            "keeps_secret": client.keeps_secret,
            "sector_identifier_uri": client.sector_identifier_uri,
            "resumes": client.resumes,
            **{name: stored for name in PARTS if (stored := write_part(getattr(client, name)))},
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def read_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of Client that a stored document holds; what an older release did not write has its default."""
    return {
        "name": document["name"],
        "name_en": document["name_en"],
        "auth_method": AuthMethod(document["auth_method"]),
        "application_type": ApplicationType(document["application_type"]),
        "redirect_uris": tuple(document["redirect_uris"]),
        "post_logout_redirect_uris": tuple(document["post_logout_redirect_uris"]),
        "grant_types": frozenset(document["grant_types"]),
        "scopes": tuple(document["scopes"]),
        "entitlements": tuple(
            Entitlement(e["purpose"], Basis(e["basis"]), tuple(e["claims"]), e["version"], e.get("purpose_en", ""))
            for e in document["entitlements"]
        ),
        "minimum_acr": Acr(document["minimum_acr"]),
        "id_token_algorithm": document["id_token_algorithm"],
        "resources": tuple(document["resources"]),
        "requires_pkce": document["requires_pkce"],
        "profile": Profile(document.get("profile", Profile.STANDARD)),
        "isolated": document.get("isolated", False),
        "confirms_sign_on": document.get("confirms_sign_on", False),
        "access_token_format": TokenFormat(document.get("access_token_format", TokenFormat.OPAQUE)),
        "keeps_secret": document.get("keeps_secret", False),
        "sector_identifier_uri": document.get("sector_identifier_uri"),
        "resumes": document.get("resumes", ""),
        **{name: read_part(part, document.get(name, {})) for name, part in PARTS.items()},
    }


def renew_versions(known: tuple[Entitlement, ...], wanted: tuple[Entitlement, ...]) -> tuple[Entitlement, ...]:
    """Return the wanted entitlements; whoever changed claims or basis gets a version above the known one, so consent is asked anew."""
    before = {e.purpose: e for e in known}
    renewed = []
    for entitlement in wanted:
        old = before.get(entitlement.purpose)
        changed = old is not None and (set(old.claims), old.basis) != (set(entitlement.claims), entitlement.basis)
        if old is not None and changed and entitlement.version <= old.version:
            entitlement = replace(entitlement, version=old.version + 1)
        renewed.append(entitlement)
    return tuple(renewed)


LOOPBACK_HOSTS = frozenset({*LOOPBACK, "::1"})


def find_home(client: Client) -> str:
    """Return where a person begins again at this client: the origin of its first registered web address, "" for none or a closed client."""
    if client.status in CLOSED:
        return ""
    for uri in (*client.post_logout_redirect_uris, *client.redirect_uris):
        parts = urlsplit(uri)
        listens_there = client.application_type is ApplicationType.WEB or parts.hostname not in LOOPBACK_HOSTS
        if parts.scheme in ("https", "http") and listens_there:
            return f"{parts.scheme}://{parts.netloc}/"
    return ""


def matches_redirect_uri(client: Client, uri: str) -> bool:
    """Tell whether ``uri`` is registered: compared exactly (RFC 9700 §2.1); only a native loopback address has a free port."""
    if uri in client.redirect_uris:
        return True
    if not uri.isascii() or not uri.isprintable() or " " in uri or "#" in uri:
        return False
    if client.application_type is not ApplicationType.NATIVE:
        return False
    wanted = _without_loopback_port(uri)
    return wanted is not None and any(_without_loopback_port(known) == wanted for known in client.redirect_uris)


def _without_loopback_port(uri: str) -> tuple[str, ...] | None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or host not in ("127.0.0.1", "::1") or "@" in parts.netloc:
        return None
    return (host, parts.path, parts.query, parts.fragment)
