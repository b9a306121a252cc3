"""Decides an authorization request: grant at once, or which step is missing (OpenID Connect Core §3.1.2.3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from idp.kernel.errors import ProtocolError
from idp.kernel.levels import ACR_ORDER, Acr, Factor, Proved, find_aal, find_acr, list_counted, meets
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.client import Basis, Client, Entitlement

UNMET = ProtocolError("unmet_authentication_requirements", "The person cannot reach the level this client needs.")
OFFERED = (Factor.PASSWORD, Factor.SMS)
"""The ways of signing in that exist: what a person could still prove."""

RAISED_IAL = 3
"""What items lead to (domain.md "Levels")."""


@dataclass(frozen=True)
class Standing:
    """Who is here: what the live session proved, and what the database says of its person and consents at this moment."""

    person_id: UUID
    proved: tuple[Proved, ...]
    person_status: str
    ial: int
    phone_matched_at: datetime | None
    subject: str | None
    consents: frozenset[tuple[str, int]]
    recovered_at: datetime | None = None


@dataclass(frozen=True)
class Granted:
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
    """The person must sign in or prove more; ``fresh_after`` asks for every factor anew."""

    wanted: Acr
    fresh_after: datetime | None


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
    """No factor of this person leads to the client's minimum: the person is told by a page, then the client by ``error``."""

    error: ProtocolError


@dataclass(frozen=True)
class Denied:
    """The request ends with an error that the client is told."""

    error: ProtocolError


Decision = Granted | SignInRequired | ProofRequired | ConsentRequired | LevelUnreachable | Denied


@dataclass(frozen=True)
class Progress:
    """What already happened in this flow: nothing on a first visit (``began`` is False); later its own time and answers.

    ``declined``: the person does not want to, or cannot, prove more of the identity now.
    """

    began: bool = True
    fresh_after: datetime | None = None
    signed_in: bool = False
    consented: bool = False
    denied: bool = False
    declined: bool = False


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
        case LevelUnreachable():
            return Denied(step.error)
        case _:
            assert_never(step)


def _find_step(
    request: AuthorizationRequest, client: Client, standing: Standing | None, hinted: str | None, progress: Progress, now: datetime
) -> Decision:
    wanted = max(client.minimum_acr, request.wanted or client.minimum_acr, key=ACR_ORDER.index)
    fresh_after = _find_freshness(request, standing, progress, now)
    if standing is None or standing.person_status != "active":
        return SignInRequired(wanted, fresh_after)
    if hinted is not None and hinted != standing.subject:
        waits = fresh_after is not None and all(p.at < fresh_after for p in standing.proved)
        if not progress.began or waits:
            return SignInRequired(wanted, fresh_after or now)
        return Denied(ProtocolError("login_required", "Another person is signed in than the id_token_hint names."))
    proved = standing.proved
    if fresh_after is not None:
        if not progress.began:
            return SignInRequired(wanted, fresh_after)
        proved = tuple(p for p in proved if p.at >= fresh_after)
        if not proved:
            return SignInRequired(wanted, fresh_after)
    aal = find_aal(proved, standing.phone_matched_at, now, standing.recovered_at)
    reached = find_acr(standing.ial, aal)
    if reached is None or not meets(reached, wanted):
        attainable = find_acr(standing.ial, _find_offered_aal(standing, standing.phone_matched_at, now))
        if not progress.declined and not meets(attainable, wanted) and _is_raisable(standing, wanted, now):
            return ProofRequired(wanted)
        if attainable is None or not meets(attainable, client.minimum_acr):
            return LevelUnreachable(UNMET)
        target = min(wanted, attainable, key=ACR_ORDER.index)
        if reached is None or not meets(reached, target):
            return SignInRequired(target, fresh_after)
    missing = find_missing_consents(request, client, standing.consents)
    asks_again = "consent" in request.prompts and not progress.consented
    if missing or (asks_again and list_consent_entitlements(request, client)):
        return ConsentRequired(missing or list_consent_entitlements(request, client))
    return Granted(standing, reached, aal, list_counted(proved, standing.phone_matched_at, now, standing.recovered_at))


def _is_raisable(standing: Standing, wanted: Acr, now: datetime) -> bool:
    """Tell whether items that bind the phone would lead there: level 3, and a code that counts as a factor again."""
    return meets(find_acr(max(standing.ial, RAISED_IAL), _find_offered_aal(standing, now, now)), wanted)


def _find_offered_aal(standing: Standing, phone_matched_at: datetime | None, now: datetime) -> int:
    """Return what all ways of signing in together would reach; within a day of a recovery that is no more than one factor."""
    return find_aal([Proved(f, now) for f in OFFERED], phone_matched_at, now, standing.recovered_at)


def _find_freshness(request: AuthorizationRequest, standing: Standing | None, progress: Progress, now: datetime) -> datetime | None:
    """Return the instant after which every factor must have been proved, None when any live session will do."""
    if progress.began:
        return progress.fresh_after
    if {"login", "select_account"} & request.prompts:
        return now
    if request.max_age is None:
        return None
    threshold = now - timedelta(seconds=request.max_age)
    if standing is None:
        return threshold  # whoever signs in meanwhile, here or in another tab, must not be older
    return now if min(p.at for p in standing.proved) < threshold else None


def list_consent_entitlements(request: AuthorizationRequest, client: Client) -> tuple[Entitlement, ...]:
    """Return the entitlements that rest on consent and would release something of what is asked for."""
    asked = set(request.asked_claims)
    return tuple(e for e in client.entitlements if e.basis is Basis.CONSENT and asked.intersection(e.claims))


def find_missing_consents(request: AuthorizationRequest, client: Client, consents: frozenset[tuple[str, int]]) -> tuple[Entitlement, ...]:
    """Return those of them that the person has not yet agreed to in their present version."""
    return tuple(e for e in list_consent_entitlements(request, client) if (e.purpose, e.version) not in consents)
