"""Decides what the ways in are made of: the services of one sign-in, joined once."""

from dataclasses import dataclass

from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passkeys import Passkeys
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.throttle import Throttle
from idp.kernel.clock import Clock, Random
from idp.people.services.directory import People
from idp.people.services.phone_match import PhoneMatches
from idp.people.services.proofing import Proofing
from idp.people.services.recovery import PersonRecovery
from idp.platform.afterwards import Afterwards
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.outbox import Outbox
from idp.platform.transients import Transients
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.account_sessions import EndGrants
from idp.sign_in.services.attempts import Attempts
from idp.sign_in.services.first_codes import FirstCodes
from idp.sign_in.services.flow_states import FlowStates
from idp.sign_in.services.forced_change import ForcedChange
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.passkey_steps import PasskeySteps
from idp.sign_in.services.recovery import RecoveryEnd
from idp.sign_in.services.recovery_codes import RecoveryCodes
from idp.sign_in.services.recovery_states import Recoveries
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.session_opening import SessionOpening
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in import SignIn
from idp.sign_in.services.sign_in_records import SignInRecords


@dataclass(frozen=True)
class WaysIn:
    """What the pages of signing in use."""

    sign_in: SignIn
    recoveries: Recoveries
    recovery_codes: RecoveryCodes
    recovery_end: RecoveryEnd


def build_ways_in(
    *,
    database: Database,
    interactions: Interactions,
    sessions: Sessions,
    people: People,
    passwords: Passwords,
    passkeys: Passkeys,
    links: SessionLinks,
    throttle: Throttle,
    codes: Codes,
    proofing: Proofing,
    transients: Transients,
    outbox: Outbox,
    end_grants: EndGrants,
    afterwards: Afterwards,
    audit: AuditLog,
    clock: Clock,
    random: Random,
) -> WaysIn:
    """Build the services. ``end_grants`` ends what departments were granted; ``afterwards`` does what no answer waits for."""
    records = SignInRecords(database, audit)
    attempts = Attempts(database, throttle, records, clock)
    phone_matches = PhoneMatches(database, people, proofing, audit, clock, random)
    states = FlowStates(sessions, people, phone_matches, records, clock)
    opening = SessionOpening(database, interactions, sessions, people, attempts, records, passkeys, links, clock, random)
    notices = AccountNotices(outbox, clock)
    recoveries = Recoveries(transients, clock)
    person_recovery = PersonRecovery(database, people, passwords, proofing, audit, clock)
    return WaysIn(
        sign_in=SignIn(
            interactions,
            sessions,
            people,
            passwords,
            codes,
            attempts,
            states,
            opening,
            FirstCodes(interactions, people, codes, phone_matches, attempts, afterwards, clock),
            ForcedChange(database, interactions, sessions, people, passwords, notices, records, end_grants, clock),
            PasskeySteps(passkeys, people, records),
            records,
            clock,
        ),
        recoveries=recoveries,
        recovery_codes=RecoveryCodes(
            database, recoveries, people, person_recovery, codes, phone_matches, attempts, afterwards, clock, random
        ),
        recovery_end=RecoveryEnd(
            database, interactions, recoveries, sessions, opening, people, person_recovery, phone_matches, notices, records, clock
        ),
    )
