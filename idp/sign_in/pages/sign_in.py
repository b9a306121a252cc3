"""Decides how a sign-in step is shown and read: forms in, the same page with what to correct, or 303 to where the flow goes on."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.errors import Busy, find_refusal_status
from idp.http.forms import FieldError, Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import Refusal
from idp.platform.password_hashing import Overloaded
from idp.sign_in.pages.visits import read_visit, set_cookies
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.interactions import Held, Interactions, require_step
from idp.sign_in.services.sign_in import SignIn
from idp.sign_in.services.visits import Answer, AskCode, AskPassword, Continue, Malformed, Visit

PATH = "/sign-in"
MAX_IDENTIFIER = 100
MAX_PASSWORD = 300
MAX_CODE = 20
MAX_HIDDEN = 200

FORM_CODES = frozenset({"wrong_credentials", "sign_in_delayed", "sign_in_locked", "code_wrong", "code_dead", "code_gone", "busy"})
"""Refusals that are told beside the form, which stays; all others are a page of their own."""


class SignInPage:
    """The form for identifier and password, and the form for the code: one address, the flow says which."""

    def __init__(self, pages: Pages, interactions: Interactions, sign_in: SignIn) -> None:
        self._pages = pages
        self._interactions = interactions
        self._sign_in = sign_in

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the step that the flow stands at; ``again=1`` begins anew with another account."""
        context = read_context(request)
        held: Held | None = None
        try:
            held = await self._interactions.read(request.query_params.get("i", ""), context.browser_cookie)
            if request.query_params.get("again") == "1":
                held = await self._sign_in.start_over(held)
                return RedirectResponse(f"{PATH}?i={quote(held.interaction.id, safe='')}", 303)
            answer = await self._sign_in.look(held, read_visit(context))
        except Refusal as refusal:
            return self._refuse(context, held, refusal)
        return self._answer(context, answer)

    async def submit(self, request: Request) -> Response:
        """Take one step: a password, a code, or the wish for another code."""
        context = read_context(request)
        held: Held | None = None
        try:
            form = await read_form(request)
            held = await self._interactions.read(form.get("i", MAX_HIDDEN), context.browser_cookie)
            require_csrf(context, form, held.interaction.csrf)
            require_step(held, form.get("step", MAX_HIDDEN))
            visit = read_visit(context)
            if "resend" in form:
                return self._answer(context, await self._sign_in.resend(held, visit))
            if "code" in form:
                return await self._submit_code(context, held, form, visit)
            return await self._submit_password(context, held, form, visit)
        except Refusal as refusal:
            return self._refuse(context, held, refusal)

    async def _submit_password(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        identifier, password = form.get("identifier"), form.get("password")
        errors = [FieldError(name, f"{name}_empty") for name in ("identifier", "password") if not form.get(name).strip()]
        limits = (("identifier", MAX_IDENTIFIER), ("password", MAX_PASSWORD))
        errors += [FieldError(name, "field_too_long") for name, most in limits if len(form.get(name)) > most]
        if errors:
            return self._show_password(context, held, errors, identifier[:MAX_IDENTIFIER])
        try:
            answer = await self._sign_in.submit_password(held, identifier, password, visit)
        except Overloaded:
            return self._show_password(context, held, [FieldError("", Busy.code)], identifier, Busy())
        except Refusal as refusal:
            if refusal.code not in FORM_CODES:
                raise
            field = "password" if refusal.code == "wrong_credentials" else ""
            return self._show_password(context, held, [FieldError(field, refusal.code, refusal.facts)], identifier, refusal)
        if isinstance(answer, Malformed):
            return self._show_password(context, held, [FieldError("identifier", answer.key)], identifier)
        return self._go_on(context, answer)

    async def _submit_code(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        typed = form.get("code")
        try:
            if not typed.strip():
                return await self._show_code_again(context, held, visit, FieldError("code", "code_empty"), 422)
            if len(typed) > MAX_CODE:
                return await self._show_code_again(context, held, visit, FieldError("code", "code_malformed"), 422)
            answer = await self._sign_in.submit_code(held, typed, visit)
            if isinstance(answer, Malformed):
                return await self._show_code_again(context, held, visit, FieldError("code", answer.key), 422)
        except Refusal as refusal:
            if refusal.code not in FORM_CODES:
                raise
            error = FieldError("code", refusal.code, refusal.facts)
            return await self._show_code_again(context, held, visit, error, find_refusal_status(refusal.code))
        return self._go_on(context, answer)

    def _go_on(self, context: RequestContext, answer: Continue | AskCode) -> Response:
        interaction_id = quote(answer.held.interaction.id, safe="")
        if isinstance(answer, AskCode):
            return RedirectResponse(f"{PATH}?i={interaction_id}", 303)
        set_cookies(context, answer)
        # Nothing was left to ask: should the flow's kind see that otherwise, it ends there instead of coming back for ever.
        once = "" if answer.session_cookie is not None else "&asked=1"
        return RedirectResponse(f"/continue?i={interaction_id}{once}", 303)

    def _answer(self, context: RequestContext, answer: Answer) -> Response:
        match answer:
            case AskPassword(held=held, notice=notice):
                names = context.cookie_names
                if notice is not None:
                    context.set_cookie(names.clear(names.session))
                return self._show_password(context, held, [], held.interaction.login_hint or "", notice=notice)
            case AskCode(problem=problem, sent=sent):
                errors = [FieldError("resend", problem.code, problem.facts)] if problem else []
                return self._show_code(context, answer, errors, find_refusal_status(problem.code) if problem else 200, sent)
            case Continue():
                return self._go_on(context, answer)

    def _show_password(
        self,
        context: RequestContext,
        held: Held,
        errors: list[FieldError],
        identifier: str,
        refusal: Refusal | None = None,
        notice: str | None = None,
    ) -> Response:
        status = find_refusal_status(refusal.code) if refusal else 422 if errors else 200
        return self._pages.render(
            context,
            "sign_in.html",
            status,
            headers=_name_wait(refusal, status),
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            department=held.interaction.name_department(context.language),
            identifier=identifier,
            errors=errors,
            notice=notice,
        )

    async def _show_code_again(self, context: RequestContext, held: Held, visit: Visit, error: FieldError, status: int) -> Response:
        return self._show_code(context, await self._sign_in.look_again(held, visit), [error], status)

    def _show_code(self, context: RequestContext, answer: AskCode, errors: list[FieldError], status: int, sent: bool = False) -> Response:
        held = answer.held
        return self._pages.render(
            context,
            "code.html",
            status,
            headers=_name_wait(answer.problem, status),
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            department=held.interaction.name_department(context.language),
            phone=str(answer.phone),
            minutes=self._sign_in.code_minutes,
            resent=sent,
            unsent=answer.unsent,
            errors=errors,
        )

    def _refuse(self, context: RequestContext, held: Held | None, refusal: Refusal) -> Response:
        if held is None:
            return self._pages.refuse(context, refusal)
        if isinstance(refusal, StepRepeated):
            return self._pages.refuse(context, refusal, back_url=f"/continue?i={quote(held.interaction.id, safe='')}")
        return self._pages.refuse(context, refusal, **held.interaction.way_back)


def _name_wait(refusal: Refusal | None, status: int) -> dict[str, str] | None:
    """Return the Retry-After header of a refusal that time heals (RFC 9110 §10.2.3)."""
    if refusal is None or status not in (429, 503):
        return None
    return {"retry-after": str(refusal.facts.get("seconds", 5))}
