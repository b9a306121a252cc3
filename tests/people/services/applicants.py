"""A registration taken step by step through the services, on a whole provider with simulated authorities. People are synthetic."""

from dataclasses import dataclass, field
from uuid import uuid4

from idp.demo.population import SyntheticPerson, make_person
from idp.kernel.checks import CheckKind
from idp.people.rules.identifiers import DOCUMENT_KINDS, IdNumber, parse_document, parse_phone
from idp.people.services.drafts import HeldDraft
from idp.people.services.registration import Applicant, Registration
from idp.people.services.requester import Requester
from idp.platform.outbox import deliver_due
from tests.support.provider import Provider

PASSWORD = "Lantern-Harbour-27"
TWO_ITEMS = (CheckKind.PHONE, CheckKind.SOCIAL_SECURITY_CARD)


@dataclass
class Registering:
    """One person at one browser."""

    provider: Provider
    person: SyntheticPerson
    phone: str = ""
    who: Requester = field(default_factory=lambda: Requester("192.0.2.9", "test", uuid4().bytes, "request-1"))
    cookie: str | None = None
    held: HeldDraft | None = None

    @property
    def registration(self) -> Registration:
        """The service under test."""
        return self.provider.services.enrolment.registration

    @property
    def draft(self) -> HeldDraft:
        """The registration as this browser last saw it."""
        assert self.held is not None
        return self.held

    def apply(self, name: str | None = None) -> Applicant:
        """Return what the first form says."""
        kind = next(k for k in DOCUMENT_KINDS if k.value == self.person.document_kind)
        document = parse_document(kind, self.person.id_number, self.provider.clock().date())
        phone = parse_phone(self.phone or self.person.phone)
        assert isinstance(document, IdNumber)
        assert phone is not None
        return Applicant(name or self.person.name, document, phone)

    async def start(self, name: str | None = None) -> HeldDraft:
        """Take the first step and have the code sent."""
        held = await self.registration.find(self.cookie)
        started = await self.registration.start(held, self.apply(name), flow="flow", origin="origin", language="zh-CN", who=self.who)
        self.cookie = started.cookie or self.cookie
        self.held = started.held
        if self.held.draft.phone_proved_at is None:
            self.held = await self.registration.send_code(self.held, self.who)
        return self.draft

    async def read_code(self) -> str:
        """Deliver what waits and return the newest code that was sent to this phone."""
        codes: list[str] = []

        async def keep(payload: dict[str, object], message_id: object) -> str:
            parameters = payload["parameters"]
            assert isinstance(parameters, dict)
            if "code" in parameters and str(payload["phone"]).endswith(self.phone or self.person.phone):
                codes.append(parameters["code"])
            return "kept"

        platform = self.provider.services.platform
        await deliver_due(platform.outbox, platform.database, {"sms": keep})
        return codes[-1]

    async def again(self) -> HeldDraft:
        """Read the registration anew, as the next request of this browser does."""
        held = await self.registration.find(self.cookie)
        assert held is not None
        self.held = held
        return held

    async def prove_phone(self) -> HeldDraft:
        """Type the code, which also asks the register."""
        self.held = await self.registration.submit_code(self.draft, await self.read_code(), self.who)
        return self.held

    async def offer(self, *kinds: CheckKind, **typed: str) -> HeldDraft:
        """Offer items; what is not typed is the person's own."""
        values = {kind: typed.get(kind.value, getattr(self.person, kind.value)) for kind in kinds}
        self.held = await self.registration.submit_items(await self.again(), values, self.who)
        return self.held

    async def reach_agreement(self, *kinds: CheckKind) -> HeldDraft:
        """Go all the way to the last form."""
        await self.start()
        await self.prove_phone()
        await self.offer(*(kinds or TWO_ITEMS))
        self.held = await self.registration.set_password(self.draft, PASSWORD, self.who)
        return self.held

    async def finish(self, *kinds: CheckKind) -> HeldDraft:
        """Register."""
        self.held = await self.registration.accept(await self.reach_agreement(*kinds), "zh-CN", self.who)
        return self.held


def register(provider: Provider, number: int, phone: str = "") -> Registering:
    """Return the registration of person ``number`` of the demo's population, not begun yet."""
    return Registering(provider, make_person(number), phone)
