"""Clients, people and sessions for the protocol's tests; every name is synthetic."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from idp.kernel.levels import Acr, Factor, Proved
from idp.protocol.rules.authorization import Standing
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.client import ApplicationType, AuthMethod, Client
from idp.protocol.rules.consents import NO_CONSENTS

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

CLIENT = Client(
    client_id="land",
    version=1,
    status="live",
    sector="land",
    sector_id=UUID(int=1),
    name="不动产登记中心（样例）",
    name_en="Land registry (sample)",
    auth_method=AuthMethod.SECRET_BASIC,
    application_type=ApplicationType.WEB,
    redirect_uris=("https://land.example/callback",),
    post_logout_redirect_uris=("https://land.example/",),
    grant_types=frozenset({"authorization_code"}),
    scopes=("profile", "phone", "real_name", "identity"),
    entitlements=(),
    minimum_acr=Acr.LOW,
    id_token_algorithm="ES256",
    resources=(),
    requires_pkce=True,
    secret_mac=b"k:mac",
)


def make_client(**changes: Any) -> Client:
    """Return the sample client with some values changed."""
    return replace(CLIENT, **changes)


def make_parameters(**changes: str | None) -> dict[str, str]:
    """Return a valid authorization request of the sample client; None removes a parameter."""
    parameters: dict[str, str | None] = {
        "client_id": "land",
        "redirect_uri": "https://land.example/callback",
        "response_type": "code",
        "scope": "openid profile",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    parameters.update(changes)
    return {name: value for name, value in parameters.items() if value is not None}


def make_request(**changes: Any) -> AuthorizationRequest:
    """Return a read authorization request."""
    request = AuthorizationRequest(
        client_id="land",
        redirect_uri="https://land.example/callback",
        scope=("openid", "profile"),
        state="s-1",
        nonce="n-1",
        challenge=CHALLENGE,
        prompts=frozenset(),
        max_age=None,
        wanted=None,
        login_hint=None,
        id_token_hint=None,
        ui_locales=None,
    )
    return request._replace(**changes)


def make_standing(*factors: Factor, age: float = 60, **changes: Any) -> Standing:
    """Return an active person at ial 3 with a fresh phone match."""
    at = NOW - timedelta(seconds=age)
    standing = Standing(
        person_id=UUID(int=7),
        proved=tuple(Proved(f, at) for f in factors or (Factor.PASSWORD, Factor.SMS)),
        person_status="active",
        ial=3,
        phone_matched_at=NOW - timedelta(days=1),
        subject="sub-7",
        consents=NO_CONSENTS,
    )
    return standing._replace(**changes)
