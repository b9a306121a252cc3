"""Decides what tokens are made of: what issues and reads them, the grants at /token, and the endpoints that take them back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from idp.composition import Platform
from idp.http.rendering import Pages
from idp.people.services.directory import People
from idp.platform.ledger import Ledger
from idp.protocol.endpoints.front_ticket import FrontTicketPage
from idp.protocol.endpoints.token import IntrospectionEndpoint, RevocationEndpoint, TokenEndpoint
from idp.protocol.endpoints.userinfo import UserInfoEndpoint
from idp.protocol.rules.client import GrantType, find_usable_statuses
from idp.protocol.services.access_tokens import AccessTokens
from idp.protocol.services.app_sessions import AppSessions
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.claims_release import ClaimsRelease
from idp.protocol.services.client_authentication import ClientAuthentication
from idp.protocol.services.client_credentials_grant import ClientCredentialsGrant
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.code_grant import CodeGrant
from idp.protocol.services.front_tickets import FrontTickets
from idp.protocol.services.grant_endings import GrantEndings
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.issuing import Issuing
from idp.protocol.services.jwt_access_tokens import JwtAccessTokens
from idp.protocol.services.lifetimes import Lifetimes
from idp.protocol.services.possession import Possession
from idp.protocol.services.protection import Protection
from idp.protocol.services.refresh_grant import RefreshGrant
from idp.protocol.services.refusals import Refusals
from idp.protocol.services.resources import Resources
from idp.protocol.services.revocation import Revocation
from idp.protocol.services.sector_subjects import SectorSubjects
from idp.protocol.services.token_exchange_grant import TokenExchangeGrant
from idp.protocol.services.tokens import GrantHandler, Tokens
from idp.protocol.stores.grants import GrantReads
from idp.protocol.stores.standing import StandingReads
from idp.sign_in.services.sessions import Sessions


@dataclass(frozen=True)
class Issuance:
    """What every way to a token shares: what makes it, what reads it, what ends it."""

    values: BearerValues
    subjects: SectorSubjects
    id_tokens: IdTokens
    protection: Protection
    lifetimes: Lifetimes
    grant_reads: GrantReads
    access_tokens: AccessTokens
    claims_release: ClaimsRelease
    issuing: Issuing
    endings: GrantEndings
    refusals: Refusals


def build_issuance(
    platform: Platform, ledger: Ledger, people: People, sessions: Sessions, id_tokens: IdTokens, protection: Protection
) -> Issuance:
    """Build what issues tokens, whoever asks for them and however."""
    settings, database, audit = platform.settings, platform.database, platform.audit_log
    lifetimes = Lifetimes(
        code=settings.protocol.code_seconds,
        access_token=settings.protocol.access_token_seconds,
        refresh_idle=settings.protocol.refresh_idle_seconds,
        offline=settings.protocol.offline_seconds,
        session_idle=settings.sign_in.session_idle_seconds,
    )
    values = BearerValues(platform.data_keys.bearer("bearer", platform.random))
    grant_reads = GrantReads(database, find_usable_statuses(settings.environment))
    refusals = Refusals(platform.transients, ledger, audit, settings.sign_in.flows_per_network_and_minute)
    subjects = SectorSubjects(database, platform.clock, platform.random)
    jwts = JwtAccessTokens(database, values, subjects, platform.ring, settings.server.issuer, platform.clock)
    claims_release = ClaimsRelease(database, ledger, audit, people, grant_reads)
    return Issuance(
        values=values,
        subjects=subjects,
        id_tokens=id_tokens,
        protection=protection,
        lifetimes=lifetimes,
        grant_reads=grant_reads,
        access_tokens=AccessTokens(values, grant_reads, jwts),
        claims_release=claims_release,
        issuing=Issuing(values, id_tokens, lifetimes, jwts, claims_release, protection),
        endings=GrantEndings(database, refusals, audit, sessions),
        refusals=refusals,
    )


@dataclass(frozen=True)
class TokenDoors:
    """What app.py joins: endpoints by path, the page that front tickets open, and what reads tokens for further endpoints."""

    endpoints: Mapping[str, ASGIApp]
    routes: Sequence[BaseRoute]
    resources: Resources


def build_token_doors(
    *,
    platform: Platform,
    pages: Pages,
    issuance: Issuance,
    ledger: Ledger,
    sessions: Sessions,
    people: People,
    directory: ClientDirectory,
    standings: StandingReads,
    authentication: ClientAuthentication,
    possession: Possession,
    further_grants: Mapping[GrantType, GrantHandler],
) -> TokenDoors:
    """Build where tokens are asked for, used, looked at and revoked."""
    settings, clock, random = platform.settings, platform.clock, platform.random
    database, audit, issuer = platform.database, platform.audit_log, settings.server.issuer
    values, issuing, endings, grant_reads = issuance.values, issuance.issuing, issuance.endings, issuance.grant_reads
    apps = AppSessions(database, sessions, audit, values, clock, timedelta(seconds=settings.protocol.offline_seconds))
    tickets = FrontTickets(database, platform.transients, values, grant_reads, directory, sessions, people, audit, issuer, clock, random)
    exchange = TokenExchangeGrant(
        database=database,
        ledger=ledger,
        audit=audit,
        grants=grant_reads,
        subjects=issuance.subjects,
        access_tokens=issuance.access_tokens,
        id_tokens=issuance.id_tokens,
        apps=apps,
        tickets=tickets,
        directory=directory,
        standings=standings,
        issuing=issuing,
        endings=endings,
        issuer=issuer,
        random=random,
    )
    grants: dict[GrantType, GrantHandler] = {
        GrantType.AUTHORIZATION_CODE: CodeGrant(ledger, audit, values, issuing, endings, issuance.lifetimes, apps),
        GrantType.REFRESH_TOKEN: RefreshGrant(database, ledger, audit, grant_reads, values, issuing, endings),
        GrantType.CLIENT_CREDENTIALS: ClientCredentialsGrant(ledger, audit, issuing, issuance.lifetimes, random, issuer),
        GrantType.TOKEN_EXCHANGE: exchange,
        **further_grants,
    }
    resources = Resources(
        database,
        directory,
        grant_reads,
        issuance.access_tokens,
        possession,
        issuance.claims_release,
        issuance.protection,
        issuance.subjects,
        platform.ring,
        issuer,
        clock,
    )
    revocation = Revocation(grant_reads, values, issuance.access_tokens, endings, clock)
    return TokenDoors(
        endpoints={
            "/token": TokenEndpoint(authentication, Tokens(grants, clock)),
            "/userinfo": UserInfoEndpoint(resources, platform.random),
            "/introspect": IntrospectionEndpoint(authentication, resources),
            "/revoke": RevocationEndpoint(authentication, revocation),
        },
        routes=FrontTicketPage(pages, tickets, from_near=settings.environment != "production").routes(),
        resources=resources,
    )
