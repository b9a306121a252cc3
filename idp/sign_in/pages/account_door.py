"""Decides who may see the account's pages: the owner, whose forms carry the token of this sign-in; others sign in and come back."""

from starlette.requests import Request
from starlette.responses import Response

from idp.http.forms import Form, read_form
from idp.http.guards import FormForged, require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext
from idp.sign_in.pages.portal import begin_portal
from idp.sign_in.services.account import Account, Owner
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.portal import Portal


class AccountDoor:
    """Every page of the account is entered here."""

    def __init__(self, pages: Pages, account: Account, interactions: Interactions, portal: Portal) -> None:
        self._pages = pages
        self._account = account
        self._interactions = interactions
        self._portal = portal

    async def enter(self, context: RequestContext, path: str) -> Owner | Response:
        """Return the owner, or the answer that leads through a sign-in back to ``path``."""
        owner = await self._account.find_owner(context.session_cookie)
        return owner if owner is not None else await begin_portal(context, self._interactions, self._portal, path)

    async def confirm(self, context: RequestContext, path: str) -> Response:
        """Return the answer that leads through two factors, proved anew, back to ``path``."""
        return await begin_portal(context, self._interactions, self._portal, path, again=True)

    async def read(self, request: Request, context: RequestContext, path: str) -> tuple[Owner, Form] | Response:
        """Return the owner and the form they sent from ``path``; or the answer to a form that may not act. Raises BadForm."""
        form = await read_form(request)
        owner = await self.enter(context, path)
        if isinstance(owner, Response):
            return owner
        try:
            require_csrf(context, form, owner.csrf)
        except FormForged as refusal:
            return self._pages.refuse(context, refusal, home_url=path)
        return owner, form

    def mark_done(self, owner: Owner, what: str) -> str:
        """Return what an address says after ``what`` was done: nobody else can make a page tell that it happened."""
        return self._account.make_mark(owner.session, f"done {what}")
