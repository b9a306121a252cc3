"""Decides how a person's passkeys are shown, added and removed; the device itself is asked by a script."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.errors import find_refusal_status
from idp.http.forms import FieldError, Form
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import Refusal
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.account_device import recognize_device
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account import Owner
from idp.sign_in.services.account_passkeys import AccountPasskeys

PATH = "/account/passkeys"
MAX_HANDLE = 64
MAX_NAME = 200
MAX_PASSKEY = 20_000

FORM_CODES = frozenset({"passkey_refused", "passkeys_full", "last_way_in"})
"""Refusals that are told on the page itself."""


class AccountPasskeysPage:
    """``GET`` and ``POST /account/passkeys``."""

    def __init__(self, pages: Pages, door: AccountDoor, passkeys: AccountPasskeys) -> None:
        self._pages = pages
        self._door = door
        self._passkeys = passkeys

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the passkeys."""
        context = read_context(request)
        owner = await self._door.enter(context, PATH)
        if isinstance(owner, Response):
            return owner
        told = request.query_params.get("done", "")
        done = next((what for what in ("added", "removed") if told == self._door.mark_done(owner, f"passkey {what}")), "")
        return await self._draw(context, owner, done=done)

    async def submit(self, request: Request) -> Response:
        """Add or remove a passkey, or begin to prove again who this is."""
        context = read_context(request)
        read = await self._door.read(request, context, PATH)
        if isinstance(read, Response):
            return read
        owner, form = read
        what = form.get("do", 10)
        if what == "confirm" or (what in ("add", "remove") and not self._passkeys.is_fresh(owner)):
            return await self._door.confirm(context, PATH)
        try:
            done = await self._take(context, owner, form, what)
        except StepRepeated as refusal:
            return self._pages.refuse(context, refusal, back_url=PATH)
        except Refusal as refusal:
            if refusal.code not in FORM_CODES:
                raise
            error = FieldError("", refusal.code, refusal.facts)
            return await self._draw(context, owner, errors=[error], status=find_refusal_status(refusal.code))
        return RedirectResponse(f"{PATH}?done={self._door.mark_done(owner, f'passkey {done}')}" if done else PATH, 303)

    async def _take(self, context: RequestContext, owner: Owner, form: Form, what: str) -> str:
        visit = read_visit(context)
        if what == "add":
            name, suggested = form.get("name", MAX_NAME), self._suggest(context)
            await self._passkeys.add(owner, name, suggested, form.get("passkey", MAX_PASSKEY), visit)
            return "added"
        if what == "remove" and await self._passkeys.remove(owner, form.get("handle", MAX_HANDLE), visit):
            return "removed"
        return ""

    def _suggest(self, context: RequestContext) -> str:
        """Return the device's name in the person's language."""
        device = recognize_device(context.device)
        return self._pages.messages.text(context.language, f"system_{device.system}")

    async def _draw(
        self, context: RequestContext, owner: Owner, errors: list[FieldError] | None = None, status: int = 200, done: str = ""
    ) -> Response:
        shown = await self._passkeys.list(owner)
        fresh = self._passkeys.is_fresh(owner)
        return self._pages.render(
            context,
            "account_passkeys.html",
            status,
            csrf=owner.csrf,
            passkeys=shown,
            fresh=fresh,
            full=self._passkeys.is_full(shown),
            options=await self._passkeys.ask(owner),
            name=self._suggest(context),
            done=done,
            errors=errors or [],
        )
