"""Decides how a person's sign-ins are shown and ended from another device."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.rendering import Pages
from idp.http.request_context import read_context
from idp.sign_in.pages.account import NameClient
from idp.sign_in.pages.account_door import AccountDoor
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.services.account_sessions import AccountSessions

PATH = "/account/sessions"
MAX_HANDLE = 64


class AccountSessionsPage:
    """``GET`` and ``POST /account/sessions``."""

    def __init__(self, pages: Pages, door: AccountDoor, sessions: AccountSessions, name_client: NameClient) -> None:
        self._pages = pages
        self._door = door
        self._sessions = sessions
        self._name_client = name_client

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show where the person is signed in."""
        context = read_context(request)
        owner = await self._door.enter(context, PATH)
        if isinstance(owner, Response):
            return owner
        done = request.query_params.get("done", "")
        sessions = await self._sessions.list(owner)
        apps = {one.app_client_id for one in sessions if one.app_client_id is not None}
        return self._pages.render(
            context,
            "account_sessions.html",
            csrf=owner.csrf,
            sessions=sessions,
            apps={one: await self._name_client(one, context.language) for one in apps},
            done=next((what for what in ("one", "others") if done == self._door.mark_done(owner, what)), ""),
        )

    async def submit(self, request: Request) -> Response:
        """End one sign-in, or all others; whatever this page does not name (any more) stays as it is."""
        context = read_context(request)
        read = await self._door.read(request, context, PATH)
        if isinstance(read, Response):
            return read
        owner, form = read
        if form.get("others", 10):
            # Without another sign-in there may still be what a terminal got, or a department without the person being there.
            await self._sessions.end_others(owner, read_visit(context))
            what, ended = "others", True
        else:
            what, ended = "one", await self._sessions.end_one(owner, form.get("session", MAX_HANDLE), read_visit(context))
        return RedirectResponse(f"{PATH}?done={self._door.mark_done(owner, what)}" if ended else PATH, 303)
