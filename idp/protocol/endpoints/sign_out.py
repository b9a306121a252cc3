"""Decides how ``/sign-out`` speaks HTTP: the end-session endpoint for departments and the sign-out page for people."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.browser_binding import bind_browser
from idp.http.forms import BadForm, Form, is_form, read_body
from idp.http.guards import require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.kernel.ids import decode_base64url, encode_base64url
from idp.protocol.endpoints.authorize import read_parameters
from idp.protocol.rules.logout import Channel
from idp.protocol.rules.origins import find_origin
from idp.protocol.rules.sign_out_request import PARAMETERS, AskFirst, EndAtOnce
from idp.protocol.services.parked_requests import PARKED, ParkedRequests
from idp.protocol.services.sign_out import SignOut, SignOutPlan
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.services.interactions import SIGN_OUT, Interactions

KIND = SIGN_OUT
PATH = "/sign-out"
MAX_BODY = 32_768
ENDED = "ended"
"""What a kept sign-out that is over holds: the lineage that ended. A question has the parameters of its request there."""

NOTHING_KNOWN: dict[str, Any] = {"departments": [], "frames": [], "onward": False, "refused": False}


class SignOutPage:
    """``GET`` and ``POST /sign-out`` (OpenID Connect RP-Initiated Logout §2) ``GET /signed-out`` and ``GET /stayed``."""

    def __init__(self, pages: Pages, interactions: Interactions, sign_out: SignOut, parked: ParkedRequests) -> None:
        self._parked = parked
        self._pages = pages
        self._interactions = interactions
        self._sign_out = sign_out

    def routes(self) -> list[Route]:
        """Return the routes of these pages."""
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, self.submit, methods=["POST"]),
            Route("/signed-out", self.show_done, methods=["GET"]),
            Route("/stayed", self.show_stayed, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """End the session at once for a client that proved to mean it; otherwise ask."""
        context = read_context(request)
        parameters = read_parameters(context.query)
        if PARKED in parameters:
            # What is gone asks for nothing: the person is asked as if nobody had sent the browser.
            parameters = read_parameters(await self._parked.find(PATH, parameters[PARKED]) or b"")
        plan = await self._sign_out.plan(parameters, context.session_cookie)
        if isinstance(plan.decision, AskFirst):
            return await self._ask(context, parameters, plan)
        page = await self._end(context, plan)
        return RedirectResponse((not page and _find_return(plan)) or _find_end(page, plan), status_code=303)

    async def submit(self, request: Request) -> Response:
        """Take the person's answer; a department's own POST waits for our GET, which has the cookies."""
        context = read_context(request)
        if not is_form(context.header(b"content-type")):
            raise BadForm
        raw = await read_body(request.receive, MAX_BODY)
        parameters = read_parameters(raw)
        if "csrf" not in parameters:
            return RedirectResponse(await self._parked.park(PATH, raw, parameters, context.address), status_code=303)
        form = Form(parameters)
        asking = await self._read(form.get("i", 64), context)
        require_csrf(context, form, asking.csrf)
        if form.get("decision", 20) == "stay":
            # Nothing ends, the question neither: its page can be shown again, in the other language too.
            return RedirectResponse(asking.name_page("/stayed"), status_code=303)
        plan = await self._sign_out.plan(json.loads(asking.request), context.session_cookie)
        await self._interactions.finish(asking, done=False)
        page = await self._end(context, plan)
        return_url = _find_return(plan)
        if page or not return_url:
            return RedirectResponse(_find_end(page, plan), status_code=303)
        return self._pages.render(context, "returning.html", url=return_url, department=_name(plan, context))

    async def show_done(self, request: Request) -> Response:
        """Say that the session is over, and which departments know it by now; those that are told through the browser are told here."""
        context = read_context(request)
        refused = request.query_params.get("return") == "refused"
        try:
            ended = await self._read(request.query_params.get("i", ""), context)
            kept = json.loads(ended.request)
            lineage, back_url = decode_base64url(kept[ENDED]), kept["return_url"]
        except (Refusal, KeyError):
            if (await self._sign_out.plan({}, context.session_cookie)).lineage is not None:
                return RedirectResponse("/", status_code=303)  # the address alone is no sign-out
            told = {**NOTHING_KNOWN, "refused": refused}
            return self._pages.render(context, "signed_out.html", signed_out=True, back_url="", back_name="", **told)
        tellings = await self._sign_out.look(lineage, context.request_id)
        frames = [telling.front_address for telling in tellings if telling.front_address]
        context.frame_sources = tuple(sorted({find_origin(frame) for frame in frames}))
        chinese = context.language == "zh-CN"
        return self._pages.render(
            context,
            "signed_out.html",
            signed_out=True,
            back_url=back_url,
            back_name=ended.department if chinese else ended.department_en,
            departments=[{"name": one.name if chinese else one.name_en, "state": one.state.value} for one in tellings],
            frames=frames,
            onward=bool(back_url and frames),
            refused=refused,
        )

    async def show_stayed(self, request: Request) -> Response:
        """Say that nothing ended, and lead back to the department that asked."""
        context = read_context(request)
        asking = await self._read(request.query_params.get("i", ""), context)
        plan = await self._sign_out.plan(json.loads(asking.request), context.session_cookie)
        if not isinstance(plan.decision, AskFirst):
            return RedirectResponse("/signed-out", status_code=303)  # the session is over meanwhile
        back_url, back_name = _find_return(plan), _name(plan, context)
        return self._pages.render(context, "signed_out.html", signed_out=False, back_url=back_url, back_name=back_name, **NOTHING_KNOWN)

    async def _end(self, context: RequestContext, plan: SignOutPlan) -> str:
        """End the sign-in; return the address of the page that tells what became of it, "" where the browser may leave at once."""
        tellings = await self._sign_out.end(plan, context.request_id, Place(context.address, context.device))
        if context.session_cookie is not None:
            context.set_cookie(context.cookie_names.clear(context.cookie_names.session))
        return_url = _find_return(plan)
        through_browser = any(telling.channel is Channel.FRONT for telling in tellings)
        if plan.lineage is None or not tellings or (return_url and not through_browser):
            return ""
        ended = await self._interactions.begin(
            KIND,
            self._bind(context),
            request=json.dumps({ENDED: encode_base64url(plan.lineage), "return_url": return_url}),
            department=plan.client.name if plan.client is not None else "",
            department_en=plan.client.name_en if plan.client is not None else "",
            language=context.language,
        )
        return ended.name_page("/signed-out")

    async def _read(self, interaction_id: str, context: RequestContext) -> Interaction:
        return (await self._interactions.read(interaction_id, context.browser_cookie, KIND)).interaction

    async def _ask(self, context: RequestContext, parameters: dict[str, str], plan: SignOutPlan) -> Response:
        kept = {name: value for name, value in parameters.items() if name in PARAMETERS}
        interaction = await self._interactions.begin(
            KIND, self._bind(context), request=json.dumps(kept, ensure_ascii=False), language=context.language, address=context.address
        )
        return self._pages.render(
            context, "sign_out.html", i=interaction.id, csrf=interaction.csrf, department=_name(plan, context) if _find_return(plan) else ""
        )

    def _bind(self, context: RequestContext) -> str:
        return bind_browser(context, self._interactions.make_browser_cookie)


def _find_return(plan: SignOutPlan) -> str:
    match plan.decision:
        case EndAtOnce(return_url=url) | AskFirst(return_url=url):
            return url or ""


def _find_end(page: str, plan: SignOutPlan) -> str:
    """Return the address of the page at the end: ``page``, or the one that knows of no department."""
    address = page or "/signed-out"
    return f"{address}{'&' if '?' in address else '?'}return=refused" if plan.decision.refused else address


def _name(plan: SignOutPlan, context: RequestContext) -> str:
    return plan.client.name_application(context.language) if plan.client is not None else ""
