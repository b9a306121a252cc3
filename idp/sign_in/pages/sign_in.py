"""Decides how a sign-in step is shown and read: forms in, the same page with what to correct, or 303 to where the flow goes on."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.authenticators.rules.proof_of_work import Proof
from idp.http.errors import Busy
from idp.http.forms import FieldError, Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import Refusal
from idp.platform.password_hashing import Overloaded
from idp.sign_in.pages.sign_in_forms import CODE_WAY, SignInForms
from idp.sign_in.pages.visits import read_visit, set_cookies
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.interactions import Held, Interactions, require_step
from idp.sign_in.services.sign_in import SignIn
from idp.sign_in.services.visits import (
    Answer,
    AskCode,
    AskFirstCode,
    AskNewPassword,
    AskPasskey,
    AskPassword,
    AskSecret,
    Continue,
    Malformed,
    Visit,
)

PATH = "/sign-in"
MAX_IDENTIFIER = 100
MAX_PASSWORD = 300
MAX_CODE = 20
MAX_DOCUMENT_END = 20
MAX_HIDDEN = 200
MAX_PASSKEY = 20_000

FORM_CODES = frozenset(
    {
        *("wrong_credentials", "sign_in_delayed", "sign_in_locked", "code_sign_in_locked", "busy", "proof_wanted"),
        *("code_wrong", "code_or_document_wrong", "code_dead", "code_gone"),
        *("password_length", "password_personal", "password_common"),
        *("passkey_refused", "passkey_of_another"),
    }
)
"""Refusals that are told beside the form, which stays; all others are a page of their own."""


class SignInPage:
    """All forms of a sign-in: one address, the flow says which."""

    def __init__(self, pages: Pages, interactions: Interactions, sign_in: SignIn) -> None:
        self._pages = pages
        self._interactions = interactions
        self._sign_in = sign_in
        self._forms = SignInForms(pages, sign_in.code_minutes, sign_in.ask_passkey)

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the step that the flow stands at; ``again=1`` begins anew with another account, ``way`` chooses code or password."""
        context = read_context(request)
        held: Held | None = None
        way = request.query_params.get("way", "")
        try:
            held = await self._interactions.read(request.query_params.get("i", ""), context.browser_cookie)
            if request.query_params.get("again") == "1":
                return self._come_back(await self._sign_in.start_over(held))
            if way and held.interaction.claimed:
                return self._come_back(await self._sign_in.change_way(held), way)
            answer = await self._sign_in.look(held, read_visit(context))
        except Refusal as refusal:
            return self._refuse(context, held, refusal)
        return self._answer(context, answer, way)

    async def submit(self, request: Request) -> Response:
        """Take one step: an identifier, a password, a code, a passkey, another password, or the wish for another code.

        ``redraw`` takes none.
        """
        context = read_context(request)
        held: Held | None = None
        try:
            form = await read_form(request)
            held = await self._interactions.read(form.get("i", MAX_HIDDEN), context.browser_cookie)
            require_csrf(context, form, held.interaction.csrf)
            require_step(held, form.get("step", MAX_HIDDEN))
            if "redraw" in form:
                return self._redraw(context, held, form)
            visit = replace(read_visit(context), proof=_read_proof(form))
            if "resend" in form:
                return self._answer(context, await self._sign_in.resend(held, visit))
            if "code" in form:
                return await self._submit_code(context, held, form, visit)
            match form.get("ask", MAX_HIDDEN):
                case "code":
                    return await self._ask_code(context, held, form)
                case "secret":
                    return await self._submit_secret(context, held, form, visit)
                case "passkey":
                    return await self._submit_passkey(context, held, form, visit)
                case "without":
                    return self._resume(await self._sign_in.go_without_passkey(held, visit))
                case "new":
                    return await self._submit_new_password(context, held, form, visit)
                case _:
                    return await self._submit_password(context, held, form, visit)
        except Refusal as refusal:
            return self._refuse(context, held, refusal)

    def _redraw(self, context: RequestContext, held: Held, form: Form) -> Response:
        identifier = form.get("identifier")[:MAX_IDENTIFIER]
        if form.get("ask", MAX_HIDDEN) == CODE_WAY:
            return self._forms.show_identifier(context, held, identifier, [])
        return self._forms.show_password(context, held, identifier, [])

    async def _ask_code(self, context: RequestContext, held: Held, form: Form) -> Response:
        identifier = form.get("identifier")
        errors = _check_text("identifier", identifier, MAX_IDENTIFIER)
        if not errors:
            answer = await self._sign_in.ask_first_code(held, identifier)
            if not isinstance(answer, Malformed):
                return self._go_on(context, answer)
            errors = [FieldError("identifier", answer.key)]
        return self._forms.show_identifier(context, held, identifier[:MAX_IDENTIFIER], errors)

    async def _submit_password(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        identifier, password = form.get("identifier"), form.get("password")
        errors = [*_check_text("identifier", identifier, MAX_IDENTIFIER), *_check_text("password", password, MAX_PASSWORD)]
        if errors:
            return self._forms.show_password(context, held, identifier[:MAX_IDENTIFIER], errors)
        try:
            answer = await self._sign_in.submit_password(held, identifier, password, visit)
        except Overloaded:
            return self._forms.show_password(context, held, identifier, [FieldError("", Busy.code)], Busy())
        except Refusal as refusal:
            return self._forms.show_password(context, held, identifier, [_place(refusal, "password")], refusal)
        if isinstance(answer, Malformed):
            return self._forms.show_password(context, held, identifier, [FieldError("identifier", answer.key)])
        return self._go_on(context, answer)

    async def _submit_secret(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        password = form.get("password")
        errors = _check_text("password", password, MAX_PASSWORD)
        if errors:
            return self._forms.show_secret(context, held, errors)
        try:
            answer = await self._sign_in.submit_secret(held, password, visit)
        except Overloaded:
            return self._forms.show_secret(context, held, [FieldError("", Busy.code)], Busy())
        except Refusal as refusal:
            return self._forms.show_secret(context, held, [_place(refusal, "password")], refusal)
        return self._go_on(context, answer) if not isinstance(answer, Malformed) else self._forms.show_secret(context, held, [])

    async def _submit_passkey(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        try:
            return self._go_on(context, await self._sign_in.submit_passkey(held, form.get("passkey", MAX_PASSKEY), visit))
        except Refusal as refusal:
            error = _place(refusal, "by-passkey")
            if held.interaction.resistant:
                return self._forms.show_passkey(context, await self._sign_in.look_at_passkey(held, visit), [error], refusal)
            return self._forms.show_password(context, held, held.interaction.login_hint or "", [error], refusal)

    async def _submit_new_password(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        password = form.get("password")
        errors = _check_text("password", password, MAX_PASSWORD)
        refusal: Refusal | None = None
        if not errors:
            try:
                return self._go_on(context, await self._sign_in.submit_new_password(held, password, visit))
            except Overloaded:
                errors, refusal = [FieldError("", Busy.code)], Busy()
            except Refusal as refused:
                errors, refusal = [_place(refused, "password")], refused
        return self._forms.show_new_password(context, await self._sign_in.look_at_new_password(held, visit), errors, refusal)

    async def _submit_code(self, context: RequestContext, held: Held, form: Form, visit: Visit) -> Response:
        typed, end = form.get("code"), form.get("document_end")
        first = bool(held.interaction.claimed)
        errors: list[FieldError] = []
        refusal: Refusal | None = None
        if not typed.strip():
            errors.append(FieldError("code", "code_empty"))
        elif len(typed) > MAX_CODE:
            errors.append(FieldError("code", "code_malformed"))
        if first and "document_end" in form and not end.strip():
            errors.append(FieldError("document_end", "document_end_empty"))
        if not errors:
            try:
                answer = await (
                    self._sign_in.submit_first_code(held, typed, end[:MAX_DOCUMENT_END], visit)
                    if first
                    else self._sign_in.submit_code(held, typed, visit)
                )
                if not isinstance(answer, Malformed):
                    return self._go_on(context, answer)
                errors = [FieldError(answer.field or "code", answer.key)]
            except Refusal as refused:
                errors, refusal = [_place(refused, "code")], refused
        shown = await self._sign_in.look_again(held, visit)
        return self._forms.show_code(context, shown, errors, refusal)

    def _answer(self, context: RequestContext, answer: Answer, way: str = "") -> Response:
        match answer:
            case AskPassword(held=held, notice=notice):
                names = context.cookie_names
                if notice is not None:
                    context.set_cookie(names.clear(names.session))
                identifier = held.interaction.login_hint or ""
                if way == CODE_WAY:
                    return self._forms.show_identifier(context, held, identifier, [], notice=notice)
                return self._forms.show_password(context, held, identifier, [], notice=notice)
            case AskCode(problem=problem) | AskFirstCode(problem=problem):
                errors = [FieldError("resend", problem.code, problem.facts)] if problem else []
                return self._forms.show_code(context, answer, errors, problem)
            case AskSecret(held=held):
                return self._forms.show_secret(context, held, [])
            case AskPasskey():
                return self._forms.show_passkey(context, answer, [])
            case AskNewPassword():
                return self._forms.show_new_password(context, answer, [])
            case Continue():
                return self._go_on(context, answer)

    def _go_on(self, context: RequestContext, answer: Answer) -> Response:
        if not isinstance(answer, Continue):
            return self._come_back(answer.held)
        set_cookies(context, answer)
        # Nothing was left to ask: should the flow's kind see that otherwise, it ends there instead of coming back for ever.
        once = "" if answer.session_cookie is not None else "&asked=1"
        return RedirectResponse(answer.held.interaction.way_on + once, 303)

    def _resume(self, held: Held) -> Response:
        return RedirectResponse(held.interaction.way_on, 303)

    def _come_back(self, held: Held, way: str = "") -> Response:
        chosen = {"way": CODE_WAY} if way == CODE_WAY else {}
        return RedirectResponse(held.interaction.name_page(PATH, **chosen), 303)

    def _refuse(self, context: RequestContext, held: Held | None, refusal: Refusal) -> Response:
        if held is None:
            return self._pages.refuse(context, refusal)
        if isinstance(refusal, StepRepeated):
            return self._pages.refuse(context, refusal, back_url=held.interaction.way_on)
        return self._pages.refuse(context, refusal, **held.interaction.way_back)


def _read_proof(form: Form) -> Proof | None:
    """Return the work that the browser did, None for none."""
    text = form.get("puzzle", MAX_HIDDEN)
    return Proof(text, form.get("proof", MAX_HIDDEN)) if text else None


def _check_text(name: str, text: str, most: int) -> list[FieldError]:
    if not text.strip():
        return [FieldError(name, f"{name}_empty")]
    return [FieldError(name, "field_too_long")] if len(text) > most else []


def _place(refusal: Refusal, field: str) -> FieldError:
    """Return the refusal as an error of the form; raise what is a page of its own. Waits and locks are about no field."""
    if refusal.code not in FORM_CODES:
        raise refusal
    aside = refusal.code.startswith("sign_in_") or refusal.code in ("code_sign_in_locked", "busy", "proof_wanted")
    return FieldError("" if aside else field, refusal.code, refusal.facts)
