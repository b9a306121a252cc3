"""Decides how a person freezes the own account, and how they are told what happened when nothing is signed in any more."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.people.rules.person import Status
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.account_refusals import FreezeImpossible
from idp.sign_in.services.account_freeze import AccountFreeze
from idp.sign_in.services.account_sessions import AccountSessions
from idp.sign_in.services.portal import ACCOUNT

PATH = "/account/freeze"
FROZEN = "/account/frozen"


class AccountFreezePage:
    """``GET`` and ``POST /account/freeze``, ``GET /account/frozen``."""

    def __init__(self, pages: Pages, door: AccountDoor, freeze: AccountFreeze, sessions: AccountSessions) -> None:
        self._pages = pages
        self._door = door
        self._freeze = freeze
        self._sessions = sessions

    def routes(self) -> list[Route]:
        """Return the routes of these pages."""
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, self.submit, methods=["POST"]),
            Route(FROZEN, self.show_frozen, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Explain what freezing does, and ask."""
        context = read_context(request)
        owner = await self._door.enter(context, PATH)
        if isinstance(owner, Response):
            return owner
        if not self._freeze.is_possible(owner.standing.status):
            return self._pages.refuse(context, FreezeImpossible(), back_url=ACCOUNT)
        return self._pages.render(context, "account_freeze.html", csrf=owner.csrf)

    async def submit(self, request: Request) -> Response:
        """Freeze; of forms that are sent together, or again, every one comes to the page that says so."""
        context = read_context(request)
        read = await self._door.read(request, context, PATH)
        refused = read if isinstance(read, Response) else None
        if not isinstance(read, Response):
            try:
                await self._freeze.freeze(read[0], read_visit(context))
            except FreezeImpossible as refusal:
                refused = self._pages.refuse(context, refusal, back_url=ACCOUNT)
        if refused is not None and not await self._is_frozen(context):
            return refused
        return RedirectResponse(FROZEN, 303)

    async def show_frozen(self, request: Request) -> Response:
        """Say what happened and how it is undone, to the browser whose sign-in ended by it; anybody else goes to the account."""
        context = read_context(request)
        if not await self._is_frozen(context):
            return RedirectResponse(ACCOUNT, 303)
        return self._pages.render(context, "account_frozen.html")

    async def _is_frozen(self, context: RequestContext) -> bool:
        """Tell whether this browser's sign-in ended because the account was frozen."""
        return await self._sessions.find_end(context.session_cookie) == Status.FROZEN.value
