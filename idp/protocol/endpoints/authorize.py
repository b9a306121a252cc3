"""Decides how ``/authorize`` speaks HTTP: a code or an error goes to the client, a person who must act goes to a page."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from idp.http.browser_binding import bind_browser
from idp.http.forms import BadForm, is_form, read_body
from idp.http.posting import post_on
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.http.responses import NO_STORE, send_redirect
from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.protocol.rules.authorization import ProofRequired, SignInRequired
from idp.protocol.rules.client import find_home
from idp.protocol.rules.demand import place as place_acr
from idp.protocol.rules.parameters import BadParameters, parse_parameters
from idp.protocol.services.authorization import Authorization, Undecided
from idp.protocol.services.continuation import KIND, write_request
from idp.protocol.services.parked_requests import PARKED, ParkedRequests
from idp.protocol.services.pushed_requests import PushedRequests, is_pushed
from idp.protocol.services.request_origins import RequestUriUsed
from idp.protocol.services.responding import RESPOND, Answer, Responding
from idp.sign_in.rules.refusals import InteractionExpired
from idp.sign_in.rules.session import hash_session_id
from idp.sign_in.services.interactions import Interactions

PATH = "/authorize"
MAX_BODY = 65_536


class RepeatedParameter(Refusal):
    """A parameter came twice (RFC 6749 §3.1)."""

    code = "repeated_parameter"


class ParameterTooLong(Refusal):
    """A parameter is longer than we read."""

    code = "parameter_too_long"


class UnreadableParameters(Refusal):
    """The parameters are not text."""

    code = "request_refused"


def read_parameters(raw: bytes) -> dict[str, str]:
    """Return the parameters of a request to a page; one that cannot be read gets a page, its redirect URI cannot be trusted either."""
    try:
        return parse_parameters(raw)
    except BadParameters as error:
        kinds = {"repeated": RepeatedParameter, "too_long": ParameterTooLong, "too_many": ParameterTooLong}
        raise kinds.get(error.reason, UnreadableParameters)(parameter=error.name) from None


def lacks_cookies(context: RequestContext) -> bool:
    """Tell whether a POST may be another site's, with which our SameSite=Lax cookies do not come.

    A browser that does not say where it comes from shows it by having no session; without one, the detour changes nothing.
    """
    site = context.header(b"sec-fetch-site")
    return context.session_cookie is None if site is None else site == b"cross-site"


def post_answer(pages: Pages, context: RequestContext, answer: Answer) -> Response:
    """Return the page that posts an answer to its client."""
    client = answer.client
    department = client.name if context.language == "zh-CN" else client.name_en or client.name
    return post_on(pages, context, answer.url, answer.fields, department)


class AuthorizeEndpoint:
    """``GET`` and ``POST /authorize`` (OpenID Connect Core §3.1.2.1)."""

    def __init__(
        self, authorization: Authorization, pushed: PushedRequests, parked: ParkedRequests, interactions: Interactions, pages: Pages
    ) -> None:
        self._authorization = authorization
        self._pushed = pushed
        self._parked = parked
        self._interactions = interactions
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        if context.method not in ("GET", "POST"):
            raise HTTPException(405, headers={"Allow": "GET, POST"})
        if context.method == "POST" and not is_form(context.header(b"content-type")):
            raise BadForm
        raw = context.query if context.method == "GET" else await read_body(receive, MAX_BODY)
        parameters = read_parameters(raw)
        if context.method == "POST" and lacks_cookies(context):
            await send_redirect(send, await self._parked.park(PATH, raw, parameters, context.address))
            return
        if PARKED in parameters:
            posted = await self._parked.find(PATH, parameters[PARKED])
            if posted is None:
                raise await self._parked.explain_end(parameters.get("client_id"))
            parameters = read_parameters(posted)
        cookie = context.session_cookie
        try:
            outcome = await self._authorization.answer(
                parameters,
                hash_session_id(cookie) if cookie else None,
                request_id=context.request_id,
                place=lambda: Place(context.address, context.device),
            )
        except RequestUriUsed:
            # The person asks for the same address again: by a reload, or by Back from the pages of the flow that it began.
            flow = await self._pushed.find_flow(parameters["request_uri"])
            if flow is None:
                raise
            await send_redirect(send, f"/continue?i={flow}")
            return
        context.renew_state()
        if isinstance(outcome, Undecided):
            await send_redirect(send, await self._begin(outcome, parameters, scope))
        elif isinstance(outcome, Answer) and outcome.fields:
            await post_answer(self._pages, context, outcome)(scope, receive, send)
        else:
            await send_redirect(send, outcome.url, 303, (NO_STORE,))

    async def _begin(self, undecided: Undecided, parameters: dict[str, str], scope: Scope) -> str:
        """Begin an interaction bound to this browser and return the address of its dispatcher."""
        context = read_context(scope)
        decision, client = undecided.decision, undecided.client
        needed = decision if isinstance(decision, SignInRequired) else None
        context.prefer_locales(undecided.request.ui_locales or "")
        interaction = await self._interactions.begin(
            kind=KIND,
            browser_cookie=bind_browser(context, self._interactions.make_browser_cookie),
            request=write_request(undecided.parameters),
            client_id=client.client_id,
            department=client.name,
            department_en=client.name_en,
            home_url=find_home(client),
            wanted=decision.wanted if isinstance(decision, SignInRequired | ProofRequired) else place_acr(client.minimum_acr),
            language=context.language,
            fresh_after=needed.fresh_after if needed else None,
            login_hint=undecided.request.login_hint,
            resistant=needed is not None and needed.resistant,
            essential=needed is not None and needed.insists,
            isolated=client.isolated,
            confirms=client.confirms_sign_on,
            address=context.address,
        )
        if is_pushed(parameters.get("request_uri", "")):
            await self._pushed.remember_flow(parameters["request_uri"], interaction.id)
        return interaction.name_page("/register") if needed is not None and needed.creates else interaction.way_on


class RespondPage:
    """``GET /respond``: an answer for the client that a page told the person about first, and that has to be posted."""

    def __init__(self, responding: Responding, pages: Pages) -> None:
        self._responding = responding
        self._pages = pages

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(RESPOND, self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Post it; whoever comes too late begins again at the department."""
        context = read_context(request)
        answer = await self._responding.find_held(request.query_params.get("r", ""))
        if answer is None:
            raise InteractionExpired
        return post_answer(self._pages, context, answer)
