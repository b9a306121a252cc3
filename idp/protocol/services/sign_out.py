"""Decides how a sign-in ends at a department's request: by hint at once, otherwise when the person says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from idp.kernel.audit_events import Place
from idp.kernel.session_endings import SIGNED_OUT
from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.rules.logout import Telling
from idp.protocol.rules.sign_out_request import SignOutDecision, decide_sign_out, may_use_hint
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.id_tokens import HintedToken, IdTokens
from idp.protocol.services.logout_notices import LogoutNotices
from idp.protocol.stores import subjects
from idp.sign_in.services.sessions import Sessions


@dataclass(frozen=True)
class SignOutPlan:
    """What to do, which sign-in it is about (None: there is none), and the client that proved to ask (None: nobody did).

    ``also``: another sign-in of the same person, which the client's hint names and which ends too.
    """

    decision: SignOutDecision
    lineage: bytes | None
    client: Client | None
    also: bytes | None = None


@dataclass(frozen=True)
class NamedSignIn:
    """A sign-in that goes on, which a hint names."""

    person_id: UUID
    lineage: bytes


class SignOut:
    """RP-initiated and own sign-out."""

    def __init__(
        self, database: Database, directory: ClientDirectory, id_tokens: IdTokens, sessions: Sessions, notices: LogoutNotices
    ) -> None:
        self._database = database
        self._directory = directory
        self._id_tokens = id_tokens
        self._sessions = sessions
        self._notices = notices

    async def plan(self, parameters: Mapping[str, str], session_cookie: str | None) -> SignOutPlan:
        """Return what a sign-out request may do.

        It is about the sign-in of this browser, also an idle one. A browser that lost it (cookie gone) can still end it: the hint
        names it by ``sub`` and ``sid``.
        """
        hint = self._id_tokens.read_hint(parameters.get("id_token_hint"))
        if hint is not None and not may_use_hint(parameters, hint.client_id):
            hint = None
        client = await self._directory.find(hint.client_id) if hint is not None else None
        session = await self._sessions.find_not_ended(session_cookie)
        if session is None:
            named = await self._find_hinted(hint, client) if hint is not None and client is not None else None
            return SignOutPlan(decide_sign_out(parameters, client, None, None), named.lineage if named is not None else None, client)
        # Without a client no sid exists; the empty text matches no hint, so the person is asked.
        sid = self._id_tokens.make_sid(session.lineage, client.client_id) if client is not None else ""
        if hint is not None and client is not None and hint.sid != sid:
            named = await self._find_hinted(hint, client)
            if named is not None and named.person_id == session.person_id:
                # The person's app, say, whose sign-in is another than this browser's: both end, since the person means to leave.
                return SignOutPlan(decide_sign_out(parameters, client, hint.sid, hint.sid), session.lineage, client, named.lineage)
        decision = decide_sign_out(parameters, client, hint.sid if hint is not None else None, sid)
        return SignOutPlan(decision, session.lineage, client)

    async def end(self, plan: SignOutPlan, request_id: str, place: Place) -> list[Telling]:
        """End the sign-in, if there is one; every grant that lives with it ends at the same moment.

        Return the departments that know it, each with what becomes of telling it: none when there was no sign-in.
        """
        if plan.lineage is None:
            return []
        client_id = plan.client.client_id if plan.client is not None else None
        async with self._database.transaction() as tx:
            for lineage in (plan.lineage, plan.also):
                if lineage is not None:
                    await self._sessions.end_lineage(tx, lineage, SIGNED_OUT, request_id=request_id, client_id=client_id, place=place)
        return await self._notices.list_tellings(plan.lineage)

    async def look(self, lineage: bytes, request_id: str) -> list[Telling]:
        """Return what became of telling the departments of an ended sign-in, for the page that also shows their frames."""
        tellings = await self._notices.list_tellings(lineage)
        if any(telling.front_address for telling in tellings):
            await self._notices.show(lineage, request_id)
            return await self._notices.list_tellings(lineage)
        return tellings

    async def _find_hinted(self, hint: HintedToken, client: Client) -> NamedSignIn | None:
        person_id = await subjects.find_person(self._database, hint.subject, client.sector_id)
        if person_id is None or hint.sid is None:
            return None
        for lineage in await self._sessions.list_lineages(person_id):
            if self._id_tokens.make_sid(lineage, client.client_id) == hint.sid:
                return NamedSignIn(person_id, lineage)
        return None
