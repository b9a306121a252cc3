"""Decides what the provider's own front page shows: the signed-in person, or the way to sign in."""

from dataclasses import dataclass
from uuid import UUID

from idp.kernel.audit_events import Place
from idp.people.rules.masking import mask_name
from idp.people.rules.person import Standing, check_standing
from idp.people.services.directory import People
from idp.sign_in.rules.interaction import Interaction, Leave, SignInNeeded, Step
from idp.sign_in.rules.session import Session
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in import PORTAL

FRONT_PAGE = "/"


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in; the name is masked already."""

    person_id: UUID
    masked_name: str


class Portal:
    """The person's own page, and the continuation of its kind of flow."""

    def __init__(self, interactions: Interactions, sessions: Sessions, people: People) -> None:
        self._interactions = interactions
        self._sessions = sessions
        self._people = people

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

    async def begin(self, browser_cookie: str, address: str) -> Interaction:
        """Begin the flow that ends on the front page. Raises TooManyFlows."""
        return await self._interactions.begin(PORTAL, browser_cookie, home_url=FRONT_PAGE, address=address)

    async def decide(
        self, interaction: Interaction, session: Session | None, standing: Standing | None, request_id: str, place: Place
    ) -> Step:
        """Return to the front page as soon as anybody is signed in."""
        return SignInNeeded() if session is None else Leave(FRONT_PAGE)
