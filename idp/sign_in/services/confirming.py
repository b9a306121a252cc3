"""Decides whether a person goes on at a department with the account that is signed in already (S13)."""

import hashlib
import hmac
from dataclasses import dataclass, replace

from idp.kernel.ids import encode_base64url
from idp.people.services.directory import People
from idp.sign_in.rules.interaction import Interaction, answer_as, is_answered_by
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.visits import Visit


@dataclass(frozen=True)
class Choice:
    """Whom the page shows: a masked name, and the mark that the form carries back."""

    masked_name: str
    mark: str


class Confirming:
    """Asks who is signed in, and remembers the answer as long as the sign-in lives."""

    def __init__(self, interactions: Interactions, sessions: Sessions, people: People, links: SessionLinks) -> None:
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._links = links

    async def look(self, interaction: Interaction, visit: Visit) -> Choice | None:
        """Return whom to show; None when nobody is signed in any more, or the person answered already."""
        session = await self._sessions.read(visit.session_cookie)
        if session is None or (interaction.confirmed and is_answered_by(interaction, session.person_id)):
            return None
        name = await self._people.find_masked_name(session.person_id)
        return Choice(name, _mark(interaction, session.person_id.bytes))

    async def confirm(self, held: Held, mark: str, visit: Visit) -> Held:
        """Go on with the account that was shown; nothing changes when somebody else is signed in by now. Raises StepRepeated."""
        session = await self._sessions.read(visit.session_cookie)
        interaction = held.interaction
        if session is None or not hmac.compare_digest(_mark(interaction, session.person_id.bytes).encode(), mark.encode()):
            return held
        held = await self._interactions.replace(held, replace(answer_as(interaction, session.person_id), confirmed=True))
        if interaction.confirms:
            await self._links.note(session.lineage, interaction.client_id)
        return held


def _mark(interaction: Interaction, person: bytes) -> str:
    return encode_base64url(hmac.digest(interaction.csrf.encode(), person, hashlib.sha256)[:16])
