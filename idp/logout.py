"""Decides what telling departments of sign-outs is made of: written down by whoever serves, delivered by the worker."""

from datetime import timedelta

from idp.composition import Platform
from idp.protocol.services.client_keys import ClientKeySets
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.logout_delivery import LogoutDelivery
from idp.protocol.services.logout_notices import LogoutNotices
from idp.protocol.services.protection import Protection


def build_id_tokens(platform: Platform) -> IdTokens:
    """Build what makes ID Tokens and ``sid``: every process must make the same ones."""
    settings = platform.settings
    return IdTokens(settings.server.issuer, platform.ring, platform.data_keys.mac("sids"), settings.protocol.id_token_seconds)


def build_logout_notices(platform: Platform) -> LogoutNotices:
    """Build what writes down whom a sign-out is told."""
    settings = platform.settings
    retry_for = timedelta(seconds=settings.protocol.logout_retry_seconds)
    return LogoutNotices(
        platform.database,
        platform.outbox,
        platform.audit_log,
        build_id_tokens(platform),
        settings.server.issuer,
        platform.clock,
        retry_for,
    )


def build_logout_delivery(platform: Platform) -> LogoutDelivery:
    """Build what tells them."""
    issuer, clock = platform.settings.server.issuer, platform.clock
    return LogoutDelivery(
        platform.database,
        ClientDirectory(platform.database, clock),
        platform.ring,
        build_id_tokens(platform),
        Protection(platform.ring, ClientKeySets(platform.fetcher, clock), issuer, clock),
        platform.fetcher,
        platform.audit_log,
        issuer,
        clock,
        platform.random,
    )
