"""A browser that knows HTTP and forms and nothing else: Python's own cookie jar, no scripts; it follows redirects and meta refresh."""

import html.parser
import http.cookiejar
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

ACCEPT = {"accept": "text/html, */*;q=0.1"}
"""What every browser sends; some sites answer 401 instead of leading to the sign-in when nobody asks for HTML."""


@dataclass
class Form:
    """One form of a page: ``fields`` as they would be sent unchanged, ``offered`` every name, ``button`` what the first button sends."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    offered: list[str] = field(default_factory=list)
    button: dict[str, str] | None = None


class Page(html.parser.HTMLParser):
    """What such a browser sees of a page: forms, links by id, text by id, and where it refreshes to."""

    def __init__(self, url: str, status: int, text: str) -> None:
        super().__init__()
        self.url, self.status, self.text = url, status, text
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.refresh: str | None = None
        self._form: Form | None = None
        self._choice = ""
        self._within: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, inputs, links and refreshes."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "input" and self._form is not None and given.get("name"):
            self._form.offered.append(given["name"])
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._form.fields[given["name"]] = given.get("value", "")
        elif tag == "select" and self._form is not None:
            self._choice = given["name"]
            self._form.offered.append(self._choice)
        elif tag == "option" and self._form is not None and (self._choice not in self._form.fields or "selected" in given):
            self._form.fields[self._choice] = given.get("value", "")
        elif tag == "button" and self._form is not None and given.get("type") == "submit" and self._form.button is None:
            self._form.button = {given["name"]: given.get("value", "")} if given.get("name") else {}
        elif tag == "a" and given.get("id"):
            self.links[given["id"]] = given.get("href", "")
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.refresh = given["content"].partition("url=")[2]
        if given.get("id") and tag not in ("input", "meta", "link", "img", "br", "hr"):
            self.texts.setdefault(given["id"], "")
            self._within.append((tag, given["id"]))

    def handle_endtag(self, tag: str) -> None:
        """Leave a form or a named element."""
        if tag == "form":
            self._form = None
        if self._within and self._within[-1][0] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        """Keep the text of named elements."""
        for _, name in self._within:
            self.texts[name] += data

    def find_form(self, name: str) -> Form:
        """Return the form that has this field."""
        return next(form for form in self.forms if name in form.fields)


class FormsBrowser:
    """One browser. ``hops`` are the addresses that it was led over since the last ``hops.clear()``."""

    def __init__(self, trusting: ssl.SSLContext | None = None) -> None:
        self.jar = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        secure = urllib.request.HTTPSHandler(context=trusting)
        self._opener = urllib.request.build_opener(_NoRedirect(), cookies, secure, urllib.request.ProxyHandler({}))
        self.hops: list[str] = []
        self.page: Page | None = None

    def get(self, url: str) -> Page:
        """Open an address."""
        return self._go(url, None)

    def submit(self, form: Form, **typed: str) -> Page:
        """Send a form with what was typed."""
        assert self.page is not None
        target = urllib.parse.urljoin(self.page.url, form.action)
        body = urllib.parse.urlencode({**form.fields, **typed})
        return self._go(target, body.encode()) if form.method == "post" else self._go(f"{target}?{body}", None)

    def press(self, form: Form, **known: str) -> Page:
        """Fill in every field of a form whose name is known, and press its first button."""
        return self.submit(form, **(form.button or {}), **{name: value for name, value in known.items() if name in form.offered})

    def follow(self, link: str) -> Page:
        """Follow the link of this id."""
        assert self.page is not None
        return self.get(urllib.parse.urljoin(self.page.url, self.page.links[link]))

    def _go(self, url: str, body: bytes | None) -> Page:
        for _ in range(20):
            self.hops.append(f"{'POST' if body is not None else 'GET'} {url.partition('?')[0]}")
            try:
                response = self._opener.open(urllib.request.Request(url, body, ACCEPT), timeout=20)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                status, location, text = response.status, response.headers.get("location"), response.read().decode()
            body = None
            if location is not None and 300 <= status < 400:
                url = urllib.parse.urljoin(url, location)
                continue
            page = Page(url, status, text)
            if page.refresh:
                url = urllib.parse.urljoin(url, page.refresh)
                continue
            self.page = page
            return page
        raise AssertionError("led in a circle: " + " > ".join(self.hops[-6:]))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        """Leave redirects to the browser above."""


def read_sms_code(issuer: str, phone: str, sent: int = 0, patience: float = 10.0) -> str:
    """Return the newest code sent to a phone, once more than ``sent`` messages have arrived there."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        messages = read_messages(issuer, phone)
        if len(messages) > sent:
            return messages[0]["code"]
        time.sleep(0.1)
    raise AssertionError("no message arrived")


def read_messages(issuer: str, phone: str) -> list[dict[str, str]]:
    """Return what was sent to a phone, newest first, as the demo shows it."""
    query = urllib.parse.urlencode({"phone": phone})
    with urllib.request.urlopen(f"{issuer}/demo/outbox?{query}", timeout=20) as response:
        messages: list[dict[str, str]] = json.load(response)
    return messages


def enter_department(browser: FormsBrowser, department: str) -> Page:
    """Open a department and choose to sign in there."""
    home = browser.get(department + "/")
    if "sign-in" in home.links:
        return browser.follow("sign-in")
    return browser.submit(home.forms[0])


def sign_in(browser: FormsBrowser, issuer: str, identifier: str, password: str, phone: str) -> Page:
    """Answer the provider's pages as they come: identifier and password, then the code."""
    sent = len(read_messages(issuer, phone))
    assert browser.page is not None
    page = browser.submit(browser.page.find_form("identifier"), identifier=identifier, password=password)
    if any("code" in form.fields for form in page.forms):
        page = browser.submit(page.find_form("code"), code=read_sms_code(issuer, phone, sent))
    return page


def register(browser: FormsBrowser, issuer: str, person: dict[str, str]) -> Page:
    """Register from the sign-in page: on every page fill in what is known of the person, press the first button; return where it ends.

    ``person`` as ``GET /demo/people`` has it: the keys are the names of the fields.
    """
    sent = len(read_messages(issuer, person["phone"]))
    page = browser.follow("register")
    for _ in range(12):
        if not page.url.startswith(f"{issuer}/register") or not page.forms:
            return page
        known = {**person, "agreement": "1"}
        if "code" in page.forms[0].offered:
            known["code"] = read_sms_code(issuer, person["phone"], sent)
        page = browser.press(page.forms[0], **known)
    raise AssertionError(f"the registration does not end: {page.url}\n{page.text}")


def list_unregistered(issuer: str, limit: int = 1, after: int = -1) -> list[dict[str, str]]:
    """Return synthetic people of a demo who have no account yet, those behind number ``after``."""
    with urllib.request.urlopen(f"{issuer}/demo/people?unregistered=1&limit={limit}&after={after}", timeout=20) as response:
        people: list[dict[str, str]] = json.load(response)
    return people
