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
from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.proofs_of_work import ProofsOfWork
from idp.client_access import build_client_access, make_listener
from idp.composition import Platform
from idp.enrolment import Enrolment, build_enrolment
from idp.http.cookies import CookieNames
from idp.http.cross_origin import open_to_scripts
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
from idp.journeys import build_codes, build_journeys
from idp.logout import build_id_tokens, build_logout_notices
from idp.other_devices import build_other_devices
from idp.own_account import build_own_account
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
from idp.protocol.endpoints.pushed_requests import PushedRequestEndpoint
from idp.protocol.endpoints.registration import PREFIX as REGISTRATION_PREFIX
from idp.protocol.endpoints.sign_out import SignOutPage
from idp.protocol.rules.client import find_usable_statuses
from idp.protocol.rules.metadata import ALIASED
from idp.protocol.services.authorization import Authorization
from idp.protocol.services.client_keys import ClientKeySets
from idp.protocol.services.clients import ClientDirectory, Clients
from idp.protocol.services.consent import Consent
from idp.protocol.services.continuation import KIND as AUTHORIZE
from idp.protocol.services.continuation import AuthorizeContinuation
from idp.protocol.services.decoupled_approval import KIND as DECOUPLED
from idp.protocol.services.logout_notices import LogoutNotices
from idp.protocol.services.parked_requests import ParkedRequests
from idp.protocol.services.protection import Protection
from idp.protocol.services.pushed_requests import PushedRequests
from idp.protocol.services.remote_sign_out import RemoteSignOut
from idp.protocol.services.request_objects import RequestObjects
from idp.protocol.services.request_origins import RequestOrigins
from idp.protocol.services.responding import Responding
from idp.protocol.services.sign_out import SignOut
from idp.protocol.services.standing_loss import StandingLoss
from idp.protocol.stores.standing import make_standing_reads
from idp.sign_in.pages.dispatch import DispatchPage
from idp.sign_in.services.dispatch import Continuation, Dispatcher
from idp.sign_in.services.sessions import Limits as SessionLimits
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in import PORTAL
from idp.sources.observers import make_observer
from idp.tokens import build_issuance, build_token_doors

LOG = "idp.http"
CLIENT_CHANGES = "clients"
RETRY_SECONDS = 1.0

DOCUMENTS = frozenset({"/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"})
ASKED_BY_SCRIPTS = frozenset({"/token", "/userinfo", "/revoke", "/par"})
"""What a public client that lives in a browser asks from its own origin."""


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
    codes = build_codes(platform)
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
    database, audit, ledger = platform.database, platform.audit_log, services.ledger
    issuer = settings.server.issuer
    static = StaticFiles()
    pages = Pages(load_messages(), Service(settings.server.service_name, settings.server.service_name_en, settings.server.hotline), static)

    end_grants = RemoteSignOut(audit, clock).end_grants
    journeys = build_journeys(
        platform=platform,
        pages=pages,
        sessions=services.sessions,
        people=services.people,
        passwords=services.passwords,
        codes=services.codes,
        proofing=services.enrolment.proofing,
        registration=services.enrolment.registration,
        raising=services.enrolment.raising,
        end_grants=end_grants,
        afterwards=services.afterwards,
    )
    interactions, portal = journeys.interactions, journeys.portal
    account = build_own_account(
        platform=platform,
        pages=pages,
        interactions=interactions,
        portal=portal,
        sessions=services.sessions,
        people=services.people,
        passwords=services.passwords,
        passkeys=journeys.passkeys,
        throttle=journeys.throttle,
        codes=services.codes,
        directory=services.directory,
        end_grants=end_grants,
    )

    usable = find_usable_statuses(settings.environment)
    standings = make_standing_reads(database)
    client_keys = ClientKeySets(platform.fetcher, clock)
    protection = Protection(platform.ring, client_keys, issuer, clock)
    issuance = build_issuance(platform, ledger, services.people, services.sessions, build_id_tokens(platform), protection)
    objects = RequestObjects(client_keys, platform.fetcher, issuer, clock)
    pushed = PushedRequests(platform.transients, objects, usable, random, settings.sign_in.flows_per_network_and_minute)
    parked = ParkedRequests(platform.transients, services.directory, clock, random, settings.sign_in.flows_per_network_and_minute)
    responding = Responding(protection, platform.transients, services.directory, issuer, random)
    authorization = Authorization(
        database,
        ledger,
        audit,
        services.directory,
        standings,
        journeys.links,
        issuance.values,
        issuance.id_tokens,
        RequestOrigins(pushed, objects),
        responding,
        issuance.refusals,
        usable,
        issuance.lifetimes,
        clock,
        random,
        tells_session_state=settings.protocol.session_management,
    )
    client_access = build_client_access(platform, services.directory, services.clients, client_keys, usable, issuance.refusals)
    other_devices = build_other_devices(
        platform=platform,
        pages=pages,
        door=account.door,
        interactions=interactions,
        sessions=services.sessions,
        people=services.people,
        directory=services.directory,
        objects=objects,
        standings=standings,
        links=journeys.links,
        authentication=client_access.authentication,
        id_tokens=issuance.id_tokens,
        issuing=issuance.issuing,
        endings=issuance.endings,
        ledger=ledger,
        afterwards=services.afterwards,
    )
    tokens = build_token_doors(
        platform=platform,
        pages=pages,
        issuance=issuance,
        ledger=ledger,
        sessions=services.sessions,
        people=services.people,
        directory=services.directory,
        standings=standings,
        authentication=client_access.authentication,
        possession=client_access.possession,
        further_grants=other_devices.grants,
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
        "/authorize": AuthorizeEndpoint(authorization, pushed, parked, interactions, pages),
        "/par": PushedRequestEndpoint(client_access.authentication, pushed),
        **tokens.endpoints,
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
    sign_out = SignOut(database, services.directory, issuance.id_tokens, services.sessions, services.logout_notices)
    routes: list[BaseRoute] = [
        *journeys.routes,
        *DispatchPage(pages, dispatcher).routes(),
        *RespondPage(responding, pages).routes(),
        *ConsentPage(pages, interactions, services.sessions, Consent(database, services.people, authorization, audit, clock)).routes(),
        *SignOutPage(pages, interactions, sign_out, parked).routes(),
        *(CheckSessionFrame(static).routes() if settings.protocol.session_management else ()),
        *account.routes,
        *other_devices.routes,
        *tokens.routes,
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
        *build_admin_routes(platform, services.clients, tokens.resources),
        *further_routes,
    ]
    return Shell(
        # A redirect would carry a posted password to an address made of what the request says about itself.
        Dispatch(open_to_scripts(hot, ASKED_BY_SCRIPTS, DOCUMENTS), Router(routes=routes, redirect_slashes=False)),
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
