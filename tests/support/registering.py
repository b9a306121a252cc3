"""A person of the simulated registers who registers in a browser without scripts, step by step, in the test's process."""

import re
from dataclasses import asdict, replace
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from idp.demo.population import SyntheticPerson, make_person
from idp.platform.outbox import deliver_due
from tests.support.protocol_samples import CHALLENGE
from tests.support.provider import REDIRECT_URI, Provider
from tests.support.web import Web

CLIENT = "registering"
STEPS = ("identity", "code", "items", "password", "agreement")


class Registering(Web):
    """One browser and the synthetic person before it. ``at`` is the path of the page that is open."""

    def __init__(self, provider: Provider, number: int, address: str = "", language: str = "zh-CN") -> None:
        # Everybody at a network of their own: limits that one test uses up do not reach the next.
        super().__init__(provider, address or f"10.{number // 250}.{number % 250}.7", language)
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
        await self.begin_authorization(client, **changes)
        return await self.get(f"/register?i={self.fields()['i']}")

    async def begin_authorization(self, client: str = CLIENT, **changes: str) -> httpx2.Response:
        """Come from a department."""
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
        return await self.get("/authorize?" + urlencode(query))

    async def follow(self, link: str) -> httpx2.Response:
        """Follow the link of this id."""
        found = re.search(rf'id="{link}"[^>]* href="([^"]+)"', self.text)
        assert found is not None, (link, self.text)
        return await self.get(urljoin(str(self.page and self.page.request.url), unescape(found[1])))

    async def send(self, **typed: str) -> httpx2.Response:
        """Send the form of the page that is open to its own address."""
        return await self.submit(self.at, **typed)

    async def identify(self, **changes: str) -> httpx2.Response:
        """Take the first step as the person, with changes."""
        known = asdict(self.person)
        return await self.send(**{name: known[name] for name in ("name", "document_kind", "id_number", "phone")} | changes)

    async def read_code(self) -> str:
        """Deliver what waits and return the newest code sent to the person's phone."""

        async def keep(payload: dict[str, object], message_id: object) -> str:
            parameters = payload["parameters"]
            assert isinstance(parameters, dict)
            if payload["phone"] == f"+86{self.person.phone}" and "code" in parameters:
                self.codes.append(parameters["code"])
            return "kept"

        platform = self.provider.services.platform
        while await deliver_due(platform.outbox, platform.database, {"sms": keep}):
            pass
        return self.codes[-1]

    async def confirm(self) -> httpx2.Response:
        """Type the code that was sent."""
        return await self.send(code=await self.read_code())

    async def prove(self, **changes: str) -> httpx2.Response:
        """Give the phone and the bank card, or other items."""
        return await self.send(**(changes or {"phone_check": "1", "bank_card": self.person.bank_card}))

    async def take(self, step: str) -> httpx2.Response:
        """Take one step as a person with whom nothing is wrong."""
        assert self.at == f"/register/{step}", (self.at, self.text)
        match step:
            case "identity":
                return await self.identify()
            case "code":
                return await self.confirm()
            case "items":
                return await self.prove()
            case "password":
                return await self.send(password=self.person.password)
            case _:
                return await self.send(agreement="1")

    async def walk(self, until: str = "") -> httpx2.Response:
        """Take steps until the page of step ``until``, else to the end."""
        for step in STEPS:
            if step == until:
                break
            await self.take(step)
        assert self.page is not None
        return self.page

    def become(self, **changes: str) -> None:
        """Let the person be another one in these data."""
        self.person = replace(self.person, **changes)


async def count_accounts(provider: Provider, person: SyntheticPerson) -> int:
    """Return how many accounts have the person's document."""
    known = await provider.services.people.find_by_identifier(person.id_number)
    return 0 if known is None else 1
