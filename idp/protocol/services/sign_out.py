"""Decides how a session ends at a department's request: by hint at once, otherwise when the person says so."""

from collections.abc import Mapping
from dataclasses import dataclass

from idp.platform.database import Database
from idp.protocol.rules.sign_out_request import SignOutDecision, decide_sign_out
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.id_tokens import IdTokens
from idp.sign_in.rules.session import Session
from idp.sign_in.services.sessions import Sessions


@dataclass(frozen=True)
class SignOutPlan:
    """What to do, and the name of the department that asks ("" when nobody proved to be one)."""

    decision: SignOutDecision
    department: str
    department_en: str


class SignOut:
    """RP-initiated and own sign-out."""

    def __init__(self, database: Database, directory: ClientDirectory, id_tokens: IdTokens, sessions: Sessions) -> None:
        self._database = database
        self._directory = directory
        self._id_tokens = id_tokens
        self._sessions = sessions

    async def plan(self, parameters: Mapping[str, str], session: Session | None) -> SignOutPlan:
        """Return what a sign-out request may do towards the live session of this browser."""
        hint = self._id_tokens.read_hint(parameters.get("id_token_hint"))
        client = await self._directory.find(hint.client_id) if hint is not None else None
        sid = None
        if session is not None:
            # Without a client no sid exists; the empty text matches no hint, so the person is asked.
            sid = self._id_tokens.make_sid(session.lineage, client.client_id) if client is not None else ""
        decision = decide_sign_out(parameters, client, hint.sid if hint is not None else None, sid)
        return SignOutPlan(decision, client.name if client else "", client.name_en if client else "")

    async def end(self, session: Session | None, request_id: str) -> None:
        """End the session, if there is one; every grant that lives with it ends at the same moment."""
        if session is None:
            return
        async with self._database.transaction() as tx:
            await self._sessions.end(tx, session.id_hash, "signed out", request_id)
