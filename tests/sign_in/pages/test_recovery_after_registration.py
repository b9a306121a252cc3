"""Recovering in the real application what was registered there: the same day, and after strangers claimed to be that person."""

from itertools import count

import pytest

from tests.support.provider import Provider
from tests.support.registering import Registering

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = count(6_100, 7)
CHOSEN = "seven quiet herons"
DAY = 86_400


async def register(provider: Provider) -> Registering:
    """Register somebody to the end."""
    web = Registering(provider, next(NUMBERS))
    await web.begin()
    await web.walk()
    return web


async def claim(provider: Provider, somebody: Registering, address: str) -> Registering:
    """Begin a recovery with name and number alone, elsewhere."""
    web = Registering(provider, 1, address=address)
    web.person = somebody.person
    await web.get("/recover")
    await web.send(name=web.person.name, document_kind="resident_id", id_number=web.person.id_number)
    await provider.services.afterwards.settle()
    return web


async def finish(web: Registering) -> None:
    """Go from the code's page to the end."""
    await web.send(code=await web.read_code())
    page = await web.send(bank_card=web.person.bank_card)
    assert page.status_code == 200, web.text
    await web.send(password=CHOSEN)
    assert web.at == "/"


async def test_who_registered_today_can_recover_today(provider: Provider) -> None:
    somebody = await register(provider)
    provider.clock.advance(3_700)
    await finish(await claim(provider, somebody, "203.0.113.61"))


@pytest.mark.parametrize("days", [2, 100])
async def test_claims_of_strangers_do_not_silence_the_owners_recovery(provider: Provider, days: int) -> None:
    somebody = await register(provider)
    provider.clock.advance(days * DAY)
    for stranger in range(2):
        await claim(provider, somebody, f"198.51.100.{stranger + days}")
        provider.clock.advance(3_700)
    await somebody.read_code()
    await finish(await claim(provider, somebody, f"203.0.113.{days}"))


async def test_a_second_code_is_the_one_that_works(provider: Provider) -> None:
    somebody = await register(provider)
    provider.clock.advance(2 * DAY)
    web = await claim(provider, somebody, "203.0.113.66")
    await web.read_code()
    provider.clock.advance(61)
    await web.send(resend="1")
    await provider.services.afterwards.settle()
    await finish(web)
