"""Decides how a person is shown who received what about them (S57), and how a consent is withdrawn."""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import Form
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.audit_events import Place
from idp.protocol.rules.releases import translate_purposes
from idp.protocol.services.releases import GivenConsent, Release, Releases, name_client
from idp.sign_in.services.account import Owner

PATH = "/account/releases"
MAX_CLIENT = 64
MAX_PURPOSE = 200


class Door(Protocol):
    """Where the account is entered; the pages of the sign-in have it."""

    async def enter(self, context: RequestContext, path: str) -> Owner | Response:
        """Return the owner, or the answer that leads through a sign-in back to ``path``."""
        ...

    async def read(self, request: Request, context: RequestContext, path: str) -> tuple[Owner, Form] | Response:
        """Return the owner and the form they sent from ``path``; or the answer to a form that may not act."""
        ...

    def mark_done(self, owner: Owner, what: str) -> str:
        """Return what an address says after ``what`` was done."""
        ...


class ReleasesPage:
    """``GET`` and ``POST /account/releases``."""

    def __init__(self, pages: Pages, door: Door, releases: Releases) -> None:
        self._pages = pages
        self._door = door
        self._releases = releases

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show the consents and one page of releases."""
        context = read_context(request)
        owner = await self._door.enter(context, PATH)
        if isinstance(owner, Response):
            return owner
        before = request.query_params.get("before", "")[:100]
        page = await self._releases.read(owner, before)
        consents = await self._releases.list_consents(owner) if not before else []
        return self._pages.render(
            context,
            "account_releases.html",
            csrf=owner.csrf,
            consents=[_show_consent(consent, context.language) for consent in consents],
            releases=[_show_release(release, context.language) for release in page.releases],
            older=page.older,
            newest=not before,
            done=request.query_params.get("done", "") == self._door.mark_done(owner, "withdrawn"),
        )

    async def submit(self, request: Request) -> Response:
        """Withdraw a consent; one that is withdrawn already stays so."""
        context = read_context(request)
        read = await self._door.read(request, context, PATH)
        if isinstance(read, Response):
            return read
        owner, form = read
        client_id, purpose = form.get("client", MAX_CLIENT), form.get("purpose", MAX_PURPOSE)
        place = Place(context.address, context.device)
        withdrawn = await self._releases.withdraw(owner, client_id, purpose, context.request_id, place)
        return RedirectResponse(f"{PATH}?done={self._door.mark_done(owner, 'withdrawn')}" if withdrawn else PATH, 303)


def _show_consent(consent: GivenConsent, language: str) -> dict[str, object]:
    stored = consent.stored
    return {
        "client_id": stored.client_id,
        "department": name_client(consent.client, language),
        "purpose": stored.purpose,
        "words": translate_purposes([stored.purpose], consent.client, language)[0],
        "claims": stored.claims,
        "given_at": stored.given_at,
        "withdrawn_at": stored.withdrawn_at,
        "current": consent.current,
    }


def _show_release(release: Release, language: str) -> dict[str, object]:
    return {
        "at": release.at,
        "department": name_client(release.client, language),
        "claims": release.recorded.claims,
        "purposes": translate_purposes(release.recorded.purposes, release.client, language),
        "bases": release.recorded.bases,
    }
