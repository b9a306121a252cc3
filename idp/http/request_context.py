"""Decides what every page may know of its request: id, language, elder mode, cookies, address; nothing is computed unasked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.types import Scope

from idp.http.client_certificate import CertificateListener, ToldCertificate, read_told_certificate
from idp.http.cookies import CookieNames, read_cookies
from idp.http.languages import Language, choose_language, find_language
from idp.http.responses import Header

SCOPE_KEY = "idp.context"
YEAR = 365 * 86_400


@dataclass(frozen=True)
class ContextRules:
    """What is equal for all requests of this process: cookie names, how many trusted proxies stand in front, who tells certificates."""

    cookies: CookieNames
    proxy_hops: int = 0
    certificates: CertificateListener | None = None


class RequestContext:
    """One request as a page sees it. Made by the middleware (cheap: nothing is parsed before it is asked for)."""

    __slots__ = (
        "_cookies",
        "_elder",
        "_headers",
        "_language",
        "_peer",
        "_query",
        "_rules",
        "form_target",
        "frame_ancestors",
        "frame_sources",
        "interaction",
        "method",
        "path",
        "request_id",
        "response_headers",
    )

    def __init__(
        self,
        rules: ContextRules,
        request_id: str,
        method: str,
        path: str,
        headers: Sequence[Header] = (),
        query: bytes = b"",
        peer: str = "",
    ) -> None:
        self._rules = rules
        self.request_id = request_id
        self.method = method
        self.path = path
        self._headers = headers
        self._query = query
        self._peer = peer
        self._cookies: Mapping[str, str] | None = None
        self._language: Language | None = None
        self._elder: bool | None = None
        self.interaction = ""
        """The flow that a posted form names, for the page's own links."""
        self.response_headers: list[Header] = []
        self.form_target = ""
        """The one origin that this page posts to instead of our own: the last hop to a department."""
        self.frame_sources: tuple[str, ...] = ()
        """Origins that this one page may show in frames; every other page shows none."""
        self.frame_ancestors = ""
        """Whose pages may show this one in a frame, as a policy names them; every other one is shown in nobody's."""

    @property
    def cookies(self) -> Mapping[str, str]:
        """Return the request's cookies by name (first of a repeated name)."""
        if self._cookies is None:
            self._cookies = read_cookies(self._headers)
        return self._cookies

    @property
    def cookie_names(self) -> CookieNames:
        """Return the names that this process gives its cookies."""
        return self._rules.cookies

    @property
    def session_cookie(self) -> str | None:
        """Return the session cookie as the browser sent it."""
        return self.cookies.get(self._rules.cookies.session)

    @property
    def browser_cookie(self) -> str | None:
        """Return the browser-binding cookie as the browser sent it."""
        return self.cookies.get(self._rules.cookies.browser)

    @property
    def device_cookie(self) -> str | None:
        """Return the known-device cookie as the browser sent it."""
        return self.cookies.get(self._rules.cookies.device)

    @property
    def draft_cookie(self) -> str | None:
        """Return the cookie of an unfinished registration as the browser sent it."""
        return self.cookies.get(self._rules.cookies.draft)

    @property
    def query(self) -> bytes:
        """Return the raw query string."""
        return self._query

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name."""
        for key, value in self._headers:
            if key == name:
                return value
        return None

    def list_headers(self, name: bytes) -> list[bytes]:
        """Return every header of this lower-case name."""
        return [value for key, value in self._headers if key == name]

    @property
    def certificate(self) -> ToldCertificate | None:
        """Return the TLS client certificate that the proxy on its own socket told, None without one; ValueError for one that is none."""
        listener = self._rules.certificates
        return None if listener is None else read_told_certificate(self._headers, listener.escaped_pem)

    @property
    def language(self) -> Language:
        """Return the language of the answer: parameter, then cookie, then request, then zh-CN (S17)."""
        if self._language is None:
            accept = self.header(b"accept-language")
            self._language = choose_language(
                self._find_language_parameter(),
                self.cookies.get(self._rules.cookies.language),
                accept.decode("latin-1") if accept else None,
            )
        return self._language

    @property
    def elder(self) -> bool:
        """Tell whether the person chose 长辈版 (parameter ``elder``, then cookie)."""
        if self._elder is None:
            chosen = self._find_parameter("elder")
            self._elder = (chosen if chosen in ("0", "1") else self.cookies.get(self._rules.cookies.elder)) == "1"
        return self._elder

    @property
    def address(self) -> str:
        """Return the caller's network address: the peer, or what the outermost trusted proxy appended to X-Forwarded-For."""
        hops = self._rules.proxy_hops
        if hops:
            values = [value.decode("latin-1") for name, value in self._headers if name == b"x-forwarded-for"]
            chain = [part.strip() for part in ",".join(values).split(",") if part.strip()]
            if len(chain) >= hops:
                return chain[-hops][:64]
        return self._peer

    @property
    def device(self) -> str:
        """Return the browser's own description of itself, at most 200 characters."""
        return (self.header(b"user-agent") or b"").decode("latin-1")[:200]

    def set_cookie(self, value: bytes) -> None:
        """Add a Set-Cookie value (of ``CookieNames.set`` or ``.clear``) to whatever answer follows."""
        self.response_headers.append((b"set-cookie", value))
        state = self._rules.cookies.find_state(value)
        if state is not None:
            self.response_headers.append((b"set-cookie", state))

    def renew_state(self) -> None:
        """Give a browser that has a session the state that goes with it, where states are shown and this one lacks it."""
        state = self._rules.cookies.renew_state(self.cookies)
        if state is not None:
            self.response_headers.append((b"set-cookie", state))

    def keep_query(self, query: bytes) -> None:
        """Let this be all of the query that the page's own links repeat; language and mode stay as they were asked for."""
        _ = self.language, self.elder
        self._query = query

    def prefer_language(self, language: Language) -> None:
        """Answer in this language and keep it for the following pages."""
        self._language = language
        names = self._rules.cookies
        self.set_cookie(names.set(names.language, language, YEAR))

    def prefer_locales(self, tags: str) -> None:
        """Take the ``ui_locales`` of a request that is not in the address as the parameter there is taken; ``lang`` there goes first."""
        language = find_language(tags)
        if language is None or self._find_parameter("lang") is not None:
            return
        if find_language(self._find_parameter("ui_locales")) != language:
            self.prefer_language(language)

    def keep_preferences(self) -> None:
        """Keep the language and the mode that the query chose, so that the pages after this one have them too."""
        if find_language(self._find_language_parameter()) is not None:
            self.prefer_language(self.language)
        if self._find_parameter("elder") in ("0", "1"):
            names = self._rules.cookies
            self.set_cookie(names.set(names.elder, "1", YEAR) if self.elder else names.clear(names.elder))

    def _find_language_parameter(self) -> str | None:
        return self._find_parameter("lang") or self._find_parameter("ui_locales")

    def _find_parameter(self, name: str) -> str | None:
        if name.encode() not in self._query or len(self._query) > 65_536:
            return None
        try:
            values = parse_qs(self._query.decode("latin-1"), max_num_fields=200).get(name)
        except ValueError:
            return None
        return values[0][:200] if values else None


def read_context(request: HTTPConnection | Scope) -> RequestContext:
    """Return the context that the middleware put into this request."""
    # Asked in this order because a connection is an abstract mapping, whose isinstance costs a microsecond.
    scope = request if type(request) is dict else cast(HTTPConnection, request).scope
    context = scope[SCOPE_KEY]
    assert isinstance(context, RequestContext)  # noqa: S101 - the middleware always sets it
    return context
