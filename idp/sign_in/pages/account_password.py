"""Decides how the change of a password is asked and answered; what was typed is never shown again."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.errors import Busy, judge_form
from idp.http.forms import FieldError
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import Refusal
from idp.platform.password_hashing import Overloaded
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account import Owner
from idp.sign_in.services.account_password import AccountPassword

PATH = "/account/password"
MAX_PASSWORD = 300
MAX_STEP = 64

FIELDS = {
    "current_password_wrong": "current_password",
    "password_unchanged": "password",
    "password_length": "password",
    "password_personal": "password",
    "password_common": "password",
    "sign_in_delayed": "",
    "sign_in_locked": "",
}
"""Refusals that are told in the form → the field they stand beside."""


class AccountPasswordPage:
    """``GET`` and ``POST /account/password``."""

    def __init__(self, pages: Pages, door: AccountDoor, password: AccountPassword) -> None:
        self._pages = pages
        self._door = door
        self._password = password

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the form, or what happened."""
        context = read_context(request)
        owner = await self._door.enter(context, PATH)
        if isinstance(owner, Response):
            return owner
        if request.query_params.get("done", "") == self._door.mark_done(owner, "password"):
            return self._pages.render(context, "account_password_done.html", phone=str(owner.phone) if owner.phone else "")
        return await self._ask(context, owner, [])

    async def submit(self, request: Request) -> Response:
        """Change the password."""
        context = read_context(request)
        read = await self._door.read(request, context, PATH)
        if isinstance(read, Response):
            return read
        owner, form = read
        typed = {name: form.get(name) for name in ("current_password", "password")}
        errors = [FieldError(name, f"{name}_empty") for name, text in typed.items() if not text.strip()]
        errors += [FieldError(name, "field_too_long") for name, text in typed.items() if len(text) > MAX_PASSWORD]
        if errors:
            return await self._ask(context, owner, errors)
        try:
            opened = await self._password.change(
                owner, form.get("step", MAX_STEP), typed["current_password"], typed["password"], read_visit(context)
            )
        except Overloaded:
            return await self._ask(context, owner, [FieldError("", Busy.code)], Busy())
        except StepRepeated as refusal:
            return self._pages.refuse(context, refusal, back_url=PATH)
        except Refusal as refusal:
            if refusal.code not in FIELDS:
                raise
            return await self._ask(context, owner, [FieldError(FIELDS[refusal.code], refusal.code, refusal.facts)], refusal)
        names = context.cookie_names
        context.set_cookie(names.set(names.session, opened.cookie))
        return RedirectResponse(f"{PATH}?done={self._door.mark_done(owner, 'password')}", 303)

    async def _ask(self, context: RequestContext, owner: Owner, errors: list[FieldError], refusal: Refusal | None = None) -> Response:
        status, wait = judge_form(errors, refusal)
        return self._pages.render(
            context,
            "account_password.html",
            status,
            headers=wait,
            csrf=owner.csrf,
            step=await self._password.find_step(owner),
            errors=errors,
        )
