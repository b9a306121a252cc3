"""What strangers can do through the registration form: send few messages, name nobody in them, learn nothing, silence nobody."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from idp.http.cookies import CookieNames
from idp.platform.outbox import deliver_due
from tests.support.provider import Provider, run_provider
from tests.support.registering import Registering

pytestmark = pytest.mark.asyncio(loop_scope="module")
N = count(6_000, 7)
OTHER_ID = "440106198811155674"
DAY = 86_400
NETWORK, STARTS = 6, 4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    """A provider with small limits of networks and starts."""
    folder: Path = tmp_path_factory.mktemp("provider")
    small = {"IDP_SIGN_IN__SMS_PER_NETWORK_AND_HOUR": str(NETWORK), "IDP_REGISTRATION__STARTS_PER_ADDRESS_AND_HOUR": str(STARTS)}
    async with run_provider(service_dsn, folder, **small) as running:
        yield running


async def register(provider: Provider) -> Registering:
    """Register somebody, and let the limits of the day pass."""
    somebody = Registering(provider, next(N))
    await somebody.begin()
    await somebody.walk()
    provider.clock.advance(2 * DAY)
    return somebody


def come_elsewhere(provider: Provider, somebody: Registering, address: str) -> Registering:
    """Return another browser before which somebody types what this person would."""
    other = Registering(provider, 1, address=address)
    other.person = somebody.person
    return other


async def claim(provider: Provider, somebody: Registering, address: str) -> None:
    """Begin a recovery with name and number alone."""
    stranger = come_elsewhere(provider, somebody, address)
    await stranger.get("/recover")
    await stranger.send(name=somebody.person.name, document_kind="resident_id", id_number=somebody.person.id_number)
    await provider.services.afterwards.settle()


async def read_messages(provider: Provider, phone: str) -> list[dict[str, object]]:
    """Deliver what waits and return what this phone got."""
    got: list[dict[str, object]] = []

    async def keep(payload: dict[str, object], _: object) -> str:
        got.append(payload)
        return "kept"

    platform = provider.services.platform
    while await deliver_due(platform.outbox, platform.database, {"sms": keep}):
        pass
    return [message for message in got if message["phone"] == f"+86{phone}"]


@pytest.mark.parametrize("way", ["document", "phone", "recovery"])
async def test_registering_a_phone_tells_nothing_of_the_codes_its_owner_gets(provider: Provider, way: str) -> None:
    seen = []
    for exists in (True, False):
        somebody = await register(provider) if exists else Registering(provider, next(N))
        address = f"198.51.{100 + next(N) % 100}.7"
        if way == "recovery":
            await claim(provider, somebody, address)
        else:
            stranger = come_elsewhere(provider, somebody, address)
            await stranger.begin_authorization()
            identifier = somebody.person.phone if way == "phone" else somebody.person.id_number
            await stranger.submit("/sign-in", identifier=identifier, ask="code")
        await provider.services.afterwards.settle()
        second = come_elsewhere(provider, somebody, f"203.0.113.{next(N) % 250}")
        await second.begin()
        page = await second.identify(name="王五", id_number=OTHER_ID)
        seen.append((page.status_code, second.at))
        provider.clock.advance(4_000)
    assert seen[0] == seen[1] == (200, "/register/code")


async def test_a_code_of_a_registration_holds_no_words_that_somebody_typed(provider: Provider) -> None:
    stranger = Registering(provider, next(N))
    await stranger.begin()
    await stranger.identify(name="某您的医保卡已停用请立即拨打一三八零零一三八零零零", id_number=OTHER_ID)
    (message,) = await read_messages(provider, stranger.person.phone)
    parameters = message["parameters"]
    assert isinstance(parameters, dict)
    assert (message["template"], parameters["name"]) == ("registration_code", "")
    assert set(parameters) == {"code", "minutes", "name"}


async def test_messages_of_registrations_do_not_silence_a_recovery(provider: Provider) -> None:
    somebody = await register(provider)
    for number in range(5):
        stranger = come_elsewhere(provider, somebody, f"198.51.{number}.1")
        await stranger.begin()
        await stranger.identify(name="王五", id_number=OTHER_ID)
        provider.clock.advance(1_900)
    await read_messages(provider, somebody.person.phone)
    provider.clock.advance(3_600)
    await claim(provider, somebody, "203.0.113.15")
    assert [message["template"] for message in await read_messages(provider, somebody.person.phone)] == ["recovery_code"]


async def test_the_lines_of_one_ipv6_network_are_one_sender(provider: Provider) -> None:
    sent = 0
    for number in range(NETWORK + 2):
        stranger = Registering(provider, next(N), address=f"2001:db8:1:{number:x}::7")
        await stranger.begin()
        sent += (await stranger.identify()).status_code == 200
    assert sent == NETWORK


async def test_registrations_begun_from_one_address_are_limited_and_leave_no_draft(provider: Provider) -> None:
    drafts = "SELECT count(*) AS n FROM registration_drafts"
    database = provider.services.platform.database
    (before,) = await database.fetch(drafts)
    strangers = [Registering(provider, next(N), address="192.0.2.200") for _ in range(STARTS + 2)]
    for stranger in strangers:
        await stranger.begin()
        await stranger.identify()
    (after,) = await database.fetch(drafts)
    assert after["n"] - before["n"] == STARTS
    page = strangers[-1].page
    assert page is not None
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) <= 3_600
    assert 'data-code="starts_limited"' in page.text
    assert CookieNames("http://127.0.0.1:8000").draft not in strangers[-1].client.cookies
