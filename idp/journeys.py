"""Decides what the journeys of people are made of: signing in, recovering, confirming, registering and proving more, with their pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.routing import BaseRoute

from idp.authenticators.rules.passkey import find_relying_party
from idp.authenticators.rules.sms_code import CodeLimits
from idp.authenticators.rules.sms_limits import SmsLimits
from idp.authenticators.rules.throttling import Limits as ThrottleLimits
from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passkeys import Passkeys
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.throttle import Throttle
from idp.composition import Platform
from idp.http.rendering import Pages
from idp.people.services.directory import People
from idp.people.services.proofing import Proofing
from idp.people.services.raising import Raising
from idp.people.services.registration import Registration
from idp.platform.afterwards import Afterwards
from idp.settings import SignInSettings
from idp.sign_in.pages.confirm import ConfirmPage
from idp.sign_in.pages.portal import PortalPage
from idp.sign_in.pages.raising import RaisingPage
from idp.sign_in.pages.recovery import RecoveryPage
from idp.sign_in.pages.registration import RegistrationPages
from idp.sign_in.pages.registration_door import RegistrationDoor
from idp.sign_in.pages.sign_in import SignInPage
from idp.sign_in.services.account_sessions import EndGrants
from idp.sign_in.services.arrival import Arrival
from idp.sign_in.services.confirming import Confirming
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.ways_in import build_ways_in


@dataclass(frozen=True)
class Journeys:
    """What app.py joins: the pages, and what other parts need of the way in."""

    interactions: Interactions
    links: SessionLinks
    passkeys: Passkeys
    portal: Portal
    throttle: Throttle
    routes: Sequence[BaseRoute]


def build_codes(platform: Platform) -> Codes:
    """Return what sends and checks codes by SMS, for pages and for registration."""
    chosen = platform.settings.sign_in
    code_limits = CodeLimits(timedelta(seconds=chosen.code_seconds), chosen.code_tries, platform.settings.sms.fixed_code)
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


def build_journeys(
    *,
    platform: Platform,
    pages: Pages,
    sessions: Sessions,
    people: People,
    passwords: Passwords,
    codes: Codes,
    proofing: Proofing,
    registration: Registration,
    raising: Raising,
    end_grants: EndGrants,
    afterwards: Afterwards,
) -> Journeys:
    """Build everything between somebody's arrival and an open session. ``end_grants`` ends what departments were granted."""
    settings, clock, random = platform.settings, platform.clock, platform.random
    database, transients, data_keys, audit = platform.database, platform.transients, platform.data_keys, platform.audit_log
    life = timedelta(seconds=settings.protocol.interaction_seconds)
    interactions = Interactions(transients, clock, random, life, settings.sign_in.flows_per_network_and_minute)
    throttle = Throttle(database, transients, data_keys.index("index"), clock, _read_limits(settings.sign_in))
    relying_party = find_relying_party(settings.server.issuer)
    mac, sealer = data_keys.mac("codes"), data_keys.sealer("people")
    passkeys = Passkeys(database, transients, mac, sealer, clock, random, relying_party, settings.server.service_name)
    links = SessionLinks(transients, timedelta(seconds=settings.sign_in.session_total_seconds))
    ways_in = build_ways_in(
        database=database,
        interactions=interactions,
        sessions=sessions,
        people=people,
        passwords=passwords,
        passkeys=passkeys,
        links=links,
        throttle=throttle,
        codes=codes,
        proofing=proofing,
        transients=transients,
        outbox=platform.outbox,
        end_grants=end_grants,
        afterwards=afterwards,
        audit=audit,
        clock=clock,
        random=random,
    )
    portal = Portal(interactions, sessions, people, clock)
    arrival = Arrival(database, interactions, sessions, people, SignInRecords(database, audit), clock, random)
    door = RegistrationDoor(pages, interactions, registration, arrival, portal)
    serves, plan = proofing.serves, proofing.plan
    routes: list[BaseRoute] = [
        *PortalPage(pages, interactions, portal).routes(),
        *SignInPage(pages, interactions, ways_in.sign_in).routes(),
        *RecoveryPage(pages, interactions, portal, ways_in, clock).routes(),
        *ConfirmPage(pages, interactions, Confirming(interactions, sessions, people, links)).routes(),
        *RegistrationPages(pages, door, registration, arrival, serves, plan, clock).routes(),
        *RaisingPage(pages, interactions, sessions, portal, raising, serves, plan).routes(),
    ]
    return Journeys(interactions, links, passkeys, portal, throttle, routes)


def _read_limits(chosen: SignInSettings) -> ThrottleLimits:
    return ThrottleLimits(
        before_delay=chosen.failures_before_delay,
        before_lock=chosen.failures_before_lock,
        window=timedelta(seconds=chosen.lock_seconds),
        lock=timedelta(seconds=chosen.lock_seconds),
        per_origin=chosen.failures_per_network,
    )
