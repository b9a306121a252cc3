"""A browser without scripts, and a department behind it, over real HTTP on the processes of ``real_provider``."""

import asyncio
import hashlib
import re
import time
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from idp.kernel.clock import read_system_random
from idp.kernel.ids import encode_base64url
from tests.support.real_provider import PASSWORD, REDIRECT_URI, Citizen, Department, RealProvider

VERIFIER = "synthetic-verifier-" + "v" * 30


class HttpBrowser:
    """A browser without scripts over real HTTP: its own cookies and address; every answer is noted by its status."""

    def __init__(self, provider: RealProvider, address: str = "192.0.2.1") -> None:
        self.provider = provider
        self.client = httpx2.AsyncClient(
            base_url=provider.issuer, headers={"x-forwarded-for": address}, trust_env=False, timeout=20, follow_redirects=False
        )
        self.page: httpx2.Response | None = None

    async def __aenter__(self) -> "HttpBrowser":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    @property
    def session_cookie(self) -> str | None:
        """The session's cookie value."""
        return self.client.cookies.get(self.provider.cookie_names.session)

    async def get(self, path: str) -> httpx2.Response:
        """Open a page and follow redirects within the house."""
        return await self._follow(await self.client.get(path))

    async def submit(self, **typed: str) -> httpx2.Response:
        """Send the form of the present page of the sign-in."""
        return await self.submit_to("/sign-in", **typed)

    async def submit_to(self, path: str, **typed: str) -> httpx2.Response:
        """Send the form of the present page to ``path``."""
        return await self._follow(await self.client.post(path, data={**self.fields(), **typed}))

    @property
    def path(self) -> str:
        """The path of the present page."""
        assert self.page is not None
        return urlsplit(str(self.page.url)).path

    def fields(self) -> dict[str, str]:
        """Return the hidden fields of the present page."""
        assert self.page is not None
        pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', self.page.text)
        return {name: unescape(value) for name, value in pairs}

    @property
    def answer(self) -> dict[str, str] | None:
        """What the department got, None while the person is still on our pages."""
        assert self.page is not None
        url = self.page.headers.get("location", "") if self.page.status_code == 303 else ""
        if not url:
            found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', self.page.text)
            url = unescape(found[1]) if found else ""
        if not url.startswith(REDIRECT_URI):
            return None
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    async def sign_in(self, citizen: Citizen, department: Department, **changes: str) -> dict[str, str] | None:
        """Sign in at a department with password and, when asked, the code; return what the department got."""
        await self.get(ask(department, **changes))
        if self.page is not None and 'name="password"' in self.page.text:
            await self.submit(identifier=citizen.document, password=PASSWORD)
        if self.page is not None and 'name="code"' in self.page.text:
            await self.submit(code=await self.read_code(citizen))
        return self.answer

    async def read_code(self, citizen: Citizen, seconds: float = 20) -> str:
        """Wait for the newest code of a phone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            messages = await self.provider.gateway.read_messages(citizen.phone)
            if messages:
                return messages[0]["code"]
            await asyncio.sleep(0.1)
        raise RuntimeError("no code came")

    async def redeem(self, department: Department, code: str) -> httpx2.Response:
        """Redeem a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
        return await self.ask_token(department, form)

    async def refresh(self, department: Department, token: str) -> httpx2.Response:
        """Use a refresh token."""
        return await self.ask_token(department, {"grant_type": "refresh_token", "refresh_token": token})

    async def ask_token(self, department: Department, form: dict[str, str]) -> httpx2.Response:
        """Ask the token endpoint as a department; no cookies go there."""
        async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.post(f"{self.provider.issuer}/token", data=form, auth=(department.client_id, department.secret))

    async def _follow(self, page: httpx2.Response) -> httpx2.Response:
        for _ in range(8):
            self.page = page
            location = page.headers.get("location", "")
            if page.status_code != 303 or urlsplit(location).netloc:
                return page
            page = await self.client.get(location)
        raise AssertionError("the redirects go in a circle")


def ask(department: Department, **changes: str) -> str:
    """Return an authorization address of a department."""
    parameters = {
        "client_id": department.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "state": "state-1",
        "nonce": encode_base64url(read_system_random(16)),
        "code_challenge": encode_base64url(hashlib.sha256(VERIFIER.encode()).digest()),
        "code_challenge_method": "S256",
        **changes,
    }
    return "/authorize?" + urlencode(parameters)
