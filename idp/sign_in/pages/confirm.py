"""Decides how a person is asked whether to go on with the account that is signed in, or with another one."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import read_form
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import read_context
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.confirming import Confirming
from idp.sign_in.services.interactions import Interactions, require_step

PATH = "/confirm"
MAX_HIDDEN = 200


class ConfirmPage:
    """``GET`` and ``POST /confirm``."""

    def __init__(self, pages: Pages, interactions: Interactions, confirming: Confirming) -> None:
        self._pages = pages
        self._interactions = interactions
        self._confirming = confirming

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Ask, or go on when there is nothing to ask any more."""
        context = read_context(request)
        held = await self._interactions.read(request.query_params.get("i", ""), context.browser_cookie)
        choice = await self._confirming.look(held.interaction, read_visit(context))
        if choice is None:
            return RedirectResponse(held.interaction.way_on, 303)
        return self._pages.render(
            context,
            "confirm.html",
            i=held.interaction.id,
            csrf=held.interaction.csrf,
            step=held.step,
            department=held.interaction.name_department(context.language),
            name=choice.masked_name,
            shown=choice.mark,
        )

    async def submit(self, request: Request) -> Response:
        """Go on with the account that was shown; with another one, /sign-in does."""
        context = read_context(request)
        form = await read_form(request)
        held = await self._interactions.read(form.get("i", MAX_HIDDEN), context.browser_cookie)
        require_csrf(context, form, held.interaction.csrf)
        try:
            require_step(held, form.get("step", MAX_HIDDEN))
            held = await self._confirming.confirm(held, form.get("shown", MAX_HIDDEN), read_visit(context))
        except StepRepeated as refusal:
            return self._pages.refuse(context, refusal, back_url=held.interaction.way_on)
        return RedirectResponse(held.interaction.way_on, 303)
