"""Decides how the steps of the online registration are shown and read: forms in, the same page with what to correct, or 303 to the next."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import read_context
from idp.kernel.checks import CheckKind
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.people.rules.masking import mask_name
from idp.people.rules.proofing_items import ItemPlan
from idp.people.rules.registration import Step
from idp.people.services.drafts import HeldDraft
from idp.people.services.registration import Registration
from idp.sign_in.pages.registration_account import AccountSteps
from idp.sign_in.pages.registration_door import AT, PATH, RegistrationDoor, Stand
from idp.sign_in.pages.registration_forms import MAX_HIDDEN
from idp.sign_in.pages.registration_identity import IdentitySteps
from idp.sign_in.pages.registration_items import ItemsStep
from idp.sign_in.services.arrival import Arrival

Show = Callable[[Stand, str], Awaitable[Response]]
Take = Callable[[Stand, Form], Awaitable[Response]]


class RegistrationPages:
    """The five steps, each at an address of its own; the draft says which of them is next."""

    def __init__(
        self,
        pages: Pages,
        door: RegistrationDoor,
        registration: Registration,
        arrival: Arrival,
        serves: Callable[[CheckKind], bool],
        plan: ItemPlan,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._door = door
        self._registration = registration
        self._arrival = arrival
        identity = IdentitySteps(door, registration, arrival, clock)
        items = ItemsStep(door, registration, serves, plan)
        account = AccountSteps(door, registration, arrival, serves)
        self._steps: Mapping[Step, tuple[Show, Take]] = {
            Step.IDENTITY: (identity.show_identity, identity.take_identity),
            Step.CODE: (identity.show_code, identity.take_code),
            Step.CHECK: (identity.show_check, identity.take_check),
            Step.ITEMS: (items.show_items, items.take_items),
            Step.PASSWORD: (account.show_password, account.take_password),
            Step.AGREEMENT: (account.show_agreement, account.take_agreement),
        }

    def routes(self) -> list[Route]:
        """Return the routes of the entry and of every step."""
        routes = [Route(PATH, self.enter, methods=["GET"]), Route(PATH, self.choose, methods=["POST"])]
        for step in self._steps:
            path = f"{PATH}/{step.value}"
            routes.append(Route(path, partial(self._show, step), methods=["GET"]))
            routes.append(Route(path, partial(self._take, step), methods=["POST"]))
        return routes

    async def enter(self, request: Request) -> Response:
        """Begin, go on, or ask whether to go on with what was begun in an earlier visit."""
        context = read_context(request)
        try:
            interaction_id = request.query_params.get("i", "")
            if not interaction_id:
                begun = await self._door.begin(context)
                return RedirectResponse(begun.name_page(PATH), 303)
            stand = await self._door.enter(context, interaction_id, PATH)
            if isinstance(stand, Response):
                return stand
            if stand.draft is None or stand.draft.step is Step.DONE or stand.draft.draft.flow == stand.interaction.id:
                return self._door.go_on(stand)
            draft = stand.draft.draft
            return self._door.render_alone(stand, "register_resume.html", name=mask_name(draft.name), at=AT[stand.draft.step])
        except Refusal as refusal:
            return self._pages.refuse(context, refusal)

    async def choose(self, request: Request) -> Response:
        """Go on with an earlier visit's registration, or forget it and begin anew."""
        context = read_context(request)
        try:
            form = await read_form(request)
            stand = await self._door.enter(context, form.get("i", MAX_HIDDEN), PATH, posted=True)
            if isinstance(stand, Response):
                return stand
            require_csrf(context, form, stand.interaction.csrf)
            if stand.draft is None or stand.draft.step is Step.DONE or form.get("step", MAX_HIDDEN) != stand.token:
                return self._door.go_on(stand)
            if "restart" in form:
                await self._registration.forget(stand.draft)
                self._door.drop_cookie(context)
                return self._door.go_on(replace(stand, draft=None))
            stand = await self._renew(stand, stand.draft)
            return self._door.go_on(stand)
        except Refusal as refusal:
            return self._pages.refuse(context, refusal)

    async def _renew(self, stand: Stand, draft: HeldDraft) -> Stand:
        kept = self._arrival.keep(stand.interaction)
        return replace(stand, draft=await self._registration.renew_origin(draft, stand.interaction.id, kept, anew=True))

    async def _show(self, step: Step, request: Request) -> Response:
        context = read_context(request)
        stand: Stand | Response | None = None
        try:
            stand = await self._door.enter(context, request.query_params.get("i", ""), f"{PATH}/{step.value}")
            if isinstance(stand, Response):
                return stand
            elsewhere = self._door.find_elsewhere(stand, step)
            return elsewhere if elsewhere is not None else await self._steps[step][0](stand, request.query_params.get("why", ""))
        except Refusal as refusal:
            return await self._refuse(stand, refusal) if isinstance(stand, Stand) else self._pages.refuse(context, refusal)

    async def _take(self, step: Step, request: Request) -> Response:
        context = read_context(request)
        stand: Stand | Response | None = None
        try:
            form = await read_form(request)
            stand = await self._door.enter(context, form.get("i", MAX_HIDDEN), f"{PATH}/{step.value}", posted=True)
            if isinstance(stand, Response):
                return stand
            require_csrf(context, form, stand.interaction.csrf)
            done = stand.draft is not None and stand.draft.step is Step.DONE
            if not (done and step is Step.AGREEMENT):
                elsewhere = self._door.find_elsewhere(stand, step)
                if elsewhere is not None:
                    return elsewhere if stand.draft is None else self._door.go_on(stand)
            return await self._steps[step][1](stand, form)
        except Refusal as refusal:
            return await self._refuse(stand, refusal) if isinstance(stand, Stand) else self._pages.refuse(context, refusal)

    # ---- refusals ----

    async def _refuse(self, stand: Stand, refusal: Refusal) -> Response:
        """Return the page of a step that could not be taken; most lead to the step at which the registration stands now."""
        match refusal.code:
            case "account_exists":
                self._door.drop_cookie(stand.context)
                return self._door.render_alone(stand, "register_exists.html", 409)
            case "phone_full":
                return RedirectResponse(stand.name_page(Step.IDENTITY, why="phone_full"), 303)
            case "checks_limited" | "checks_busy":
                return self._door.refuse(stand, refusal, stand.name_page(Step.CHECK))
            case "still_checking" | "draft_moved" | "step_repeated" | "identity_mismatch" | "identity_not_found" | "authority_unavailable":
                again = await self._door.enter_again(stand)
                silent = refusal.code == "authority_unavailable" and again.draft is not None and again.draft.step is Step.CHECK
                return self._door.go_on(again, **({"why": "silent"} if silent else {}))
            case _:
                pass
        return self._door.refuse(stand, refusal)
