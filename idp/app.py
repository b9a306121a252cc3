"""Decides what an installation is made of: everything that serves, built once, in one list, into one ASGI callable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from idp.administration import build_admin_routes, build_clients, build_registration
from idp.authenticators.rules.passkey import find_relying_party
from idp.authenticators.rules.sms_code import CodeLimits
from idp.authenticators.rules.sms_limits import SmsLimits
from idp.authenticators.rules.throttling import Limits as ThrottleLimits
from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passkeys import Passkeys
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.proofs_of_work import ProofsOfWork
from idp.authenticators.services.throttle import Throttle
from idp.client_access import build_client_access, make_listener
from idp.composition import Platform
from idp.enrolment import Enrolment, build_enrolment
from idp.http.cookies import CookieNames
from idp.http.exposition import Exposition
from idp.http.health import Health
from idp.http.hot import Dispatch
from idp.http.information import Information
from idp.http.messages import load_messages
from idp.http.middleware import Shell
from idp.http.problems import PREFIX as PROBLEM_PREFIX
from idp.http.rendering import Pages, Service
from idp.http.request_context import ContextRules
from idp.http.static import StaticFiles
from idp.logout import build_id_tokens, build_logout_notices
from idp.other_devices import build_other_devices
from idp.people.services.directory import People
from idp.platform.afterwards import Afterwards
from idp.platform.database import DatabaseUnavailable
from idp.platform.ledger import Ledger
from idp.platform.logging import get_logger
from idp.platform.metrics import Metrics
from idp.platform.password_hashing import PasswordHashing
from idp.protocol.endpoints.authorize import AuthorizeEndpoint, RespondPage
from idp.protocol.endpoints.check_session import CheckSessionFrame
from idp.protocol.endpoints.consent import ConsentPage
from idp.protocol.endpoints.discovery import SM2_JWKS_PATH, DiscoveryEndpoint, JwksEndpoint
from idp.protocol.endpoints.front_ticket import FrontTicketPage
from idp.protocol.endpoints.pushed_requests import PushedRequestEndpoint
from idp.protocol.endpoints.registration import PREFIX as REGISTRATION_PREFIX
from idp.protocol.endpoints.releases import ReleasesPage
from idp.protocol.endpoints.sign_out import SignOutPage
from idp.protocol.endpoints.token import IntrospectionEndpoint, RevocationEndpoint, TokenEndpoint
from idp.protocol.endpoints.userinfo import UserInfoEndpoint
from idp.protocol.rules.client import GrantType, find_usable_statuses
from idp.protocol.rules.metadata import ALIASED
from idp.protocol.services.access_tokens import AccessTokens
from idp.protocol.services.app_sessions import AppSessions
from idp.protocol.services.authorization import Authorization
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.claims_release import ClaimsRelease
from idp.protocol.services.client_credentials_grant import ClientCredentialsGrant
from idp.protocol.services.client_keys import ClientKeySets
from idp.protocol.services.clients import ClientDirectory, Clients
from idp.protocol.services.code_grant import CodeGrant
from idp.protocol.services.consent import Consent
from idp.protocol.services.continuation import KIND as AUTHORIZE
from idp.protocol.services.continuation import AuthorizeContinuation
from idp.protocol.services.decoupled_approval import KIND as DECOUPLED
from idp.protocol.services.front_tickets import FrontTickets
from idp.protocol.services.grant_endings import GrantEndings
from idp.protocol.services.issuing import Issuing
from idp.protocol.services.jwt_access_tokens import JwtAccessTokens
from idp.protocol.services.lifetimes import Lifetimes
from idp.protocol.services.logout_notices import LogoutNotices
from idp.protocol.services.protection import Protection
from idp.protocol.services.pushed_requests import PushedRequests
from idp.protocol.services.refresh_grant import RefreshGrant
from idp.protocol.services.releases import Releases
from idp.protocol.services.remote_sign_out import RemoteSignOut
from idp.protocol.services.request_objects import RequestObjects
from idp.protocol.services.request_origins import RequestOrigins
from idp.protocol.services.resources import Resources
from idp.protocol.services.responding import Responding
from idp.protocol.services.revocation import Revocation
from idp.protocol.services.sign_out import SignOut
from idp.protocol.services.standing_loss import StandingLoss
from idp.protocol.services.token_exchange_grant import TokenExchangeGrant
from idp.protocol.services.tokens import GrantHandler, Tokens
from idp.protocol.stores.grants import GrantReads
from idp.protocol.stores.standing import make_standing_reads
from idp.sign_in.pages.account import AccountPage
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.account_freeze import AccountFreezePage
from idp.sign_in.pages.account_passkeys import AccountPasskeysPage
from idp.sign_in.pages.account_password import AccountPasswordPage
from idp.sign_in.pages.account_sessions import AccountSessionsPage
from idp.sign_in.pages.confirm import ConfirmPage
from idp.sign_in.pages.dispatch import DispatchPage
from idp.sign_in.pages.portal import PortalPage
from idp.sign_in.pages.raising import RaisingPage
from idp.sign_in.pages.recovery import RecoveryPage
from idp.sign_in.pages.registration import RegistrationPages
from idp.sign_in.pages.registration_door import RegistrationDoor
from idp.sign_in.pages.sign_in import SignInPage
from idp.sign_in.services.account import Account
from idp.sign_in.services.account_freeze import AccountFreeze
from idp.sign_in.services.account_history import AccountHistory
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.account_passkeys import AccountPasskeys
from idp.sign_in.services.account_password import AccountPassword
from idp.sign_in.services.account_profile import AccountProfile
from idp.sign_in.services.account_sessions import AccountSessions
from idp.sign_in.services.arrival import Arrival
from idp.sign_in.services.confirming import Confirming
from idp.sign_in.services.dispatch import Continuation, Dispatcher
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.sessions import Limits as SessionLimits
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in import PORTAL
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.ways_in import build_ways_in
from idp.sources.observers import make_observer

LOG = "idp.http"
CLIENT_CHANGES = "clients"
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Services:
    """What commands and the demo use of a running installation besides its pages."""

    platform: Platform
    metrics: Metrics
    ledger: Ledger
    directory: ClientDirectory
    clients: Clients
    passwords: Passwords
    people: People
    sessions: Sessions
    codes: Codes
    enrolment: Enrolment
    afterwards: Afterwards
    logout_notices: LogoutNotices


def build_services(platform: Platform) -> Services:
    """Build what is shared by pages, endpoints and commands."""
    settings, clock, random = platform.settings, platform.clock, platform.random
    database, data_keys, audit = platform.database, platform.data_keys, platform.audit_log
    metrics = Metrics()
    ledger = Ledger(database, metrics.count_flush, metrics.count_refused_entry)
    platform.sources.add_observer(make_observer(metrics.count_question, metrics.count_breaker_opening, get_logger("idp.sources")))
    chosen = settings.sign_in
    hashing = PasswordHashing(chosen.hash_threads, chosen.hash_queue, random, metrics.count_refused_password)
    proofs = ProofsOfWork(platform.transients, data_keys.mac("codes"), clock, random, chosen.proof_bits)
    passwords = Passwords(database, hashing, proofs=proofs)
    limits = SessionLimits(
        idle=timedelta(seconds=settings.sign_in.session_idle_seconds), total=timedelta(seconds=settings.sign_in.session_total_seconds)
    )
    logout_notices = build_logout_notices(platform)
    sessions = Sessions(database, ledger, audit, data_keys.sealer("places"), clock, random, limits, logout_notices.add)
    lose_standing = StandingLoss(sessions, audit, clock).end_everything
    people = People(database, data_keys.sealer("people"), data_keys.index("index"), passwords, audit, clock, random, lose_standing)
    codes = _build_codes(platform)
    return Services(
        platform=platform,
        metrics=metrics,
        ledger=ledger,
        directory=ClientDirectory(database, clock),
        clients=build_clients(platform),
        passwords=passwords,
        people=people,
        sessions=sessions,
        codes=codes,
        enrolment=build_enrolment(platform, people, passwords, codes),
        afterwards=Afterwards(),
        logout_notices=logout_notices,
    )


def _build_codes(platform: Platform) -> Codes:
    chosen = platform.settings.sign_in
    code_limits = CodeLimits(timedelta(seconds=chosen.code_seconds), chosen.code_tries)
    sms_limits = SmsLimits(
        phone_gap=timedelta(seconds=chosen.sms_gap_seconds),
        phone_hour=chosen.sms_per_phone_and_hour,
        phone_day=chosen.sms_per_phone_and_day,
        address_hour=chosen.sms_per_address_and_hour,
        network_hour=chosen.sms_per_network_and_hour,
        device_day=chosen.sms_per_device_and_day,
        budget_minute=chosen.sms_per_minute,
        resends=chosen.resends,
        resend_lock=timedelta(seconds=chosen.resend_lock_seconds),
    )
    data_keys = platform.data_keys
    return Codes(
        platform.database,
        platform.transients,
        platform.outbox,
        platform.audit_log,
        data_keys.mac("codes"),
        data_keys.index("index"),
        platform.clock,
        platform.random,
        code_limits,
        sms_limits,
    )


def build_app(
    services: Services,
    further_routes: Sequence[BaseRoute] = (),
    shared_metrics: Path | None = None,
    machine_prefixes: Sequence[str] = (),
) -> ASGIApp:
    """Return the whole provider as one ASGI callable: hot endpoints by one look-up, pages behind it, one shell around both.

    ``shared_metrics`` is the folder in which several workers keep their measurements; under ``machine_prefixes`` errors are JSON.
    """
    platform = services.platform
    settings, clock, random = platform.settings, platform.clock, platform.random
    database, data_keys, audit, ledger = platform.database, platform.data_keys, platform.audit_log, services.ledger
    issuer = settings.server.issuer
    static = StaticFiles()
    pages = Pages(load_messages(), Service(settings.server.service_name, settings.server.service_name_en, settings.server.hotline), static)
    lifetimes = Lifetimes(
        code=settings.protocol.code_seconds,
        access_token=settings.protocol.access_token_seconds,
        refresh_idle=settings.protocol.refresh_idle_seconds,
        offline=settings.protocol.offline_seconds,
        session_idle=settings.sign_in.session_idle_seconds,
    )

    # sign-in
    life = timedelta(seconds=settings.protocol.interaction_seconds)
    interactions = Interactions(platform.transients, clock, random, life, settings.sign_in.flows_per_network_and_minute)
    index = data_keys.index("index")
    throttle_limits = ThrottleLimits(
        before_delay=settings.sign_in.failures_before_delay,
        before_lock=settings.sign_in.failures_before_lock,
        window=timedelta(seconds=settings.sign_in.lock_seconds),
        lock=timedelta(seconds=settings.sign_in.lock_seconds),
        per_origin=settings.sign_in.failures_per_network,
    )
    throttle = Throttle(database, platform.transients, index, clock, throttle_limits)
    passkeys = Passkeys(
        database,
        platform.transients,
        data_keys.mac("codes"),
        data_keys.sealer("people"),
        clock,
        random,
        find_relying_party(issuer),
        settings.server.service_name,
    )
    links = SessionLinks(platform.transients, timedelta(seconds=settings.sign_in.session_total_seconds))
    ways_in = build_ways_in(
        database=database,
        interactions=interactions,
        sessions=services.sessions,
        people=services.people,
        passwords=services.passwords,
        passkeys=passkeys,
        links=links,
        throttle=throttle,
        codes=services.codes,
        proofing=services.enrolment.proofing,
        transients=platform.transients,
        outbox=platform.outbox,
        end_grants=RemoteSignOut(audit, clock).end_grants,
        afterwards=services.afterwards,
        audit=audit,
        clock=clock,
        random=random,
    )
    portal = Portal(interactions, services.sessions, services.people, clock)
    arrival = Arrival(database, interactions, services.sessions, services.people, SignInRecords(database, audit), clock, random)

    # protocol
    values = BearerValues(data_keys.bearer("bearer", random))
    id_tokens = build_id_tokens(platform)
    usable = find_usable_statuses(settings.environment)
    grant_reads = GrantReads(database, usable)
    standings = make_standing_reads(database)
    client_keys = ClientKeySets(platform.fetcher, clock)
    protection = Protection(platform.ring, client_keys, issuer, clock)
    objects = RequestObjects(client_keys, platform.fetcher, issuer, clock)
    pushed = PushedRequests(platform.transients, objects, usable, random, settings.sign_in.flows_per_network_and_minute)
    responding = Responding(protection, platform.transients, services.directory, issuer, random)
    authorization = Authorization(
        database,
        ledger,
        audit,
        services.directory,
        standings,
        links,
        values,
        id_tokens,
        RequestOrigins(pushed, objects),
        responding,
        usable,
        lifetimes,
        clock,
        random,
        tells_session_state=settings.protocol.session_management,
    )
    client_access = build_client_access(platform, services.directory, services.clients, client_keys, usable, ledger)
    authentication = client_access.authentication
    jwts = JwtAccessTokens(database, values, platform.ring, issuer, clock)
    access_tokens = AccessTokens(values, grant_reads, jwts)
    claims_release = ClaimsRelease(database, ledger, audit, services.people, grant_reads)
    issuing = Issuing(values, id_tokens, lifetimes, jwts, claims_release, protection)
    apps = AppSessions(database, services.sessions, audit, values, clock, timedelta(seconds=settings.protocol.offline_seconds))
    endings = GrantEndings(database, ledger, audit)
    grants: dict[GrantType, GrantHandler] = {
        GrantType.AUTHORIZATION_CODE: CodeGrant(ledger, audit, values, issuing, endings, lifetimes, apps),
        GrantType.REFRESH_TOKEN: RefreshGrant(database, ledger, audit, grant_reads, values, issuing, endings),
        GrantType.CLIENT_CREDENTIALS: ClientCredentialsGrant(ledger, audit, issuing, lifetimes, random, issuer),
    }
    door = AccountDoor(pages, Account(services.sessions, services.people, data_keys.mac("codes")), interactions, portal)
    other_devices = build_other_devices(
        platform=platform,
        pages=pages,
        door=door,
        interactions=interactions,
        sessions=services.sessions,
        people=services.people,
        directory=services.directory,
        objects=objects,
        standings=standings,
        authentication=authentication,
        id_tokens=id_tokens,
        issuing=issuing,
        endings=endings,
        ledger=ledger,
        afterwards=services.afterwards,
    )
    tickets = FrontTickets(
        database,
        platform.transients,
        values,
        grant_reads,
        services.directory,
        services.sessions,
        services.people,
        audit,
        issuer,
        clock,
        random,
    )
    grants[GrantType.TOKEN_EXCHANGE] = TokenExchangeGrant(
        database=database,
        ledger=ledger,
        audit=audit,
        access_tokens=access_tokens,
        id_tokens=id_tokens,
        apps=apps,
        tickets=tickets,
        directory=services.directory,
        standings=standings,
        issuing=issuing,
        endings=endings,
        issuer=issuer,
        random=random,
    )
    tokens = Tokens({**grants, **other_devices.grants}, clock)
    resources = Resources(
        database,
        services.directory,
        grant_reads,
        access_tokens,
        client_access.possession,
        claims_release,
        protection,
        platform.ring,
        issuer,
        clock,
    )
    continuations: dict[str, Continuation] = {
        AUTHORIZE: AuthorizeContinuation(authorization),
        PORTAL: portal,
        DECOUPLED: other_devices.approval,
    }
    dispatcher = Dispatcher(interactions, services.sessions, services.people, continuations)
    registration = build_registration(platform, services.clients)
    discovery = DiscoveryEndpoint(
        issuer,
        platform.ring,
        registration=bool(registration),
        mtls_origin=settings.mtls.origin,
        session_management=settings.protocol.session_management,
    )

    hot: dict[str, ASGIApp] = {
        "/authorize": AuthorizeEndpoint(authorization, pushed, interactions, pages, clock, random),
        "/par": PushedRequestEndpoint(authentication, pushed),
        "/token": TokenEndpoint(authentication, tokens),
        "/userinfo": UserInfoEndpoint(resources),
        "/introspect": IntrospectionEndpoint(authentication, resources),
        "/revoke": RevocationEndpoint(authentication, Revocation(grant_reads, values, access_tokens, endings, clock)),
        "/jwks.json": JwksEndpoint(platform.ring),
        "/.well-known/openid-configuration": discovery,
        "/.well-known/oauth-authorization-server": discovery,
        **other_devices.endpoints,
    }
    if platform.ring.sm2_algorithms:
        hot[SM2_JWKS_PATH] = JwksEndpoint(platform.ring, sm2=True)
    health = Health(database, platform.transients)
    information = Information(pages)
    exposition = Exposition(services.metrics, settings.server.metrics_token, shared_metrics)
    sign_out = SignOut(database, services.directory, id_tokens, services.sessions, services.logout_notices)
    routes: list[BaseRoute] = [
        *PortalPage(pages, interactions, portal).routes(),
        *SignInPage(pages, interactions, ways_in.sign_in).routes(),
        *RecoveryPage(pages, interactions, portal, ways_in, clock).routes(),
        *DispatchPage(pages, dispatcher).routes(),
        *ConfirmPage(pages, interactions, Confirming(interactions, services.sessions, services.people, links)).routes(),
        *_build_registration_routes(services, pages, interactions, portal, arrival),
        *RespondPage(responding, pages).routes(),
        *ConsentPage(pages, interactions, services.sessions, Consent(database, authorization, audit, clock)).routes(),
        *SignOutPage(pages, interactions, sign_out, random).routes(),
        *(CheckSessionFrame(static).routes() if settings.protocol.session_management else ()),
        *_build_account_routes(services, pages, interactions, portal, throttle, passkeys),
        *other_devices.routes,
        *FrontTicketPage(pages, tickets).routes(),
        Route("/help", information.show_help, methods=["GET"]),
        Route("/accessibility", information.show_accessibility, methods=["GET"]),
        Route("/privacy", information.show_privacy, methods=["GET"]),
        Route("/error", information.show_error, methods=["GET"]),
        Route("/metrics", exposition.show, methods=["GET"]),
        Route("/healthz", health.show_live, methods=["GET"]),
        Route("/readyz", health.show_ready, methods=["GET"]),
        Route("/static/{digest}/{name}", static.serve, methods=["GET"]),
        Route("/favicon.ico", static.serve_favicon, methods=["GET"]),
        *registration,
        *build_admin_routes(platform, services.clients, resources),
        *further_routes,
    ]
    return Shell(
        # A redirect would carry a posted password to an address made of what the request says about itself.
        Dispatch(hot, Router(routes=routes, redirect_slashes=False)),
        issuer=issuer,
        pages=pages,
        rules=ContextRules(
            CookieNames(issuer, settings.cookie_suffix, shows_state=settings.protocol.session_management),
            settings.server.trusted_proxy_hops,
            make_listener(settings.mtls, ALIASED),
        ),
        random=random,
        log=get_logger(LOG),
        body_limit=settings.server.body_limit,
        routes=[*hot, *(route.path for route in routes if isinstance(route, Route) and "{" not in route.path)],
        machine_prefixes=(REGISTRATION_PREFIX, PROBLEM_PREFIX, *machine_prefixes),
        observe=services.metrics.count_request,
    )


def _build_registration_routes(
    services: Services, pages: Pages, interactions: Interactions, portal: Portal, arrival: Arrival
) -> Sequence[BaseRoute]:
    """Return the pages on which people open an account, and those on which they prove more."""
    registration, proofing = services.enrolment.registration, services.enrolment.proofing
    serves, plan = proofing.serves, proofing.plan
    door = RegistrationDoor(pages, interactions, registration, arrival, portal)
    return [
        *RegistrationPages(pages, door, registration, arrival, serves, plan, services.platform.clock).routes(),
        *RaisingPage(pages, interactions, services.sessions, portal, services.enrolment.raising, serves, plan).routes(),
    ]


def _build_account_routes(
    services: Services, pages: Pages, interactions: Interactions, portal: Portal, throttle: Throttle, passkeys: Passkeys
) -> Sequence[BaseRoute]:
    """Return the pages on which people look after themselves."""
    platform, sessions, people = services.platform, services.sessions, services.people
    database, data_keys, audit, clock = platform.database, platform.data_keys, platform.audit_log, platform.clock
    idle = timedelta(seconds=platform.settings.sign_in.session_idle_seconds)
    places, end_grants = data_keys.sealer("places"), RemoteSignOut(audit, clock).end_grants
    account = Account(sessions, people, data_keys.mac("codes"))
    door = AccountDoor(pages, account, interactions, portal)
    history = AccountHistory(database, places, clock)
    releases = Releases(database, services.directory, history, audit, clock)
    profile = AccountProfile(database, people, data_keys.sealer("people"))
    own_sessions = AccountSessions(database, account, sessions, audit, places, clock, idle, end_grants)
    notices = AccountNotices(platform.outbox, clock)
    password = AccountPassword(database, account, own_sessions, notices, sessions, people, services.passwords, throttle, audit, clock)
    freeze = AccountFreeze(database, account, people, notices, audit)
    own_passkeys = AccountPasskeys(database, account, own_sessions, notices, people, passkeys, audit, clock)
    return [
        *AccountPage(pages, door, account, profile, history, releases.name_client).routes(),
        *AccountSessionsPage(pages, door, own_sessions, releases.name_client).routes(),
        *AccountPasswordPage(pages, door, password).routes(),
        *AccountPasskeysPage(pages, door, own_passkeys).routes(),
        *AccountFreezePage(pages, door, freeze, own_sessions).routes(),
        *ReleasesPage(pages, door, releases).routes(),
    ]


@asynccontextmanager
async def follow_changes(services: Services) -> AsyncIterator[None]:
    """Keep signing keys and clients as the database says, while the block runs; at its end everything entered is written."""
    # Since when one-time things are remembered is said now: nobody's first proof is older than the first question about it. A store that
    # is away at this moment says it when it is back.
    with contextlib.suppress(DatabaseUnavailable):
        await services.platform.transients.born_at()
    stop = asyncio.Event()
    followers = [
        asyncio.create_task(_keep(services.platform.ring.follow, stop)),
        asyncio.create_task(_keep(services.platform.current_data_keys.follow, stop)),
        asyncio.create_task(_keep(lambda ended: _follow_clients(services, ended), stop)),
    ]
    try:
        yield
    finally:
        stop.set()
        for task in followers:
            task.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        await services.afterwards.settle()
        await services.ledger.drain()


async def _keep(follow: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
    """Follow again a second later after the database went away, or what it says could not be believed."""
    while not stop.is_set():
        try:
            await follow(stop)
        except DatabaseUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
        except Exception as error:  # a key's row that was tampered with, a device that does not answer: the next change must still be heard
            get_logger(LOG).error("changes not followed", what=type(error).__name__, about=str(error))
            await asyncio.sleep(RETRY_SECONDS)


async def _follow_clients(services: Services, stop: asyncio.Event) -> None:
    lost = asyncio.Event()
    # Changes may have been missed while nobody listened.
    services.directory.forget_all()
    async with services.platform.database.listen(
        [CLIENT_CHANGES], lambda _connection, _pid, _channel, client_id: services.directory.forget(client_id)
    ) as connection:
        connection.add_termination_listener(lambda _: lost.set())
        await lost.wait()
    raise DatabaseUnavailable("the clients lost their database")
