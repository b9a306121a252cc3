"""Decides what clients are registered and administered by: their own registration, as far as the settings let them, and the admin API."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from idp.composition import Platform, SettingRefused
from idp.protocol.endpoints.admin_clients import AdminEndpoint
from idp.protocol.endpoints.registration import RegistrationEndpoint
from idp.protocol.rules.dynamic_registration import RegistrationMode
from idp.protocol.rules.metadata import REGISTRATION_PATH
from idp.protocol.services.admin_access import AdminAccess
from idp.protocol.services.client_administration import ClientAdministration
from idp.protocol.services.clients import Clients
from idp.protocol.services.dynamic_registration import DynamicRegistration, RegistrationRules
from idp.protocol.services.repeated_requests import RepeatedRequests
from idp.protocol.services.resources import Resources
from idp.protocol.services.software_statements import SoftwareStatements, UnusableIssuer, read_issuers


def build_clients(platform: Platform) -> Clients:
    """Return what registers and changes clients."""
    secrets, sealer = platform.data_keys.mac("client_secrets"), platform.data_keys.sealer("client_secrets")
    signs_by = platform.settings.keys.algorithms
    issuer, certificates = platform.settings.server.issuer, bool(platform.settings.mtls.origin)
    return Clients(secrets, sealer, platform.audit_log, platform.clock, platform.random, issuer, signs_by, takes_certificates=certificates)


def build_registration(platform: Platform, clients: Clients) -> Sequence[BaseRoute]:
    """Return where clients register themselves; nothing where the settings do not let them. Raises SettingRefused."""
    chosen = platform.settings.client_registration
    if chosen.mode == "off":
        return ()
    try:
        issuer = platform.settings.server.issuer
        audiences = (issuer, issuer + REGISTRATION_PATH)
        statements = SoftwareStatements(read_issuers(chosen.statement_issuers), audiences, platform.clock)
    except UnusableIssuer as error:
        raise SettingRefused(f"client_registration.statement_issuers: {error}") from None
    rules = RegistrationRules(
        RegistrationMode(chosen.mode),
        chosen.requires_pkce,
        chosen.attempts_per_network_and_hour,
        accepts_endpoint_audience=chosen.accepts_endpoint_audience,
        trial_claims=tuple(chosen.trial_claims),
    )
    registration = DynamicRegistration(
        platform.database, clients, platform.transients, platform.fetcher, statements, rules, platform.clock, platform.random
    )
    return RegistrationEndpoint(registration, platform.settings.server.issuer).routes()


def build_administration(platform: Platform, clients: Clients) -> ClientAdministration:
    """Return what changes clients, for the API and for the commands."""
    return ClientAdministration(platform.database, clients, platform.audit_log, platform.clock, platform.random)


def build_admin_routes(platform: Platform, clients: Clients, resources: Resources) -> Sequence[BaseRoute]:
    """Return the admin API."""
    issuer = platform.settings.server.issuer
    repeated = RepeatedRequests(platform.transients)
    return AdminEndpoint(build_administration(platform, clients), AdminAccess(resources, issuer), repeated, issuer).routes()
