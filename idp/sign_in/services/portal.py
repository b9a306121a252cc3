"""Decides what the provider's own front page shows, and to which of its own pages a person comes back after signing in."""

import re
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from idp.kernel.audit_events import Place
from idp.kernel.clock import Clock
from idp.kernel.levels import find_aal
from idp.people.rules.masking import mask_name
from idp.people.rules.person import Standing, check_standing
from idp.people.services.directory import People
from idp.sign_in.rules.interaction import Interaction, Leave, Refused, SignInNeeded, Step
from idp.sign_in.rules.refusals import SecondFactorMissing
from idp.sign_in.rules.session import Session
from idp.sign_in.rules.steps import count_fresh
from idp.sign_in.services.dispatch import Leaving
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in import PORTAL

FRONT_PAGE = "/"
ACCOUNT = "/account"

CONFIRMED_FOR = timedelta(minutes=10)
"""How long two factors count as proved just now, for what changes how one signs in."""

_OWN_PAGE = re.compile(r"/account(?:/[a-z-]{1,30})?")


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in; the name is masked already."""

    person_id: UUID
    masked_name: str


class Portal:
    """The person's own page, and the continuation of its kind of flow."""

    def __init__(self, interactions: Interactions, sessions: Sessions, people: People, clock: Clock) -> None:
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._clock = clock

    async def find_person(self, session_cookie: str | None) -> SignedIn | None:
        """Return who is signed in, None when nobody is or the account may not sign in."""
        session = await self._sessions.read(session_cookie)
        if session is None:
            return None
        known = await self._people.find_by_id(session.person_id)
        if known is None or check_standing(known.standing.status, self_service=True) is not None:
            return None
        self._sessions.touch(session)
        profile = await self._people.read_profile(session.person_id)
        return SignedIn(session.person_id, mask_name(profile.name))

    async def begin(self, browser_cookie: str, address: str, towards: str = FRONT_PAGE) -> Interaction:
        """Begin the flow that ends on the front page, or on the page of the account that was asked for. Raises TooManyFlows."""
        page = find_own_page(towards)
        return await self._interactions.begin(PORTAL, browser_cookie, request=page, home_url=page, address=address)

    async def begin_again(self, browser_cookie: str, address: str, towards: str) -> Interaction:
        """Begin the flow that ends on that page after two factors were proved anew. Raises TooManyFlows."""
        page = find_own_page(towards)
        # Half the time: whoever comes back has the other half left to do what it was for.
        fresh_after = self._clock() - CONFIRMED_FOR / 2
        return await self._interactions.begin(
            PORTAL, browser_cookie, request=page, home_url=page, address=address, aal=2, fresh_after=fresh_after
        )

    async def decide(
        self, interaction: Interaction, session: Session | None, standing: Standing | None, request_id: str, place: Place, leave: Leaving
    ) -> Step:
        """Return to the page that was asked for as soon as anybody is signed in, with as many factors as it asks for."""
        if session is None or standing is None:
            return SignInNeeded()
        proved = count_fresh(session.proved, interaction.fresh_after)
        if interaction.aal > 1 and find_aal(proved, standing.phone_matched_at, self._clock(), standing.recovered_at) < interaction.aal:
            if interaction.unreachable_by == session.person_id:
                return Refused(SecondFactorMissing.code, find_own_page(interaction.request))
            return SignInNeeded()
        return Leave(find_own_page(interaction.request))


def find_own_page(path: str) -> str:
    """Return ``path`` when it is a page of the account, else the front page: a flow of this kind leads nowhere else."""
    return path if _OWN_PAGE.fullmatch(path) else FRONT_PAGE
