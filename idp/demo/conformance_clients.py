"""Decides which clients a conformance suite finds registered, two for each of its plans, with everything that the plan asks of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idp.demo.certificates import CertificateFolder
from idp.demo.client_keys import hide_private_parts, read_or_make_keys
from idp.protocol.rules.client import AuthMethod, Basis, Client, Entitlement, GrantType
from idp.protocol.rules.client_metadata import (
    BackchannelAuthentication,
    ClientKeys,
    DeliveryMode,
    LogoutAddresses,
    Profile,
    RequestDemands,
    ResponseProtection,
    TlsIdentity,
)
from idp.protocol.rules.logout import Channel

ALIAS = "yizheng"
"""What the suite is told to call its own addresses (``alias`` of its configuration)."""

SECOND = "?dummy1=lorem&dummy2=ipsum"
"""What the suite adds to its second client's redirect URI."""

SCOPES = ("profile", "email", "address", "phone", "offline_access")
CLAIMS = ("name", "gender", "birthdate", "email", "email_verified", "address", "phone_number", "phone_number_verified")
CODE = frozenset({GrantType.AUTHORIZATION_CODE.value, GrantType.REFRESH_TOKEN.value})


@dataclass(frozen=True)
class Plan:
    """The clients of one plan. ``bound``: to what access tokens are bound; ``mtls``: it needs the address for certificates.

    ``channel``: how its clients are told of a sign-out. A module that does not ask for that fails when it is told, and a client that is
    told on its own server is not told through the browser.
    """

    name: str
    auth_method: AuthMethod
    profile: Profile = Profile.STANDARD
    bound: str = ""
    signed: bool = False
    delivery: str = ""
    channel: Channel = Channel.NONE

    @property
    def mtls(self) -> bool:
        """Whether its clients show certificates."""
        return self.bound == "mtls" or self.auth_method is AuthMethod.TLS

    @property
    def has_keys(self) -> bool:
        """Whether its clients sign."""
        return self.auth_method is AuthMethod.PRIVATE_KEY_JWT or self.signed

    def name_client(self, place: int) -> str:
        """Return the id of the plan's client 1 or 2."""
        return f"conformance-{self.name}-{place}"


PLANS = (
    Plan("basic", AuthMethod.SECRET_BASIC),
    Plan("post", AuthMethod.SECRET_POST),
    Plan("secret-jwt", AuthMethod.SECRET_JWT),
    Plan("private-key", AuthMethod.PRIVATE_KEY_JWT),
    Plan("certificate", AuthMethod.TLS),
    Plan("back-channel", AuthMethod.SECRET_BASIC, channel=Channel.BACK),
    Plan("front-channel", AuthMethod.SECRET_BASIC, channel=Channel.FRONT),
    Plan("fapi2", AuthMethod.PRIVATE_KEY_JWT, Profile.FAPI2, "dpop"),
    Plan("fapi2-mtls", AuthMethod.TLS, Profile.FAPI2, "mtls"),
    Plan("message-signing", AuthMethod.PRIVATE_KEY_JWT, Profile.FAPI2_MESSAGE_SIGNING, "dpop", signed=True),
    Plan("ciba-poll", AuthMethod.PRIVATE_KEY_JWT, Profile.FAPI2, "mtls", signed=True, delivery=DeliveryMode.POLL.value),
    Plan("ciba-ping", AuthMethod.PRIVATE_KEY_JWT, Profile.FAPI2, "mtls", signed=True, delivery=DeliveryMode.PING.value),
)


LOGOUTS: Mapping[Channel, Callable[[str], LogoutAddresses]] = {
    Channel.NONE: lambda address: LogoutAddresses(),
    Channel.BACK: lambda address: LogoutAddresses(
        backchannel_logout_uri=f"{address}/backchannel_logout", backchannel_logout_session_required=True
    ),
    Channel.FRONT: lambda address: LogoutAddresses(
        frontchannel_logout_uri=f"{address}/frontchannel_logout", frontchannel_logout_session_required=True
    ),
}


@dataclass(frozen=True)
class Credentials:
    """What the suite needs to act as a client: its private keys, certificate and key as PEM; "" and empty where it has none."""

    keys: Mapping[str, Any]
    certificate: str = ""
    certificate_key: str = ""


def find_credentials(plan: Plan, place: int, folder: Path, certificates: CertificateFolder) -> Credentials:
    """Return the credentials of a client, made at the first start and kept."""
    name = plan.name_client(place)
    keys = read_or_make_keys(folder / f"{name}.jwks.json", name) if plan.has_keys else {}
    if not plan.mtls:
        return Credentials(keys)
    certificate, key = certificates.make_client(name)
    return Credentials(keys, certificate.read_text(encoding="ascii"), key.read_text(encoding="ascii"))


def make_registration(plan: Plan, place: int, credentials: Credentials, suite: str) -> Client:
    """Return how the client is registered for a suite at ``suite``: redirect URIs and logout addresses as it makes them."""
    address = f"{suite}/test/a/{ALIAS}"
    ciba = bool(plan.delivery)
    loose = plan.profile is Profile.STANDARD
    return Client(
        client_id=plan.name_client(place),
        name=f"一致性测试（样例）{plan.name} {place}",
        name_en=f"Conformance test (sample) {plan.name} {place}",
        sector="一致性测试",
        auth_method=plan.auth_method,
        keeps_secret=plan.auth_method is AuthMethod.SECRET_JWT,
        redirect_uris=() if ciba else (f"{address}/callback", f"{address}/callback{SECOND}"),
        post_logout_redirect_uris=() if ciba else (f"{address}/post_logout_redirect",),
        grant_types=frozenset({GrantType.CIBA.value}) if ciba else CODE,
        scopes=SCOPES[:-1] if ciba else SCOPES,
        entitlements=(Entitlement("一致性测试", Basis.CONSENT, CLAIMS, purpose_en="Conformance test"),),
        id_token_algorithm="RS256" if loose else "PS256",
        requires_pkce=not loose,
        profile=plan.profile,
        keys=ClientKeys(jwks=json.dumps(hide_private_parts(dict(credentials.keys)))) if credentials.keys else ClientKeys(),
        tls=TlsIdentity(
            tls_client_auth_san_dns=plan.name_client(place) if plan.auth_method is AuthMethod.TLS else None,
            tls_client_certificate_bound_access_tokens=plan.bound == "mtls",
        ),
        requests=RequestDemands(
            dpop_bound_access_tokens=plan.bound == "dpop",
            require_pushed_authorization_requests=not loose and not ciba,
            require_signed_request_object=plan.signed and not ciba,
            accepts_endpoint_audience=ciba or loose,
        ),
        responses=ResponseProtection(authorization_signed_response_alg="PS256" if plan.signed and not ciba else None),
        logout=LOGOUTS[plan.channel](address),
        ciba=BackchannelAuthentication(
            backchannel_token_delivery_mode=plan.delivery,
            backchannel_client_notification_endpoint=f"{address}/ciba-notification-endpoint"
            if plan.delivery == DeliveryMode.PING.value
            else None,
            backchannel_authentication_request_signing_alg="PS256",
        )
        if ciba
        else BackchannelAuthentication(),
        status="sandbox",
    )
