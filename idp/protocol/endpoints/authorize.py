"""Decides how ``/authorize`` speaks HTTP: a code or an error goes to the client, a person who must act goes to a page."""

from urllib.parse import urlencode

from starlette.types import Receive, Scope, Send

from idp.http.errors import MethodNotAllowed
from idp.http.forms import read_body
from idp.http.request_context import read_context
from idp.http.responses import NO_STORE, send_redirect
from idp.kernel.audit_events import Place
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import Refusal
from idp.kernel.ids import make_outward_id
from idp.protocol.rules.authorization import ProofRequired, SignInRequired
from idp.protocol.rules.client import find_home
from idp.protocol.rules.parameters import BadParameters, parse_parameters
from idp.protocol.services.authorization import Answer, Authorization, Undecided, Unreachable
from idp.protocol.services.continuation import KIND, write_request
from idp.sign_in.rules.session import hash_session_id
from idp.sign_in.services.interactions import Interactions

MAX_BODY = 65_536
BROWSER_LIFE = 86_400 * 30


class RepeatedParameter(Refusal):
    """A parameter came twice (RFC 6749 §3.1)."""

    code = "repeated_parameter"


class ParameterTooLong(Refusal):
    """A parameter is longer than we read."""

    code = "parameter_too_long"


class UnreadableParameters(Refusal):
    """The parameters are not text."""

    code = "request_refused"


def refuse_parameters(error: BadParameters) -> Refusal:
    """Return the page that a request with unreadable parameters gets: its redirect URI cannot be trusted either."""
    kinds = {"repeated": RepeatedParameter, "too_long": ParameterTooLong, "too_many": ParameterTooLong}
    return kinds.get(error.reason, UnreadableParameters)(parameter=error.name)


class AuthorizeEndpoint:
    """``GET`` and ``POST /authorize`` (OpenID Connect Core §3.1.2.1)."""

    def __init__(self, authorization: Authorization, interactions: Interactions, clock: Clock, random: Random) -> None:
        self._authorization = authorization
        self._interactions = interactions
        self._clock = clock
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        if context.method not in ("GET", "POST"):
            raise MethodNotAllowed
        raw = context.query if context.method == "GET" else await read_body(receive, MAX_BODY)
        try:
            parameters = parse_parameters(raw)
        except BadParameters as error:
            raise refuse_parameters(error) from None
        if context.method == "POST" and context.header(b"sec-fetch-site") == b"cross-site":
            # A SameSite=Lax cookie does not come with a cross-site POST: the same request is asked again by our own GET.
            await send_redirect(send, "/authorize?" + urlencode(parameters))
            return
        cookie = context.session_cookie
        outcome = await self._authorization.answer(
            parameters,
            hash_session_id(cookie) if cookie else None,
            request_id=context.request_id,
            place=lambda: Place(context.address, context.device),
        )
        if isinstance(outcome, Answer | Unreachable):
            await send_redirect(send, outcome.url, 303, (NO_STORE,))
            return
        await send_redirect(send, await self._begin(outcome, parameters, scope))

    async def _begin(self, undecided: Undecided, parameters: dict[str, str], scope: Scope) -> str:
        """Begin an interaction bound to this browser and return the address of its dispatcher."""
        context = read_context(scope)
        browser = context.browser_cookie
        if not browser or len(browser) > 64:
            browser = make_outward_id(self._random)
            names = context.cookie_names
            context.set_cookie(names.set(names.browser, browser, BROWSER_LIFE))
        decision, client = undecided.decision, undecided.client
        interaction = await self._interactions.begin(
            kind=KIND,
            browser_cookie=browser,
            request=write_request(parameters),
            client_id=client.client_id,
            department=client.name,
            department_en=client.name_en,
            home_url=find_home(client),
            wanted=decision.wanted if isinstance(decision, SignInRequired | ProofRequired) else client.minimum_acr,
            language=context.language,
            fresh_after=decision.fresh_after if isinstance(decision, SignInRequired) else None,
            login_hint=undecided.request.login_hint,
            address=context.address,
        )
        return f"/continue?i={interaction.id}"
