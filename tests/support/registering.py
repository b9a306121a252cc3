"""A person of the simulated registers who registers in a browser without scripts, step by step, in the test's process."""

from dataclasses import asdict, replace
from urllib.parse import urlsplit

import httpx2

from idp.demo.population import SyntheticPerson, make_person
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import REDIRECT_URI, Provider
from tests.support.web import Web

CLIENT = "registering"
STEPS = ("identity", "code", "items", "password", "agreement")


class Registering(Web):
    """One browser and the synthetic person before it. ``at`` is the path of the page that is open."""

    def __init__(self, provider: Provider, number: int, address: str = "192.0.2.7", language: str = "zh-CN") -> None:
        super().__init__(provider, address, language)
        self.person: SyntheticPerson = make_person(number)

    @property
    def at(self) -> str:
        """The path of the page that is open."""
        assert self.page is not None
        return urlsplit(str(self.page.request.url)).path

    @property
    def text(self) -> str:
        """The page that is open."""
        assert self.page is not None
        return self.page.text

    async def begin(self, client: str = CLIENT, **changes: str) -> httpx2.Response:
        """Come from a department and choose to register."""
        if client not in self.provider.secrets:
            await self.provider.add_client(client)
        query = {
            "client_id": client,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": "openid",
            "state": "state-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        await self.get("/authorize?" + str(httpx2.QueryParams(query)))
        return await self.get(f"/register?i={self.fields()['i']}")

    async def send(self, **typed: str) -> httpx2.Response:
        """Send the form of the page that is open to its own address."""
        return await self.submit(self.at, **typed)

    async def identify(self, **changes: str) -> httpx2.Response:
        """Take the first step as the person, with changes."""
        known = asdict(self.person)
        return await self.send(**{name: known[name] for name in ("name", "document_kind", "id_number", "phone")} | changes)

    async def confirm(self) -> httpx2.Response:
        """Type the code that was sent."""
        return await self.send(code=await self.read_code())

    async def prove(self, **changes: str) -> httpx2.Response:
        """Give the phone and the bank card, or other items."""
        return await self.send(**(changes or {"phone_check": "1", "bank_card": self.person.bank_card}))

    async def walk(self, until: str = "") -> httpx2.Response:
        """Take steps as a person with whom nothing is wrong until the page of step ``until``, else to the end."""
        page = self.page
        for step, take in (
            ("identity", self.identify),
            ("code", self.confirm),
            ("items", self.prove),
            ("password", lambda: self.send(password=self.person.password)),
            ("agreement", lambda: self.send(agreement="1")),
        ):
            assert self.at == f"/register/{step}", (self.at, self.text)
            if step == until:
                break
            page = await take()
        assert page is not None
        return page

    def become(self, **changes: str) -> None:
        """Let the person be another one in these data."""
        self.person = replace(self.person, **changes)
