"""Decides where a flow goes next: every step comes back here, and the flow's own kind says what is missing (architecture decision 13)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from idp.kernel.audit_events import Place
from idp.people.rules.person import Standing, check_standing
from idp.people.services.directory import People
from idp.sign_in.rules.interaction import Interaction, Leave, Refused, SignInNeeded, Step, ask_more, asks_more
from idp.sign_in.rules.refusals import InteractionExpired, LevelUnreachable, RecoveryDay
from idp.sign_in.rules.session import Session
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in import PORTAL
from idp.sign_in.services.visits import Visit


class FlowLeft(Exception):
    """Another request of the same flow left already: this one does and records nothing."""


class Leaving(Protocol):
    """Ends the flow, once however often it is called."""

    async def __call__(self, *, done: bool) -> None:
        """Return for one of any number of simultaneous requests; raise FlowLeft for the others. ``done`` as of ``Interactions.finish``."""
        ...


class Continuation(Protocol):
    """What a kind of flow does when a step is done."""

    async def decide(
        self, interaction: Interaction, session: Session | None, standing: Standing | None, request_id: str, place: Place, leave: Leaving
    ) -> Step:
        """Return what comes next. ``session`` is live and its person may sign in; ``standing`` is that person's.

        It is not asked while the sign-in is in the middle of its questions. ``SignInNeeded`` brings the person back here with
        more proved, or named by ``interaction.unreachable_by``: then lower the class or leave. A flow that leaves has ended before its
        address is used; a kind that records how it ends calls ``leave`` before it does. What it raises after that brings the flow back.
        """
        ...


@dataclass
class _WayOut:
    """Lets one request out of a flow, before anything is recorded of its end."""

    interactions: Interactions
    interaction: Interaction
    left: bool = False

    async def leave(self, *, done: bool) -> None:
        if self.left:
            return
        if not await self.interactions.finish(self.interaction, done=done):
            raise FlowLeft
        self.left = True

    async def go_back(self) -> None:
        """Undo it: nothing was recorded, so the person may ask again."""
        if self.left:
            await self.interactions.restore(self.interaction)


@dataclass(frozen=True)
class Routed:
    """A flow and its next step."""

    interaction: Interaction
    step: Step


class Dispatcher:
    """Knows the kinds of flows by name."""

    def __init__(self, interactions: Interactions, sessions: Sessions, people: People, continuations: Mapping[str, Continuation]) -> None:
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._continuations = continuations

    async def decide(self, interaction_id: str, visit: Visit) -> Routed:
        """Return the next step of a flow. Raises InteractionExpired, InteractionFinished, ForeignBrowser."""
        try:
            return await self._decide(interaction_id, visit)
        except FlowLeft:
            raise await self._interactions.explain_end(interaction_id, visit.browser_cookie) from None

    async def _decide(self, interaction_id: str, visit: Visit) -> Routed:
        held = await self._interactions.read(interaction_id, visit.browser_cookie)
        interaction = held.interaction
        continuation = self._continuations.get(interaction.kind)
        if continuation is None:
            raise InteractionExpired(**interaction.way_back)  # begun by a release that knew more kinds
        session = await self._sessions.read(visit.session_cookie)
        standing: Standing | None = None
        if session is not None:
            self._sessions.touch(session)
            known = await self._people.find_by_id(session.person_id)
            standing = known.standing if known else None
            refusal = check_standing(standing.status, self_service=interaction.kind == PORTAL) if standing else None
            if refusal is not None:
                return Routed(interaction, Refused(refusal.code))
            if standing is None:
                session = None
        if interaction.proved:
            return Routed(interaction, SignInNeeded())  # in the middle of its questions; the sign-in says which is next
        way_out = _WayOut(self._interactions, interaction)
        try:
            step = await continuation.decide(interaction, session, standing, visit.request_id, visit.place, way_out.leave)
        except Exception:
            await way_out.go_back()
            raise
        if isinstance(step, SignInNeeded) and asks_more(interaction, step):
            interaction = (await self._interactions.replace(held, ask_more(interaction, step))).interaction
        if isinstance(step, SignInNeeded) and session is not None and interaction.unreachable_by == session.person_id:
            return Routed(interaction, Refused("level_unreachable"))
        if isinstance(step, Leave | Refused):
            await way_out.leave(done=isinstance(step, Leave) and session is not None)
        return Routed(interaction, self._explain_day(step, standing))

    def _explain_day(self, step: Step, standing: Standing | None) -> Step:
        """Name the day after a recovery as the reason, where it may be one: tomorrow the same level may be within reach."""
        held = standing is not None and self._people.is_held(standing)
        if held and isinstance(step, Refused) and step.code == LevelUnreachable.code:
            return replace(step, code=RecoveryDay.code)
        return step
