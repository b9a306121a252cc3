"""Decides how ``/consent`` is asked and answered: once per department, purpose and version, inside a flow."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.protocol.rules.client import Client, Entitlement
from idp.protocol.services.consent import Consent
from idp.sign_in.services.interactions import Held, Interactions, require_step
from idp.sign_in.services.sessions import Sessions

DECISIONS = frozenset({"allow", "deny"})


class DecisionMissing(Refusal):
    """The form says neither allow nor deny."""

    code = "bad_form"


class ConsentPage:
    """``GET`` and ``POST /consent``."""

    def __init__(self, pages: Pages, interactions: Interactions, sessions: Sessions, consent: Consent) -> None:
        self._pages = pages
        self._interactions = interactions
        self._sessions = sessions
        self._consent = consent

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route("/consent", self.show, methods=["GET"]), Route("/consent", self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Ask, or go on when there is nothing to ask any more."""
        context = read_context(request)
        held = await self._interactions.read(request.query_params.get("i", ""), context.browser_cookie)
        question = await self._find_question(held, context)
        if question is None:
            return _go_on(held)
        entitlements, client = question
        chinese = context.language == "zh-CN"
        return self._pages.render(
            context,
            "consent.html",
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            department=client.name if chinese else client.name_en,
            purposes=[{"purpose": e.purpose if chinese else e.purpose_en or e.purpose, "claims": e.claims} for e in entitlements],
        )

    async def submit(self, request: Request) -> Response:
        """Record the answer and go on."""
        context = read_context(request)
        form = await read_form(request)
        held = await self._interactions.read(form.get("i", 64), context.browser_cookie)
        require_csrf(context, form, held.interaction.csrf)
        require_step(held, form.get("step", 40))
        decision = form.get("decision", 10)
        if decision not in DECISIONS:
            raise DecisionMissing
        session = await self._sessions.read(context.session_cookie)
        question = await self._find_question(held, context)
        if question is None or session is None:
            return _go_on(held)
        entitlements, client = question
        answered = await self._consent.answer(
            held.interaction,
            session,
            entitlements,
            client,
            allow=decision == "allow",
            request_id=context.request_id,
            place=Place(context.address, context.device),
        )
        return _go_on(await self._interactions.replace(held, answered))

    async def _find_question(self, held: Held, context: RequestContext) -> tuple[tuple[Entitlement, ...], Client] | None:
        session = await self._sessions.read(context.session_cookie)
        if session is None:
            return None
        return await self._consent.find_question(held.interaction, session.id_hash)


def _go_on(held: Held) -> Response:
    return RedirectResponse(f"/continue?i={quote(held.interaction.id)}", status_code=303)
