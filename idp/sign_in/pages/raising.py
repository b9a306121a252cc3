"""Decides how a signed-in person is asked for further items when the level is too low: the same fields, later, or the window."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.browser_binding import bind_browser
from idp.http.errors import judge_form
from idp.http.forms import FieldError, Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.checks import CheckKind
from idp.kernel.errors import Refusal
from idp.people.rules.proofing_items import ITEMS, ItemPlan, ProofingItem
from idp.people.rules.refusals import NotRaisable
from idp.people.services.raising import Need, Raising
from idp.people.services.requester import Requester
from idp.sign_in.pages.registration_forms import MAX_HIDDEN, list_item_fields, parse_items
from idp.sign_in.pages.registration_items import ITEM_ERRORS, WORDS
from idp.sign_in.pages.registration_views import ItemsView, view_items
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.interaction import Interaction, answer_as
from idp.sign_in.rules.session import Session
from idp.sign_in.services.arrival import make_requester
from idp.sign_in.services.interactions import Held, Interactions, require_step
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.sessions import Sessions

PATH: Final = "/raise"
GO_ON: Final = frozenset({"step_repeated", "still_checking", "draft_moved", "authority_unavailable"})
"""Refusals after which the page says how things stand now."""

RAISE_WORDS: Final = {**WORDS, "items_too_few": "raise_nothing_chosen"}
"""Refusals that this page tells in words of its own."""


@dataclass(frozen=True)
class Asked:
    """One request of a signed-in person in a flow."""

    context: RequestContext
    held: Held
    session: Session
    who: Requester

    @property
    def flow(self) -> Interaction:
        """Return the flow."""
        return self.held.interaction

    def name_page(self) -> str:
        """Return the address of this page in this flow."""
        return self.flow.name_page(PATH)


class RaisingPage:
    """The page between the sign-in and the department that needs to know more."""

    def __init__(
        self,
        pages: Pages,
        interactions: Interactions,
        sessions: Sessions,
        portal: Portal,
        raising: Raising,
        serves: Callable[[CheckKind], bool],
        plan: ItemPlan,
    ) -> None:
        self._pages = pages
        self._interactions = interactions
        self._sessions = sessions
        self._portal = portal
        self._raising = raising
        self._serves = serves
        self._plan = plan

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show what is missing."""
        context = read_context(request)
        try:
            interaction_id = request.query_params.get("i", "")
            if not interaction_id:
                return await self._begin(context)
            asked = await self._enter(context, interaction_id)
            if isinstance(asked, Response):
                return asked
            return await self._render(asked, opened=request.query_params.get("opened") == "1")
        except Refusal as refusal:
            return self._pages.refuse(context, refusal)

    async def submit(self, request: Request) -> Response:
        """Ask the authorities, or go on without; ``redraw`` asks nobody."""
        context = read_context(request)
        asked: Asked | Response | None = None
        try:
            form = await read_form(request)
            asked = await self._enter(context, form.get("i", MAX_HIDDEN))
            if isinstance(asked, Response):
                return asked
            require_csrf(context, form, asked.flow.csrf)
            if "redraw" in form:
                return await self._render(asked, form)
            require_step(asked.held, form.get("step", MAX_HIDDEN))
            if "later" in form:
                await self._interactions.replace(asked.held, replace(answer_as(asked.flow, asked.session.person_id), declined=True))
                return RedirectResponse(asked.flow.way_on, 303)
            return await self._take(asked, form)
        except Refusal as refusal:
            if not isinstance(asked, Asked):
                return self._pages.refuse(context, refusal)
            if refusal.code in GO_ON:
                return RedirectResponse(asked.name_page(), 303)
            return self._pages.refuse(context, refusal, **asked.flow.way_back)

    async def _begin(self, context: RequestContext) -> Response:
        browser = bind_browser(context, self._interactions.make_browser_cookie)
        begun = await self._portal.begin(browser, context.address, towards="/account")
        return RedirectResponse(begun.name_page(PATH), 303)

    async def _enter(self, context: RequestContext, interaction_id: str) -> Asked | Response:
        held = await self._interactions.read(interaction_id, context.browser_cookie)
        session = await self._sessions.read(context.session_cookie)
        if session is None:
            return RedirectResponse(held.interaction.way_on, 303)
        self._sessions.touch(session)
        return Asked(context, held, session, make_requester(read_visit(context), held.interaction))

    async def _take(self, asked: Asked, form: Form) -> Response:
        person_id = asked.session.person_id
        try:
            if "retry" in form:
                await self._raising.continue_items(person_id, asked.who)
            else:
                given, errors = parse_items(form, ITEMS, None, self._plan)
                if errors:
                    return await self._render(asked, form, errors)
                await self._raising.submit_items(person_id, given, asked.context.language, asked.who)
        except NotRaisable:
            return await self._render(asked)
        except Refusal as refusal:
            if refusal.code not in ITEM_ERRORS:
                raise
            error = FieldError(str(refusal.facts.get("field", "")), RAISE_WORDS.get(refusal.code, refusal.code), refusal.facts)
            return await self._render(asked, form, [error], refusal)
        # What could not be reached before may be reached now: the sign-in may ask again.
        await self._interactions.replace(asked.held, replace(asked.flow, unreachable_by=None))
        return RedirectResponse(asked.flow.way_on, 303)

    async def _render(
        self,
        asked: Asked,
        form: Form | None = None,
        errors: list[FieldError] | None = None,
        refusal: Refusal | None = None,
        *,
        opened: bool = False,
    ) -> Response:
        try:
            need = await self._raising.look(asked.session.person_id)
        except NotRaisable:
            return self._block(asked, NotRaisable.code, opened=opened)
        if need.register_differs:
            return self._block(asked, "raise_register_differs", opened=opened)
        if need.held is not None and need.held.checking:
            return self._answer(asked, "register_checking.html", look=asked.name_page())
        status, wait = judge_form(errors or (), refusal)
        draft = need.held.draft if need.held is not None else None
        view = view_items(draft.answers if draft is not None else (), draft.pending if draft is not None else (), self._serves)
        only_phone = _needs_only_phone(need, view)
        if only_phone and refusal is not None and refusal.code == "items_insufficient":
            # There is no number to check and nothing else to try.
            errors = [FieldError("phone_check", "raise_phone_differs")]
        register = [CheckKind.IDENTITY.value] if draft is not None and CheckKind.IDENTITY in draft.pending else []
        return self._answer(
            asked,
            "raise.html",
            status,
            headers=wait,
            errors=errors or [],
            phone=str(need.phone),
            earlier=_name_kinds(need.earlier - {CheckKind.PHONE}),
            done=view.done,
            count=0 if view.done else view.count,
            waiting=[*register, *view.waiting],
            items=list_item_fields(_list_open(need, view, only_phone=only_phone), form, self._plan),
            only_phone=only_phone,
            blocked="",
            opened=opened,
        )

    def _block(self, asked: Asked, words: str, *, opened: bool) -> Response:
        """Return the page that leads to the window and to the department."""
        nothing: dict[str, Any] = dict.fromkeys(("earlier", "done", "waiting", "items"), ())
        return self._answer(asked, "raise.html", phone="", count=0, only_phone=False, blocked=words, opened=opened, **nothing)

    def _answer(self, asked: Asked, template: str, status: int = 200, **values: Any) -> Response:
        flow = asked.flow
        department = flow.name_department(asked.context.language)
        return self._pages.render(
            asked.context, template, status, i=flow.id, csrf=flow.csrf, step=asked.held.step, department=department, **values
        )


def _needs_only_phone(need: Need, view: ItemsView) -> bool:
    """Tell whether the operator's match is all that is missing: another item matched before, or the level was reached before."""
    return CheckKind.PHONE.value not in view.done and (need.ial >= 3 or bool(need.earlier - {CheckKind.PHONE}))


def _list_open(need: Need, view: ItemsView, *, only_phone: bool) -> list[ProofingItem]:
    if only_phone:
        return [item for item in view.open if item.kind is CheckKind.PHONE]
    return [item for item in view.open if item.kind is CheckKind.PHONE or item.kind not in need.earlier]


def _name_kinds(kinds: Iterable[CheckKind]) -> list[str]:
    known = set(kinds)
    return [item.kind.value for item in ITEMS if item.kind in known]
