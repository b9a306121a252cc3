"""Decides an authorization request: grant at once, or which step is missing (OpenID Connect Core §3.1.2.3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never
from uuid import UUID

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import ACR_ORDER, Acr, Proved, list_counted, meets
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.client import Basis, Client, Entitlement
from idp.protocol.rules.consents import Consents, covers, with_verification
from idp.protocol.rules.demand import Demand, Person, find_attainable, find_demand, find_level, find_raised, name_reached

UNMET = ProtocolError("unmet_authentication_requirements", "The person cannot reach the level this client needs.")
BARRED = ProtocolError("access_denied", "The person may not sign in to this client.")


JUST_HERE = timedelta(minutes=5)
"""Whoever proved every factor so recently is not asked again while the flow goes on: signing in takes time, too."""


class Standing(NamedTuple):
    """Who is here: what the live session proved, and what the database says of its person and consents at this moment.

    ``barred``: the person may not sign in at this client. ``own`` are the factors proved in flows of this client, ``confirmed``: the person
    said in one which account it shall be; both are read for clients alone that ask for it.
    """

    person_id: UUID
    proved: tuple[Proved, ...]
    person_status: str
    ial: int
    phone_matched_at: datetime | None
    subject: str | None
    consents: Consents
    recovered_at: datetime | None = None
    has_passkey: bool = False
    barred: bool = False
    own: tuple[Proved, ...] = ()
    confirmed: bool = False


class Granted(NamedTuple):
    """The code may be issued. ``proved`` are the factors counted, ``acr`` what they truly reach."""

    standing: Standing
    acr: Acr
    aal: int
    proved: tuple[Proved, ...]

    @property
    def auth_time(self) -> datetime:
        """Return the instant of the oldest factor counted (domain.md "Levels")."""
        return min(p.at for p in self.proved)


@dataclass(frozen=True)
class SignInRequired:
    """The person must sign in or prove more; ``fresh_after`` asks for every factor anew.

    ``resistant``: by a passkey, and nothing weaker is offered; ``insists``: without one the client gets an error. ``creates``: the client
    would like the person to register (Initiating User Registration via OpenID Connect 1.0).
    """

    wanted: Acr
    fresh_after: datetime | None
    resistant: bool = False
    insists: bool = False
    creates: bool = False


@dataclass(frozen=True)
class ConsentRequired:
    """The person must be asked about these entitlements first."""

    entitlements: tuple[Entitlement, ...]


@dataclass(frozen=True)
class ProofRequired:
    """The person is too little known for ``wanted``, and proving more of the identity leads there: the page that raises ``ial``."""

    wanted: Acr


@dataclass(frozen=True)
class LevelUnreachable:
    """No factor of this person leads to the client's minimum: the person is told by a page, then the client by ``error``.

    ``without_passkey``: a passkey would lead there.
    """

    error: ProtocolError
    without_passkey: bool = False


@dataclass(frozen=True)
class Barred:
    """The person may not sign in at this one client: the person is told by a page, then the client by ``error`` (S10)."""

    error: ProtocolError


@dataclass(frozen=True)
class AccountChoiceRequired:
    """Who is signed in already says first whether to go on with this account (S13, ``prompt=select_account``)."""


@dataclass(frozen=True)
class Denied:
    """The request ends with an error that the client is told."""

    error: ProtocolError


Decision = Granted | SignInRequired | ProofRequired | AccountChoiceRequired | ConsentRequired | LevelUnreachable | Barred | Denied


@dataclass(frozen=True)
class Progress:
    """What already happened in this flow: nothing on a first visit (``began`` is False); later its own time and answers.

    ``declined``: the person does not want to, or cannot, prove more of the identity now; ``without_passkey``: nor use a passkey;
    ``confirmed``: the person said to go on with this account.
    """

    began: bool = True
    fresh_after: datetime | None = None
    signed_in: bool = False
    consented: bool = False
    denied: bool = False
    declined: bool = False
    without_passkey: bool = False
    confirmed: bool = False


FIRST_VISIT = Progress(began=False)


def decide(
    request: AuthorizationRequest, client: Client, standing: Standing | None, hinted: str | None, progress: Progress, now: datetime
) -> Decision:
    """Return the next step of a request.

    ``hinted`` is the subject of a valid ``id_token_hint``, compared with the person who is here. With ``prompt=none`` every
    missing step is the error that names it (OpenID Connect Core §3.1.2.6).
    """
    if progress.denied:
        return Denied(ProtocolError("access_denied", "The person did not agree."))
    step = _find_step(request, client, standing, hinted, progress, now)
    if "none" not in request.prompts:
        return step
    match step:
        case Granted() | Denied():
            return step
        case SignInRequired():
            return Denied(ProtocolError("login_required", "The person has to sign in."))
        case ProofRequired():
            return Denied(ProtocolError("login_required", "The person has to prove more of the identity."))
        case ConsentRequired():
            return Denied(ProtocolError("consent_required", "The person has to be asked first."))
        case AccountChoiceRequired():
            return Denied(ProtocolError("interaction_required", "The person has to say first whether to go on with this account."))
        case LevelUnreachable() | Barred():
            return Denied(step.error)
        case _:
            assert_never(step)


def _find_step(
    request: AuthorizationRequest, client: Client, standing: Standing | None, hinted: str | None, progress: Progress, now: datetime
) -> Decision:
    here = standing is not None and standing.person_status == "active"
    person = _describe(standing) if standing is not None and here else None
    demand = find_demand(request, client, person, now)
    proved = _list_proved(standing, client) if standing is not None else ()
    fresh_after = _find_freshness(request, proved if standing is not None else None, progress, now)
    if "create" in request.prompts and not progress.began:
        return SignInRequired(demand.wanted, fresh_after, creates=True)
    if standing is None or person is None:
        if demand.insists and progress.without_passkey:
            return LevelUnreachable(UNMET, without_passkey=True)
        return SignInRequired(demand.wanted, fresh_after, demand.resistant and not progress.without_passkey, demand.insists)
    if standing.barred:
        return Barred(BARRED)
    resists = _could_resist(demand, person, progress, now)
    if hinted is not None and hinted != standing.subject:
        waits = fresh_after is not None and all(p.at < fresh_after for p in standing.proved)
        if not progress.began or waits:
            return SignInRequired(demand.wanted, fresh_after or now, resists, demand.insists)
        return Denied(ProtocolError("login_required", "Another person is signed in than the id_token_hint names."))
    if fresh_after is None and _asks_who(request, client, standing, progress):
        return AccountChoiceRequired()
    if fresh_after is not None:
        proved = tuple(p for p in proved if p.at >= fresh_after) if progress.began else ()
    if not proved and not (demand.insists and progress.without_passkey):
        return SignInRequired(demand.wanted, fresh_after, resists, demand.insists)
    step = _find_level_step(request, client, standing, demand, proved, fresh_after, progress, now)
    if isinstance(step, Granted) and progress.began and _has_waited(request, step, now):
        return SignInRequired(demand.wanted, now, resists, demand.insists)
    return step


def _find_level_step(
    request: AuthorizationRequest,
    client: Client,
    standing: Standing,
    demand: Demand,
    proved: tuple[Proved, ...],
    fresh_after: datetime | None,
    progress: Progress,
    now: datetime,
) -> Decision:
    person, wanted = _describe(standing), demand.wanted
    level = find_level(person, proved, now)
    resists = _could_resist(demand, person, progress, now) and not level.resistant
    if not meets(level.acr, wanted) or (demand.resistant and not level.resistant):
        attainable = find_attainable(person, now, resists=resists or level.resistant).acr
        raised = find_raised(person, now, resists=resists or level.resistant).acr
        if not progress.declined and not meets(attainable, wanted) and meets(raised, wanted):
            return ProofRequired(wanted)
        if attainable is None or not meets(attainable, demand.floor) or (demand.insists and not level.resistant and not resists):
            return LevelUnreachable(UNMET, without_passkey=demand.insists and progress.without_passkey)
        target = min(wanted, attainable, key=ACR_ORDER.index)
        if not meets(level.acr, target) or resists:
            return SignInRequired(target, fresh_after, resists, demand.insists)
    told = name_reached(demand, level)
    if told is None:
        return LevelUnreachable(UNMET)
    missing = find_missing_consents(request, client, standing.consents)
    asks_again = "consent" in request.prompts and not progress.consented
    if missing or (asks_again and list_consent_entitlements(request, client)):
        return ConsentRequired(missing or list_consent_entitlements(request, client))
    return Granted(standing, told, level.aal, list_counted(proved, standing.phone_matched_at, now, standing.recovered_at))


def _describe(standing: Standing) -> Person:
    return Person(standing.ial, standing.phone_matched_at, standing.recovered_at, standing.has_passkey)


def _list_proved(standing: Standing, client: Client) -> tuple[Proved, ...]:
    """Return what counts at this client: an isolated one takes nothing that was proved for others (S33)."""
    if not client.isolated:
        return standing.proved
    return tuple(own for own in standing.own if any(p.factor is own.factor and p.at >= own.at for p in standing.proved))


def _could_resist(demand: Demand, person: Person, progress: Progress, now: datetime) -> bool:
    """Tell whether to ask for a passkey: where the client insists, also whoever has none yet is told how to get one."""
    if not demand.resistant or progress.without_passkey or not (person.has_passkey or demand.insists):
        return False
    return find_attainable(person, now, resists=True).resistant


def _asks_who(request: AuthorizationRequest, client: Client, standing: Standing, progress: Progress) -> bool:
    """Tell whether who came by a sign-in of before has to say first that it shall be this account."""
    if progress.signed_in or progress.confirmed:
        return False
    return "select_account" in request.prompts or (client.confirms_sign_on and not standing.confirmed)


def _find_freshness(request: AuthorizationRequest, proved: tuple[Proved, ...] | None, progress: Progress, now: datetime) -> datetime | None:
    """Return the instant after which every factor must have been proved, None when any live session will do.

    ``proved`` is None while nobody is here.
    """
    if progress.began:
        return progress.fresh_after
    if "login" in request.prompts or request.max_age == 0:
        return now
    if request.max_age is None:
        return None
    threshold = now - timedelta(seconds=request.max_age)
    if proved is None:
        return threshold  # whoever signs in meanwhile, here or in another tab, must not be older
    return now if min((p.at for p in proved), default=now) < threshold else None


def _has_waited(request: AuthorizationRequest, granted: Granted, now: datetime) -> bool:
    """Tell whether ``max_age`` ran out while the person was on our pages, for instance on that of consent.

    It is "the allowable elapsed time since the last time the End-User was actively authenticated" (OpenID Connect Core §3.1.2.1). An ID
    Token may still be older by the minutes that signing in took (``JUST_HERE``): whoever asks for one minute would be asked for ever.
    Zero, like ``prompt=login``, allows none: it asks for a sign-in in this flow, and there was one. Looked at last, after all that the
    person is asked, so that nobody who reads slowly is asked anything twice.
    """
    return bool(request.max_age) and now - granted.auth_time > max(timedelta(seconds=request.max_age or 0), JUST_HERE)


def list_consent_entitlements(request: AuthorizationRequest, client: Client) -> tuple[Entitlement, ...]:
    """Return the entitlements that rest on consent and would release something of what is asked for, as the person is asked about them."""
    asked, verified = set(request.asked_claims), request.verified_names
    return tuple(
        e if verified.isdisjoint(e.claims) else with_verification(e)
        for e in client.entitlements
        if e.basis is Basis.CONSENT and asked.intersection(e.claims)
    )


def find_missing_consents(request: AuthorizationRequest, client: Client, consents: Consents) -> tuple[Entitlement, ...]:
    """Return those of them that the person has not yet agreed to as they are now."""
    return tuple(e for e in list_consent_entitlements(request, client) if not covers(consents, e))
