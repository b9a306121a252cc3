"""Decides how a flow is kept between two requests: sealed, bound to one browser, moved on by one request at a time."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.kernel.clock import Clock, Random
from idp.kernel.errors import Refusal
from idp.kernel.ids import encode_base64url, make_outward_id
from idp.kernel.levels import Acr
from idp.platform.transients import Transients
from idp.sign_in.rules.interaction import Ending, Interaction, hash_browser, is_bound_to
from idp.sign_in.rules.interaction_format import read_ending, read_interaction, write_ending, write_interaction
from idp.sign_in.rules.refusals import ForeignBrowser, InteractionExpired, InteractionFinished, StepRepeated
from idp.sign_in.services.network_room import require_room

KIND = "interaction"
ENDING = "finished_interaction"
REMEMBERED = 2
"""A flow is kept for so many of its lives: a page that was open for too long still knows its department."""
MAX_ID = 64

BEGINNINGS = "flows_of_network"

SIGN_OUT = "sign_out"
"""The one kind of flow that signs nobody in: only the page that began it may read it."""


@dataclass(frozen=True)
class Held:
    """An interaction as it was read. ``step`` is what its forms carry: it changes with every move."""

    interaction: Interaction
    version: int

    @property
    def step(self) -> str:
        """Return the text of the hidden field ``step``."""
        return f"{self.version:x}"


class Interactions:
    """Flows on the way; they may be lost, then the person starts again."""

    def __init__(
        self, transients: Transients, clock: Clock, random: Random, life: timedelta = timedelta(hours=1), per_network: int = 300
    ) -> None:
        self._transients = transients
        self._clock = clock
        self._random = random
        self._life = life
        self._per_network = per_network

    def make_browser_cookie(self) -> str:
        """Return a fresh browser-binding cookie, for a browser that has none."""
        return encode_base64url(self._random(32))

    async def begin(
        self,
        kind: str,
        browser_cookie: str,
        *,
        request: str = "",
        client_id: str = "",
        department: str = "",
        department_en: str = "",
        home_url: str = "",
        wanted: Acr = Acr.LOW,
        language: str | None = None,
        fresh_after: datetime | None = None,
        login_hint: str | None = None,
        aal: int = 1,
        resistant: bool = False,
        essential: bool = False,
        isolated: bool = False,
        confirms: bool = False,
        address: str | None = None,
    ) -> Interaction:
        """Begin a flow for this browser. ``request`` is the kind's own text, at most some kilobytes.

        ``address``: whose request begins it, so that nobody fills the store by asking. Raises TooManyFlows.
        """
        if address is not None:
            await require_room(self._transients, self._clock, BEGINNINGS, address, self._per_network)
        interaction = Interaction(
            id=make_outward_id(self._random),
            kind=kind,
            browser_hash=hash_browser(browser_cookie),
            csrf=make_outward_id(self._random),
            created_at=self._clock(),
            request=request,
            client_id=client_id,
            department=department,
            department_en=department_en,
            home_url=home_url,
            wanted=wanted,
            language=language,
            fresh_after=fresh_after,
            login_hint=login_hint,
            aal=aal,
            resistant=resistant,
            essential=essential,
            isolated=isolated,
            confirms=confirms,
        )
        await self.restore(interaction)
        return interaction

    async def restore(self, interaction: Interaction) -> None:
        """Keep a flow that has just begun, or that ended and could not be answered after all; it grows no older by that, nor younger."""
        ttl = self._life.total_seconds() * REMEMBERED
        await self._transients.put(KIND, interaction.id, write_interaction(interaction), ttl)

    async def read(self, interaction_id: str, browser_cookie: str | None, kind: str | None = None) -> Held:
        """Return the flow, of this ``kind``; without one, of any that signs people in. Another kind counts as gone.

        Raises InteractionExpired when it is gone, InteractionFinished when it ended well, ForeignBrowser when another browser began it.
        """
        if not interaction_id or len(interaction_id) > MAX_ID:
            raise InteractionExpired
        stored = await self._transients.get(KIND, interaction_id)
        interaction = read_interaction(interaction_id, stored.value) if stored is not None else None
        if stored is None or interaction is None:
            raise await self.explain_end(interaction_id, browser_cookie)
        if browser_cookie is None or not is_bound_to(interaction, browser_cookie):
            raise ForeignBrowser(**interaction.way_back)
        if interaction.kind == SIGN_OUT if kind is None else interaction.kind != kind:
            raise InteractionExpired(**interaction.way_back)
        if self._clock() - interaction.created_at >= self._life:
            raise InteractionExpired(**interaction.way_back)
        return Held(interaction, stored.version)

    async def replace(self, held: Held, interaction: Interaction) -> Held:
        """Move the flow on; of any number of simultaneous requests one does.

        Raises StepRepeated for the others, InteractionExpired when the flow was lost meanwhile.
        """
        if not await self._transients.replace(KIND, interaction.id, write_interaction(interaction), held.version):
            if await self._transients.get(KIND, interaction.id) is None:
                raise InteractionExpired(**interaction.way_back)
            raise StepRepeated
        return Held(interaction, held.version + 1)

    async def finish(self, interaction: Interaction, *, done: bool) -> bool:
        """End the flow; tell False when it had ended: of any number of simultaneous requests one ends it.

        ``done``: the person is signed in by it, which whoever goes back to its pages is told.
        """
        # The ending first: nobody reads it while the flow is there, and a store that fails in between has ended nothing.
        ending = Ending(interaction.browser_hash, done, interaction.way_back)
        await self._transients.put(ENDING, interaction.id, write_ending(ending), self._life.total_seconds())
        return await self._transients.take(KIND, interaction.id) is not None

    async def explain_end(self, interaction_id: str, browser_cookie: str | None) -> Refusal:
        """Return why there is no such flow: finished, ended in another browser, or nothing is known of it."""
        stored = await self._transients.get(ENDING, interaction_id)
        ending = read_ending(stored.value) if stored is not None else None
        if ending is None:
            return InteractionExpired()
        if browser_cookie is None or not is_bound_to(ending, browser_cookie):
            return ForeignBrowser(**ending.way_back)
        return InteractionFinished(**ending.way_back) if ending.done else InteractionExpired(**ending.way_back)


def require_step(held: Held, step: str) -> None:
    """Raise StepRepeated unless the form belongs to the flow's present step."""
    if not hmac.compare_digest(step.encode(), held.step.encode()):
        raise StepRepeated
