"""Decides where a request of the registration stands: its flow, its draft, and the page that it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from idp.http.browser_binding import bind_browser
from idp.http.errors import judge_form
from idp.http.forms import FieldError
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext
from idp.kernel.errors import Refusal
from idp.people.rules.refusals import DraftExpired
from idp.people.rules.registration import STEPS, Draft, Step
from idp.people.services.drafts import HeldDraft
from idp.people.services.registration import Registration
from idp.people.services.requester import Requester
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.refusals import InteractionExpired
from idp.sign_in.services.arrival import Arrival, make_requester
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.visits import Visit

PATH: Final = "/register"
AT: Final[Mapping[Step, int]] = MappingProxyType(
    {Step.IDENTITY: 1, Step.CODE: 2, Step.CHECK: 2, Step.ITEMS: 3, Step.PASSWORD: 4, Step.AGREEMENT: 5}
)
"""Step → its number as people count them: the check runs with the code."""

BACK: Final[Mapping[Step, Step]] = MappingProxyType(
    {
        Step.CODE: Step.IDENTITY,
        Step.CHECK: Step.IDENTITY,
        Step.ITEMS: Step.IDENTITY,
        Step.PASSWORD: Step.ITEMS,
        Step.AGREEMENT: Step.PASSWORD,
    }
)
"""Step → where Back leads; a phone that is proved is not asked for its code again."""

REVISITED: Final = frozenset({Step.IDENTITY, Step.ITEMS, Step.PASSWORD})
"""Steps that have something to see once they are done."""

_ORDER: Final = [*(row.step for row in STEPS), Step.DONE]


@dataclass(frozen=True)
class Stand:
    """One request of the registration: its flow and, once the first step is taken, its draft."""

    context: RequestContext
    held: Held
    draft: HeldDraft | None
    visit: Visit

    @property
    def interaction(self) -> Interaction:
        """Return the flow."""
        return self.held.interaction

    @property
    def who(self) -> Requester:
        """Return what the services of people know of the request."""
        return make_requester(self.visit, self.interaction)

    @property
    def token(self) -> str:
        """Return the text of the hidden field ``step``."""
        return self.draft.step_token if self.draft is not None else ""

    def name_page(self, step: Step, **more: str) -> str:
        """Return the address of a step in this flow."""
        return self.interaction.name_page(f"{PATH}/{step.value}", **more)


class RegistrationDoor:
    """What all pages of the registration share."""

    def __init__(self, pages: Pages, interactions: Interactions, registration: Registration, arrival: Arrival, portal: Portal) -> None:
        self._pages = pages
        self._interactions = interactions
        self._registration = registration
        self._arrival = arrival
        self._portal = portal

    async def begin(self, context: RequestContext) -> Interaction:
        """Begin a flow for somebody who came without one: that of the registration on its way, else one that ends on the front page."""
        browser = self._bind(context)
        draft = await self._find(context)
        if draft is not None:
            return await self._arrival.renew(draft.draft, browser, context.address)
        return await self._portal.begin(browser, context.address)

    async def enter(self, context: RequestContext, interaction_id: str, page: str = "", *, posted: bool = False) -> Stand | Response:
        """Return where the request stands. A flow that was lost on the way is begun anew, and ``page`` opened in it.

        Raises the refusals of a flow that cannot be read when no registration remembers it.
        """
        draft = await self._find(context)
        try:
            held = await self._interactions.read(interaction_id, context.browser_cookie)
        except InteractionExpired:
            if draft is None or not page:
                raise
            fresh = await self._arrival.renew(draft.draft, self._bind(context), context.address)
            await self._registration.renew_origin(draft, fresh.id, self._arrival.keep(fresh), anew=False)
            return RedirectResponse(fresh.name_page(page, **({"why": "lost"} if posted else {})), 303)
        return Stand(context, held, draft, read_visit(context))

    async def enter_again(self, stand: Stand) -> Stand:
        """Return where the request stands now that other requests may have moved it."""
        held = await self._interactions.read(stand.interaction.id, stand.context.browser_cookie)
        return replace(stand, held=held, draft=await self._find(stand.context))

    def find_elsewhere(self, stand: Stand, step: Step) -> Response | None:
        """Return where to go instead of this step, None when it may be shown."""
        if stand.draft is None:
            if step is Step.IDENTITY:
                return None
            if stand.context.draft_cookie:
                return self.refuse(stand, DraftExpired())
            return RedirectResponse(stand.name_page(Step.IDENTITY), 303)
        if stand.draft.step is Step.DONE:
            return self._show_done(stand)
        if stand.draft.draft.flow != stand.interaction.id:
            # Another visit: whoever sits there now is asked, and proves the phone, before anything of it is shown.
            return RedirectResponse(stand.interaction.name_page(PATH), 303)
        if stand.draft.checking:
            return self._show_checking(stand)
        place, now = _ORDER.index(step), _ORDER.index(stand.draft.step)
        if place > now or (place < now and step not in REVISITED):
            return self.go_on(stand)
        return None

    def go_on(self, stand: Stand, **more: str) -> Response:
        """Return the way to the step at which the registration stands."""
        step = stand.draft.step if stand.draft is not None else Step.IDENTITY
        return RedirectResponse(stand.name_page(Step.AGREEMENT if step is Step.DONE else step, **more), 303)

    def render(
        self, stand: Stand, step: Step, errors: list[FieldError] | None = None, refusal: Refusal | None = None, **values: Any
    ) -> Response:
        """Return the page of a step, with the frame that all of them have."""
        status, wait = judge_form(errors or (), refusal)
        at, back = AT[step], BACK.get(step)
        return self._pages.render(
            stand.context,
            f"register_{step.value}.html",
            status,
            headers=wait,
            i=stand.interaction.id,
            csrf=stand.interaction.csrf,
            step=stand.token,
            department=stand.interaction.name_department(stand.context.language),
            at=at,
            then_step=at + 1 if at < AT[Step.AGREEMENT] else 0,
            back=stand.name_page(back) if back is not None else "",
            errors=errors or [],
            **{"lost": False, **values},
        )

    def render_alone(self, stand: Stand, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page that is no step."""
        department = stand.interaction.name_department(stand.context.language)
        flow = stand.interaction
        return self._pages.render(
            stand.context, template, status, i=flow.id, csrf=flow.csrf, step=stand.token, department=department, **values
        )

    def refuse(self, stand: Stand, refusal: Refusal, back: str = "") -> Response:
        """Return the error page of a refusal, with the way on in this flow or to the department."""
        if isinstance(refusal, DraftExpired):
            self.drop_cookie(stand.context)
            back = stand.name_page(Step.IDENTITY)
        if back:
            return self._pages.refuse(stand.context, refusal, back_url=back)
        return self._pages.refuse(stand.context, refusal, **stand.interaction.way_back)

    def drop_cookie(self, context: RequestContext) -> None:
        """Let the browser forget the registration."""
        names = context.cookie_names
        context.set_cookie(names.clear(names.draft))

    async def _find(self, context: RequestContext) -> HeldDraft | None:
        draft = await self._registration.find(context.draft_cookie)
        return None if draft is None or draft.draft.raising else draft

    def _bind(self, context: RequestContext) -> str:
        return bind_browser(context, self._interactions.make_browser_cookie)

    def _show_checking(self, stand: Stand) -> Response:
        step = stand.draft.step if stand.draft is not None else Step.IDENTITY
        return self.render_alone(stand, "register_checking.html", look=stand.name_page(step))

    def _show_done(self, stand: Stand) -> Response:
        return self.render_alone(stand, "register_done.html")


def require_draft(stand: Stand) -> Draft:
    """Return the draft of a step that has one. Raises DraftExpired."""
    if stand.draft is None:
        raise DraftExpired
    return stand.draft.draft
