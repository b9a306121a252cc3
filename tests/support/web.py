"""A browser without scripts on a provider in the test's process: cookies, forms, redirects within the house."""

import re
from html import unescape
from urllib.parse import urlsplit

import httpx2

from idp.platform.outbox import deliver_due
from tests.support.provider import PASSWORD, REDIRECT_URI, Provider, Somebody


class Web:
    """One browser."""

    def __init__(self, provider: Provider, address: str = "192.0.2.7", language: str = "zh-CN") -> None:
        self.provider = provider
        transport = httpx2.ASGITransport(provider.browser._transport.app, client=(address, 40_000))  # type: ignore[attr-defined]
        base = str(provider.browser.base_url)
        self.client = httpx2.AsyncClient(transport=transport, base_url=base, headers={"accept-language": language})
        self.page: httpx2.Response | None = None
        self.codes: list[str] = []

    async def get(self, path: str) -> httpx2.Response:
        """Open a page and follow redirects as long as they stay in the house."""
        return await self._follow(await self.client.get(path))

    async def submit(self, path: str, **typed: str) -> httpx2.Response:
        """Send the form of the present page with what was typed."""
        return await self._follow(await self.client.post(path, data={**self.fields(), **typed}))

    def fields(self) -> dict[str, str]:
        """Return the hidden fields of the present page."""
        assert self.page is not None
        pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', self.page.text)
        return {name: unescape(value) for name, value in pairs}

    @property
    def left_to(self) -> str | None:
        """Where the present page leads out of the house: a redirect, or the page that returns to the department."""
        assert self.page is not None
        if self.page.status_code == 303:
            return self.page.headers["location"]
        found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', self.page.text)
        return unescape(found[1]) if found else None

    async def sign_in(self, person: Somebody, authorize: str) -> httpx2.Response:
        """Open an authorization address and answer what is asked: password, then code."""
        page = await self.get(authorize)
        if 'name="password"' in page.text:
            page = await self.submit("/sign-in", identifier=person.document, password=PASSWORD)
        if 'name="code"' in page.text:
            page = await self.submit("/sign-in", code=await self.read_code())
        return page

    async def read_code(self) -> str:
        """Deliver what waits and return the newest code."""

        async def keep(payload: dict[str, object], message_id: object) -> str:
            parameters = payload["parameters"]
            assert isinstance(parameters, dict)
            self.codes.append(parameters["code"])
            return "kept"

        platform = self.provider.services.platform
        await deliver_due(platform.outbox, platform.database, {"sms": keep})
        return self.codes[-1]

    async def _follow(self, page: httpx2.Response) -> httpx2.Response:
        for _ in range(8):
            location = page.headers.get("location", "")
            if page.status_code != 303 or location.startswith(REDIRECT_URI) or urlsplit(location).netloc:
                self.page = page
                return page
            page = await self.client.get(location)
        raise AssertionError("the redirects go in a circle")


def find_code(page: httpx2.Response) -> str:
    """Return the refusal code of an error page."""
    found = re.search(r'data-code="([a-z_]+)"', page.text)
    assert found is not None, page.text
    return found[1]
