"""Decides who stands before the account's pages: the person of a live session whose account may look after itself."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from idp.kernel.ids import encode_base64url
from idp.people.rules.identifiers import Phone
from idp.people.rules.masking import mask_name
from idp.people.rules.person import Standing, check_standing
from idp.people.services.directory import People
from idp.sign_in.rules.session import Session
from idp.sign_in.services.sessions import Sessions
from keys import Mac

FORM = "form"
"""The token that every form of the account carries."""


@dataclass(frozen=True, repr=False)
class Owner:
    """The person of this browser's live session. ``phone`` is where codes and notices go, ``csrf`` the token of the account's forms."""

    session: Session
    standing: Standing
    phone: Phone | None
    csrf: str

    @property
    def person_id(self) -> UUID:
        """Return whose account it is."""
        return self.standing.person_id


class Account:
    """Reads who is here, and makes the texts that only this sign-in can send back."""

    def __init__(self, sessions: Sessions, people: People, mac: Mac) -> None:
        self._sessions = sessions
        self._people = people
        self._mac = mac

    async def find_owner(self, session_cookie: str | None) -> Owner | None:
        """Return who is signed in; None when nobody is, or when the account may not even look after itself."""
        session = await self._sessions.read(session_cookie)
        known = await self._people.find_by_id(session.person_id) if session is not None else None
        if session is None or known is None or check_standing(known.standing.status, self_service=True) is not None:
            return None
        self._sessions.touch(session)
        return Owner(session, known.standing, known.phone, self.make_mark(session, FORM))

    async def read_name(self, owner: Owner) -> str:
        """Return the person's name, masked."""
        return mask_name((await self._people.read_profile(owner.person_id)).name)

    def make_mark(self, session: Session, text: str) -> str:
        """Return a text that nobody makes without this sign-in: of a form, of a row, of what was just done.

        It hangs on the lineage, so a page that is open in another tab survives a step-up.
        """
        said = hashlib.sha256(text.encode()).digest()
        return encode_base64url(self._mac.compute(b"account\0" + session.lineage + session.person_id.bytes + said)[:24])
