"""Decides what clients are registered and administered by: their own registration, as far as the settings let them, and the admin API."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from idp.composition import Platform, SettingRefused
from idp.http.request_context import RequestContext
from idp.kernel.errors import ProtocolError
from idp.protocol.endpoints.admin_clients import AdminEndpoint, Prove
from idp.protocol.endpoints.registration import RegistrationEndpoint
from idp.protocol.rules.client_metadata import Profile
from idp.protocol.rules.dynamic_registration import RegistrationMode
from idp.protocol.services.access_tokens import AccessTokens
from idp.protocol.services.admin_access import AdminAccess
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.client_administration import ClientAdministration
from idp.protocol.services.clients import Clients
from idp.protocol.services.dynamic_registration import DynamicRegistration, RegistrationRules
from idp.protocol.services.possession import Possession, confirm_certificate
from idp.protocol.services.repeated_requests import RepeatedRequests
from idp.protocol.services.software_statements import SoftwareStatements, UnusableIssuer, read_issuers
from idp.protocol.stores.grants import GrantReads
from keys import UnusableCertificate, read_certificate


def build_clients(platform: Platform) -> Clients:
    """Return what registers and changes clients."""
    secrets, sealer = platform.data_keys.mac("client_secrets"), platform.data_keys.sealer("client_secrets")
    signs_by = platform.settings.keys.algorithms
    return Clients(secrets, sealer, platform.audit_log, platform.clock, platform.random, signs_by)


def build_registration(platform: Platform, clients: Clients) -> Sequence[BaseRoute]:
    """Return where clients register themselves; nothing where the settings do not let them. Raises SettingRefused."""
    chosen = platform.settings.client_registration
    if chosen.mode == RegistrationMode.OFF:
        return ()
    try:
        statements = SoftwareStatements(read_issuers(chosen.statement_issuers), platform.clock)
    except UnusableIssuer as error:
        raise SettingRefused(f"client_registration.statement_issuers: {error}") from None
    rules = RegistrationRules(RegistrationMode(chosen.mode), chosen.requires_pkce, chosen.attempts_per_network_and_hour)
    registration = DynamicRegistration(
        platform.database, clients, platform.transients, platform.fetcher, statements, rules, platform.clock, platform.random
    )
    return RegistrationEndpoint(registration, platform.settings.server.issuer).routes()


def build_administration(platform: Platform, clients: Clients) -> ClientAdministration:
    """Return what changes clients, for the API and for the commands."""
    return ClientAdministration(platform.database, clients, platform.audit_log, platform.clock, platform.random)


def build_admin_routes(
    platform: Platform, clients: Clients, values: BearerValues, grants: GrantReads, possession: Possession
) -> Sequence[BaseRoute]:
    """Return the admin API."""
    issuer = platform.settings.server.issuer
    access = AdminAccess(AccessTokens(values, grants), issuer, platform.clock)
    repeated = RepeatedRequests(platform.transients)
    return AdminEndpoint(build_administration(platform, clients), access, repeated, _make_prove(possession), issuer).routes()


def _make_prove(possession: Possession) -> Prove:
    async def prove(context: RequestContext, token: str) -> list[str]:
        proofs, proved = context.list_headers(b"dpop"), []
        if len(proofs) > 1:
            raise ProtocolError("invalid_dpop_proof", "There are several DPoP proofs.", redirectable=False)
        if proofs:
            context.response_headers.append((b"dpop-nonce", possession.make_nonce().encode()))
            proved.append(await possession.prove(proofs[0], context.method, context.path, Profile.STANDARD, token))
        try:
            told = context.certificate
            if told is not None:
                proved.append(confirm_certificate(read_certificate(told.der)))
        except (ValueError, UnusableCertificate):
            raise ProtocolError("invalid_token", "The certificate cannot be read.", redirectable=False) from None
        return proved

    return prove
