"""What was proved in a flow that is not finished: a change of the password or a recovery outlives it, also in the middle of a request."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.levels import Acr
from idp.people.rules.person import Status, StatusEvent
from idp.platform.database import Database
from tests.sign_in.house import HASHING, PASSWORD, Browser, House, Made, find_code, find_left
from tests.sign_in.pages.test_recovery import recover
from tests.sign_in.pages.test_s06_common_password import COMMON, add_careless
from tests.support.clocks import ManualClock

ANOTHER = "twelve brown otters"
THIEF = "198.51.100.71"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    made = House(database, clock)
    made.authorities.answers = dict.fromkeys(CheckKind, CheckResult.MATCH)
    return made


async def begin_as_thief(house: House, person: Made, password: str = PASSWORD) -> tuple[Browser, str]:
    """Prove the password in a flow that asks for a code as well."""
    thief = house.browser(THIEF)
    i = await thief.begin(Acr.SUBSTANTIAL)
    await thief.open(i)
    page = await thief.submit(identifier=person.document, password=password)
    assert 'name="code"' in page.text
    await house.read_code(person)  # it goes to the owner's phone, and is not the one that the owner types later
    house.clock.advance(61)
    return thief, i


async def change(house: House, person_id: UUID, password: str = ANOTHER) -> None:
    """Change a password as the account's page does."""
    verifier = await HASHING.hash(password)
    async with house.database.transaction() as tx:
        await house.people.hold(tx, person_id, alone=True)
        await house.passwords.set(tx, person_id, verifier, house.clock())


async def count_devices(house: House, person: Made) -> int:
    """Return how many devices a person is known by."""
    rows = await house.database.fetch("SELECT device_hash FROM known_devices WHERE person_id = $1", person.person_id)
    return len(rows)


async def require_nothing_left(house: House, thief: Browser, i: str) -> None:
    """Neither the page that was open nor the flow leads anywhere without the new password."""
    await thief.submit(code="000000")
    page = await thief.open(i)
    assert 'name="password"' in page.text
    assert thief.session() is None


async def test_an_old_password_proved_before_a_recovery_opens_nothing_after_it(house: House) -> None:
    person = await house.add_person()
    thief, i = await begin_as_thief(house, person)
    await recover(house, house.browser(), person)
    await require_nothing_left(house, thief, i)


async def test_an_old_password_proved_before_a_forced_change_opens_nothing_after_it(house: House) -> None:
    person = await add_careless(house)
    thief, i = await begin_as_thief(house, person, COMMON)
    browser = house.browser()
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    await browser.submit(code=await house.read_code(person))
    house.clock.advance(1)
    assert find_left(await browser.submit(ask="new", password=ANOTHER))
    await require_nothing_left(house, thief, i)


async def test_an_old_password_opens_nothing_after_a_change_and_the_new_one_does(house: House) -> None:
    person = await house.add_person()
    thief, i = await begin_as_thief(house, person)
    await change(house, person.person_id)
    await require_nothing_left(house, thief, i)
    page = await thief.submit(identifier=person.document, password=ANOTHER)
    assert 'name="code"' in page.text, "who knows the new one goes on"


async def test_a_code_proved_before_a_recovery_counts_no_more(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    i = await browser.begin(Acr.SUBSTANTIAL)
    await browser.open(i)
    await browser.submit(identifier=person.document, ask="code")
    page = await browser.submit(code=await house.read_code(person), document_end=person.document[-6:])
    assert 'name="password"' in page.text
    house.clock.advance(61)
    await recover(house, house.browser("203.0.113.70"), person)
    page = await browser.open(i)
    assert 'name="identifier"' in page.text


@pytest.mark.parametrize("wanted", [Acr.LOW, Acr.SUBSTANTIAL])
async def test_a_password_compared_while_it_is_changed_proves_nothing(house: House, monkeypatch: pytest.MonkeyPatch, wanted: Acr) -> None:
    person, entered, gate = await house.add_person(), asyncio.Event(), asyncio.Event()
    verify = house.passwords.verify

    async def wait(*given: Any, **named: Any) -> bool:
        right = await verify(*given, **named)
        entered.set()
        await gate.wait()
        return right

    monkeypatch.setattr(house.passwords, "verify", wait)
    thief = house.browser(THIEF)
    house.clock.advance(1)
    i = await thief.begin(wanted)
    await thief.open(i)
    attempt = asyncio.create_task(thief.post(identifier=person.document, password=PASSWORD))
    await entered.wait()
    await change(house, person.person_id)  # in the same instant: not the clock decides, but which password it was
    gate.set()
    await attempt
    assert thief.session() is None
    page = await thief.open(i)
    assert 'name="password"' in page.text
    assert thief.session() is None


async def test_a_session_waits_for_a_change_of_the_password_and_then_does_not_open(house: House) -> None:
    person, thief = await house.add_person(), house.browser(THIEF)
    await thief.open(await thief.begin())
    verifier = await HASHING.hash(ANOTHER)
    async with house.database.transaction() as tx:
        await house.people.hold(tx, person.person_id, alone=True)
        attempt = asyncio.create_task(thief.post(identifier=person.document, password=PASSWORD))
        await wait_for_lock(house)
        await house.passwords.set(tx, person.person_id, verifier, house.clock.advance(1))
    page = await attempt
    assert find_code(page) == "step_repeated"
    assert thief.session() is None


async def wait_for_lock(house: House) -> None:
    """Return when a statement waits for a lock."""
    for _ in range(500):
        if await house.database.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def test_of_two_who_replace_a_common_password_at_once_the_second_begins_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await add_careless(house), house.browser()
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    await browser.submit(code=await house.read_code(person))
    choose = house.passwords.choose

    async def overtake(*given: Any, **named: Any) -> str:
        await change(house, person.person_id)
        return await choose(*given, **named)

    house.clock.advance(1)
    monkeypatch.setattr(house.passwords, "choose", overtake)
    page = await browser.submit(ask="new", password="nine violet foxes")
    assert find_code(page) == "step_repeated"
    assert await house.passwords.verify(person.person_id, ANOTHER)


async def test_devices_are_forgotten_when_the_account_is_recovered_or_frozen(house: House) -> None:
    person, elsewhere = await house.add_person(), house.browser("198.51.100.72")
    await elsewhere.sign_in(person)
    assert await count_devices(house, person) == 1
    house.clock.advance(61)
    await recover(house, house.browser(), person)
    assert await count_devices(house, person) == 1, "the one that it was recovered on"
    await elsewhere.open(await elsewhere.begin(fresh_after=house.clock.now))
    page = await elsewhere.submit(identifier=person.document, ask="code")
    assert 'name="document_end"' in page.text, "a stranger's device again"
    async with house.database.transaction() as tx:
        await house.people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.FREEZE)
    assert await count_devices(house, person) == 0


async def test_a_forced_change_forgets_every_other_device(house: House) -> None:
    person, elsewhere, browser = await house.add_person(), house.browser("198.51.100.73"), house.browser()
    await elsewhere.sign_in(person)
    verifier = await HASHING.hash(COMMON)
    async with house.database.transaction() as tx:
        await house.passwords.set(tx, person.person_id, verifier, house.clock.advance(1))
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    await browser.submit(code=await house.read_code(person))
    assert await count_devices(house, person) == 1
    assert find_left(await browser.submit(ask="new", password=ANOTHER))
    assert await count_devices(house, person) == 1
    await elsewhere.open(await elsewhere.begin(fresh_after=house.clock.now))
    page = await elsewhere.submit(identifier=person.document, ask="code")
    assert 'name="document_end"' in page.text


async def test_a_device_that_nobody_used_for_half_a_year_is_a_strangers(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    device: datetime = house.clock.now
    for days, asks in ((89, False), (180, True)):
        house.clock.advance((device - house.clock.now).total_seconds() + days * 86_400)
        await browser.open(await browser.begin(fresh_after=house.clock.now))
        page = await browser.submit(identifier=person.document, ask="code")
        assert ('name="document_end"' in page.text) is asks, days
