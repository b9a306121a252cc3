"""Decides how a person is asked on their own device about a request of another one: what it is, what it releases, yes or no."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import Form, read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.audit_events import Place
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.protocol.rules.decoupled_request import Answer, show_user_code
from idp.protocol.services.backchannel_authentication import BackchannelAuthentication
from idp.protocol.services.decoupled_approval import KIND, PAGE, Asked, DecoupledApproval, Outcome, find_minutes_left, is_for_device
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.interactions import Held, Interactions, require_step
from idp.sign_in.services.sessions import Sessions


class AnswerMissing(Refusal):
    """The form says neither yes nor no."""

    code = "bad_form"


class ApprovalPage:
    """``GET`` and ``POST /approve``."""

    def __init__(
        self,
        pages: Pages,
        interactions: Interactions,
        sessions: Sessions,
        approval: DecoupledApproval,
        backchannel: BackchannelAuthentication,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._interactions = interactions
        self._sessions = sessions
        self._approval = approval
        self._backchannel = backchannel
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PAGE, self.show, methods=["GET"]), Route(PAGE, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Ask, say how it ended, or go to the step that the flow is at."""
        context = read_context(request)
        held = await self._interactions.read(request.query_params.get("i", ""), context.browser_cookie, KIND)
        outcome = self._approval.find_outcome(held.interaction)
        if outcome is not None:
            return self._pages.render(
                context, "approved.html", outcome=outcome.value, department=held.interaction.name_department(context.language)
            )
        session = await self._sessions.read(context.session_cookie)
        asked = await self._approval.ask(held.interaction, session) if session is not None else None
        return self._ask(context, held, asked) if asked is not None else RedirectResponse(held.interaction.way_on, status_code=303)

    async def submit(self, request: Request) -> Response:
        """Record the answer; the page that says so survives a reload."""
        context = read_context(request)
        form = await read_form(request)
        held = await self._interactions.read(form.get("i", 64), context.browser_cookie, KIND)
        try:
            return await self._take(context, form, held)
        except StepRepeated as refusal:
            return self._pages.refuse(context, refusal, back_url=held.interaction.way_on)

    async def _take(self, context: RequestContext, form: Form, held: Held) -> Response:
        require_csrf(context, form, held.interaction.csrf)
        require_step(held, form.get("step", 40))
        try:
            answer = Answer(form.get("answer", 10))
        except ValueError:
            raise AnswerMissing from None
        session = await self._sessions.read(context.session_cookie)
        asked = await self._approval.ask(held.interaction, session) if session is not None else None
        if asked is None or session is None:
            return RedirectResponse(held.interaction.way_on, status_code=303)
        if not self._approval.is_shown(asked, form.get("shown", 100)):
            return RedirectResponse(held.interaction.name_page(PAGE), status_code=303)
        # The flow moves first: of answers that arrive together one counts.
        held = await self._interactions.replace(held, held.interaction)
        place = Place(context.address, context.device)
        after = await self._approval.answer(held.interaction, session, asked, answer, context.request_id, place)
        if self._approval.find_outcome(after) is not Outcome.LATE:
            await self._backchannel.note_answer(asked.request, asked.client, answer)
        await self._interactions.replace(held, after)
        return RedirectResponse(held.interaction.name_page(PAGE), status_code=303)

    def _ask(self, context: RequestContext, held: Held, asked: Asked) -> Response:
        return self._pages.render(
            context,
            "approve.html",
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            shown=asked.mark,
            department=asked.client.name_application(context.language),
            terminal=is_for_device(asked.request),
            message=asked.request.message,
            code=show_user_code(asked.request.user_code) if asked.request.user_code else "",
            minutes=find_minutes_left(asked.request, self._clock()),
            purposes=[{"purpose": e.name_purpose(context.language), "claims": e.claims} for e in asked.entitlements],
            also=asked.also,
        )
