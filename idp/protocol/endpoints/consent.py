"""Decides how ``/consent`` is asked and answered: once per department, purpose and version, inside a flow."""

import hmac

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.protocol.services.consent import Consent
from idp.protocol.services.continuation import KIND as AUTHORIZE
from idp.sign_in.rules.refusals import StepRepeated
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
        held = await self._interactions.read(request.query_params.get("i", ""), context.browser_cookie, AUTHORIZE)
        session = await self._sessions.read(context.session_cookie)
        question = await self._consent.find_question(held.interaction, session) if session is not None else None
        if question is None or session is None:
            return RedirectResponse(held.interaction.way_on, status_code=303)
        return self._pages.render(
            context,
            "consent.html",
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            department=question.client.name_application(context.language),
            shown=question.mark,
            values=await self._consent.show_values(question, session),
            also=question.also,
            verified=question.verified,
            details=[detail["type"] for detail in question.details],
            purposes=[{"purpose": e.name_purpose(context.language), "claims": e.claims} for e in question.entitlements],
            policy=question.client.about.policy_uri,
            terms=question.client.about.tos_uri,
        )

    async def submit(self, request: Request) -> Response:
        """Record the answer and go on; an answer that comes too late is told so, with the way on."""
        context = read_context(request)
        form = await read_form(request)
        held = await self._interactions.read(form.get("i", 64), context.browser_cookie, AUTHORIZE)
        try:
            return await self._take(context, form, held)
        except StepRepeated as refusal:
            return self._pages.refuse(context, refusal, back_url=held.interaction.way_on)

    async def _take(self, context: RequestContext, form: Form, held: Held) -> Response:
        require_csrf(context, form, held.interaction.csrf)
        require_step(held, form.get("step", 40))
        decision = form.get("decision", 10)
        if decision not in DECISIONS:
            raise DecisionMissing
        session = await self._sessions.read(context.session_cookie)
        question = await self._consent.find_question(held.interaction, session) if session is not None else None
        if question is None or session is None:
            return RedirectResponse(held.interaction.way_on, status_code=303)
        if not hmac.compare_digest(form.get("shown", 100).encode(), question.mark.encode()):
            # Somebody else is signed in by now, or the department asks for something else: that was not on the page.
            return RedirectResponse(held.interaction.name_page("/consent"), status_code=303)
        # The flow moves first: of answers that arrive together one is recorded, and a lost record leaves the question open.
        held = await self._interactions.replace(held, held.interaction)
        answered = await self._consent.answer(
            held.interaction,
            session,
            question,
            allow=decision == "allow",
            request_id=context.request_id,
            place=Place(context.address, context.device),
        )
        held = await self._interactions.replace(held, answered)
        return RedirectResponse(held.interaction.way_on, status_code=303)
