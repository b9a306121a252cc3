"""Somebody who registers at a real provider over HTTP, by forms alone: each step fills what the present page asks for."""

import asyncio
import time

import httpx2

from idp.demo.population import SyntheticPerson
from tests.support.http_browser import HttpBrowser, ask
from tests.support.real_provider import Department

CODE_SECONDS = 25.0
PASSWORD = "Lantern-Harbour-27"


class HttpApplicant:
    """One synthetic person at one browser. ``phone`` replaces the person's own; ``items`` are the fields to fill."""

    def __init__(self, browser: HttpBrowser, person: SyntheticPerson, items: tuple[str, ...] = (), phone: str = "") -> None:
        self.browser = browser
        self.person = person
        self.items = items or ("phone_check", "social_security_card")
        self.phone = phone or person.phone
        self.flow = ""

    @property
    def page(self) -> httpx2.Response:
        """The present page."""
        assert self.browser.page is not None
        return self.browser.page

    @property
    def step(self) -> str:
        """The step that the present page is; "" outside the registration, ``done`` at the department."""
        if self.browser.answer is not None:
            return "done"
        path = self.browser.path
        return path.removeprefix("/register/") if path.startswith("/register/") else ""

    async def arrive(self, department: Department) -> None:
        """Come from a department and choose to register."""
        await self.browser.get(ask(department))
        self.flow = self.browser.fields()["i"]
        await self.browser.get(f"/register?i={self.flow}")

    async def reach(self, step: str) -> None:
        """Fill form after form until ``step`` is the present one. Raises AssertionError when a form does not lead on."""
        for _ in range(12):
            if self.step == step:
                return
            await self.take()
        raise AssertionError(f"stuck at {self.step or self.browser.path}: {self.page.status_code} {self.page.text[-1500:]}")

    async def take(self) -> httpx2.Response:
        """Fill and send the form of the present step."""
        step = self.step
        return await self.browser.submit_to(f"/register/{step}", **await self._fill(step))

    async def _fill(self, step: str) -> dict[str, str]:
        match step:
            case "identity":
                kind, number = self.person.document_kind, self.person.id_number
                return {"name": self.person.name, "document_kind": kind, "id_number": number, "phone": self.phone}
            case "code" if self.page.status_code == 422:
                # The code was used up, or never kept, when the process died: another one is asked for.
                known = len(await self.browser.provider.gateway.read_messages(self.phone))
                await self.browser.submit_to("/register/code", resend="1")
                return {**self.browser.fields(), "code": await self.read_code(known)}
            case "code":
                return {"code": await self.read_code()}
            case "check":
                return {"retry": "1"}
            case "items" if 'name="retry"' in self.page.text:
                return {"retry": "1"}
            case "items":
                return {item: "1" if item == "phone_check" else getattr(self.person, item) for item in self.items}
            case "password":
                return {"password": PASSWORD}
            case "agreement":
                return {"agreement": "1"}
            case _:
                raise AssertionError(f"no form to fill at {self.browser.path}: {self.page.status_code} {self.page.text[-1500:]}")

    async def read_code(self, known: int = 0) -> str:
        """Wait for the newest code of this phone's registration, when it had ``known`` messages before."""
        end = time.monotonic() + CODE_SECONDS
        while time.monotonic() < end:
            messages = await self.browser.provider.gateway.read_messages(self.phone)
            for message in messages if len(messages) > known else ():
                if message.get("code"):
                    return message["code"]
            await asyncio.sleep(0.1)
        raise RuntimeError("no code came")
