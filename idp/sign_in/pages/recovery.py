"""Decides how a recovery is shown and read: one address and the step that it stands at; the page with what to correct, or 303."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.browser_binding import bind_browser
from idp.http.errors import Busy, judge_form
from idp.http.forms import FieldError, Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.clock import SHANGHAI, Clock
from idp.kernel.errors import Refusal
from idp.people.rules.identifiers import DOCUMENT_KINDS
from idp.people.rules.names import NameSlip, check_name
from idp.people.rules.recovery import OTHER_ITEMS, RecoveryStep
from idp.platform.password_hashing import Overloaded
from idp.sign_in.pages.registration_forms import (
    MAX_CODE,
    MAX_HIDDEN,
    MAX_PASSWORD,
    TypedIdentity,
    list_item_fields,
    parse_items,
    parse_typed_document,
    read_typed_identity,
)
from idp.sign_in.pages.visits import read_visit, set_cookies
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.portal import Portal
from idp.sign_in.services.recovery_codes import CodeAsked
from idp.sign_in.services.recovery_states import HeldRecovery
from idp.sign_in.services.visits import Visit
from idp.sign_in.services.ways_in import WaysIn

PATH: Final = "/recover"

CODE_ERRORS: Final = frozenset({"code_wrong", "code_dead", "code_gone", "sign_in_delayed", "code_sign_in_locked"})
ITEM_ERRORS: Final = frozenset({"recovery_unproved", "authority_unavailable", "checks_limited", "checks_busy"})
PASSWORD_ERRORS: Final = frozenset({"password_length", "password_personal", "password_common"})
"""Refusals that are told beside the form, which stays."""

WORDS: Final = {"authority_unavailable": "recovery_silent", "checks_limited": "items_limited"}
"""Refusals that the page of the item tells in words of its own."""

AT: Final = {RecoveryStep.CODE: 2, RecoveryStep.ITEM: 3, RecoveryStep.PASSWORD: 4}
STEPS: Final = 4


@dataclass(frozen=True)
class _Stand:
    """One request of a flow, and the recovery that the flow has, if it has one."""

    context: RequestContext
    flow: Held
    held: HeldRecovery | None
    visit: Visit


class RecoveryPage:
    """Name and document, code, one further item, a new password."""

    def __init__(self, pages: Pages, interactions: Interactions, portal: Portal, ways_in: WaysIn, clock: Clock) -> None:
        self._pages = pages
        self._interactions = interactions
        self._portal = portal
        self._recoveries = ways_in.recoveries
        self._codes = ways_in.recovery_codes
        self._end = ways_in.recovery_end
        self._minutes = ways_in.sign_in.code_minutes
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the step that the recovery stands at; ``again=1`` begins anew, without a flow one of the portal is begun."""
        context = read_context(request)
        interaction_id = request.query_params.get("i", "")
        stand: _Stand | None = None
        try:
            if not interaction_id:
                return await self._begin(context)
            stand = await self._enter(context, interaction_id)
            if request.query_params.get("again") == "1":
                await self._recoveries.end(stand.flow.interaction)
                return self._go_on(stand)
            if stand.held is not None and stand.held.step is RecoveryStep.CODE:
                return self._show_code(stand, await self._codes.look(stand.flow, stand.held, stand.visit))
            return self._show_step(stand)
        except Refusal as refusal:
            return self._refuse(context, interaction_id, refusal, stand)

    async def submit(self, request: Request) -> Response:
        """Take one step."""
        context = read_context(request)
        interaction_id = ""
        stand: _Stand | None = None
        try:
            form = await read_form(request)
            interaction_id = form.get("i", MAX_HIDDEN)
            stand = await self._enter(context, interaction_id)
            require_csrf(context, form, stand.flow.interaction.csrf)
            token = form.get("step", MAX_HIDDEN)
            if "resend" in form or "code" in form:
                held = await self._recoveries.require(stand.flow.interaction, RecoveryStep.CODE, token)
                return await self._submit_code(stand, held, form)
            if "password" in form:
                held = await self._recoveries.require(stand.flow.interaction, RecoveryStep.PASSWORD, token)
                return await self._submit_password(stand, held, form)
            if "name" in form:
                return await self._submit_identity(stand, form)
            held = await self._recoveries.require(stand.flow.interaction, RecoveryStep.ITEM, token)
            return await self._submit_items(stand, held, form)
        except Refusal as refusal:
            return self._refuse(context, interaction_id, refusal, stand)

    async def _begin(self, context: RequestContext) -> Response:
        interaction = await self._portal.begin(bind_browser(context, self._interactions.make_browser_cookie), context.address)
        return RedirectResponse(interaction.name_page(PATH), 303)

    async def _enter(self, context: RequestContext, interaction_id: str) -> _Stand:
        flow = await self._interactions.read(interaction_id, context.browser_cookie)
        return _Stand(context, flow, await self._recoveries.find(flow.interaction), read_visit(context))

    async def _submit_identity(self, stand: _Stand, form: Form) -> Response:
        name = check_name(form.get("name"))
        kind = form.get("document_kind") or DOCUMENT_KINDS[0].value
        document = parse_typed_document(kind, form.get("id_number"), self._clock().astimezone(SHANGHAI).date())
        errors = [FieldError("name", f"name_{name.value}")] if isinstance(name, NameSlip) else []
        errors += [document] if isinstance(document, FieldError) else []
        if isinstance(name, NameSlip) or isinstance(document, FieldError):
            return self._show_identity(stand, read_typed_identity(form), errors)
        if stand.held is not None and stand.held.token != form.get("step", MAX_HIDDEN):
            raise StepRepeated
        await self._codes.start(stand.flow, name.value, document)
        return self._go_on(stand)

    async def _submit_code(self, stand: _Stand, held: HeldRecovery, form: Form) -> Response:
        if "resend" in form:
            return self._show_code(stand, await self._codes.resend(stand.flow, held, stand.visit))
        typed = form.get("code")
        asked = CodeAsked(held, unsent=held.recovery.sends == 0)
        if not typed.strip():
            return self._show_code(stand, asked, [FieldError("code", "code_empty")])
        try:
            moved = await self._codes.submit(stand.flow, held, typed[: MAX_CODE + 1], stand.visit)
        except Refusal as refusal:
            if refusal.code not in CODE_ERRORS:
                raise
            field = "" if refusal.code in ("sign_in_delayed", "code_sign_in_locked") else "code"
            return self._show_code(stand, asked, [FieldError(field, refusal.code, refusal.facts)], refusal)
        if moved is None:
            return self._show_code(stand, asked, [FieldError("code", "code_malformed")])
        return self._go_on(stand)

    async def _submit_items(self, stand: _Stand, held: HeldRecovery, form: Form) -> Response:
        given, errors = parse_items(form, OTHER_ITEMS, held.recovery.document, self._end.plan)
        if not given and not errors:
            errors = [FieldError("", "recovery_item_empty")]
        if errors:
            return self._show_items(stand, held, form, errors)
        try:
            await self._end.submit_items(stand.flow, held, given, stand.visit)
        except Refusal as refusal:
            if refusal.code not in ITEM_ERRORS:
                raise
            again = await self._recoveries.find(stand.flow.interaction)
            facts = {**refusal.facts, "authority": self._name_authorities(stand.context, str(refusal.facts.get("kinds", "")))}
            return self._show_items(stand, again or held, form, [FieldError("", WORDS.get(refusal.code, refusal.code), facts)], refusal)
        return self._go_on(stand)

    async def _submit_password(self, stand: _Stand, held: HeldRecovery, form: Form) -> Response:
        password = form.get("password")
        if not password.strip() or len(password) > MAX_PASSWORD:
            key = "field_too_long" if password.strip() else "password_empty"
            return self._show_password(stand, held, [FieldError("password", key)])
        try:
            done = await self._end.submit_password(stand.flow, held, password, stand.visit)
        except Overloaded:
            return self._show_password(stand, held, [FieldError("", Busy.code)], Busy())
        except Refusal as refusal:
            if refusal.code not in PASSWORD_ERRORS:
                raise
            return self._show_password(stand, held, [FieldError("password", refusal.code, refusal.facts)], refusal)
        set_cookies(stand.context, done)
        return RedirectResponse(done.held.interaction.way_on, 303)

    # ---- pages ----

    def _show_step(self, stand: _Stand) -> Response:
        if stand.held is None:
            return self._show_identity(stand, TypedIdentity(), [])
        if stand.held.step is RecoveryStep.ITEM:
            return self._show_items(stand, stand.held, None, [])
        return self._show_password(stand, stand.held, [])

    def _show_identity(self, stand: _Stand, typed: TypedIdentity, errors: list[FieldError]) -> Response:
        return self._draw(stand, "recover_identity.html", stand.held, 1, errors, None, kinds=DOCUMENT_KINDS, typed=typed)

    def _show_code(
        self, stand: _Stand, asked: CodeAsked, errors: list[FieldError] | None = None, refusal: Refusal | None = None
    ) -> Response:
        problem = asked.problem
        if problem is not None:
            errors, refusal = [FieldError("resend", problem.code, problem.facts)], problem
        return self._draw(
            stand,
            "recover_code.html",
            asked.held,
            AT[RecoveryStep.CODE],
            errors or [],
            refusal,
            minutes=self._minutes,
            resent=asked.sent,
            unsent=asked.unsent,
        )

    def _show_items(
        self, stand: _Stand, held: HeldRecovery, form: Form | None, errors: list[FieldError], refusal: Refusal | None = None
    ) -> Response:
        served = [item for item in OTHER_ITEMS if self._end.serves(item.kind)]
        items = list_item_fields(served, form, self._end.plan)
        return self._draw(stand, "recover_item.html", held, AT[RecoveryStep.ITEM], errors, refusal, items=items, phone="")

    def _show_password(self, stand: _Stand, held: HeldRecovery, errors: list[FieldError], refusal: Refusal | None = None) -> Response:
        return self._draw(stand, "recover_password.html", held, AT[RecoveryStep.PASSWORD], errors, refusal)

    def _draw(
        self,
        stand: _Stand,
        template: str,
        held: HeldRecovery | None,
        at: int,
        errors: list[FieldError],
        refusal: Refusal | None,
        **values: Any,
    ) -> Response:
        status, wait = judge_form(errors, refusal)
        interaction = stand.flow.interaction
        return self._pages.render(
            stand.context,
            template,
            status,
            headers=wait,
            i=interaction.id,
            csrf=interaction.csrf,
            step=held.token if held is not None else "",
            department=interaction.name_department(stand.context.language),
            at=at,
            all=STEPS,
            errors=errors,
            **values,
        )

    def _name_authorities(self, context: RequestContext, kinds: str) -> str:
        names = [self._pages.messages.text(context.language, f"authority_{kind}") for kind in kinds.split(",") if kind]
        return ("、" if context.language == "zh-CN" else ", ").join(names)

    def _go_on(self, stand: _Stand) -> Response:
        return RedirectResponse(stand.flow.interaction.name_page(PATH), 303)

    def _refuse(self, context: RequestContext, interaction_id: str, refusal: Refusal, stand: _Stand | None) -> Response:
        if isinstance(refusal, StepRepeated) or refusal.code == "recovery_gone":
            return self._pages.refuse(context, refusal, back_url=f"{PATH}?{urlencode({'i': interaction_id})}")
        if stand is None:
            return self._pages.refuse(context, refusal)
        return self._pages.refuse(context, refusal, **stand.flow.interaction.way_back)
