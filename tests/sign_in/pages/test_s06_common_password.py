"""S06: who signs in with a password that everybody tries chooses another one after the second factor, before any session opens."""

from typing import Any

import pytest

from idp.kernel.levels import Acr, Factor
from idp.people.rules.person import Status
from idp.platform.database import Database
from tests.sign_in.house import HASHING, PASSWORD, House, Made, find_code, find_left
from tests.support.clocks import ManualClock

COMMON = "woaini1314"
CHOSEN = "seven quiet herons"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def add_careless(house: House, password: str = COMMON, **given: Any) -> Made:
    """Add a person with a password that everybody tries, as an import brings them."""
    person = await house.add_person(**given)
    verifier = await HASHING.hash(password)
    async with house.database.transaction() as tx:
        await house.passwords.set(tx, person.person_id, verifier, house.clock())
    return person


@pytest.mark.parametrize("wanted", [Acr.LOW, Acr.SUBSTANTIAL])
async def test_s06_the_change_is_forced_after_the_second_factor(house: House, wanted: Acr) -> None:
    person, browser = await add_careless(house), house.browser()
    await browser.open(await browser.begin(wanted))
    page = await browser.submit(identifier=person.document, password=COMMON)
    assert 'name="code"' in page.text, "the second factor comes first, whatever the department wants"
    assert "很多人都在用" not in page.text
    page = await browser.submit(code=await house.read_code(person))
    assert "很多人都在用" in page.text
    assert 'name="password"' in page.text
    assert browser.session() is None
    page = await browser.submit(ask="new", password=CHOSEN)
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}, "both factors were proved on the way"
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert {p.factor for p in session.proved} == {Factor.PASSWORD, Factor.SMS}
    kinds = await house.audit_kinds(person.person_id)
    assert "password_changed" in kinds
    await house.deliver()
    assert house.sms[-1]["template"] == "password_changed"
    again = house.browser("198.51.100.4")
    await again.open(await again.begin())
    assert (await again.post(identifier=person.document, password=COMMON)).status_code == 422
    page = await again.submit(identifier=person.document, password=CHOSEN)
    assert find_left(page) == {"acr": Acr.LOW.value}, "once is enough"


@pytest.mark.parametrize(
    "password, words",
    [
        ("", "请输入密码"),
        ("short", "8到128"),
        ("x" * 129, "8到128"),
        (COMMON, "很多人都在用"),
        ("Password123", "很多人都在用"),
        ("OWN-NAME", "姓名、证件号码或手机号"),
        ("OWN-DOCUMENT", "姓名、证件号码或手机号"),
        ("OWN-PHONE", "姓名、证件号码或手机号"),
    ],
)
async def test_s06_a_password_that_is_no_better_is_refused_and_the_page_stays(house: House, password: str, words: str) -> None:
    person, browser = await add_careless(house), house.browser()
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    await browser.submit(code=await house.read_code(person))
    own = {"OWN-NAME": person.name * 3, "OWN-DOCUMENT": person.document, "OWN-PHONE": person.phone}
    page = await browser.post(ask="new", password=own.get(password, password))
    assert page.status_code == 422
    assert words in page.text
    assert 'value="' + (own.get(password, password) or "nothing") not in page.text
    assert browser.session() is None
    page = await browser.submit(ask="new", password=CHOSEN)
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}


async def test_s06_who_has_no_phone_changes_after_the_password(house: House) -> None:
    person, browser = await add_careless(house, phone=False), house.browser()
    await browser.open(await browser.begin())
    page = await browser.submit(identifier=person.document, password=COMMON)
    assert "很多人都在用" in page.text
    page = await browser.submit(ask="new", password=CHOSEN)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_s06_leaving_the_page_does_not_help(house: House) -> None:
    person, browser = await add_careless(house), house.browser()
    for _ in range(2):
        house.clock.advance(61)
        i = await browser.begin()
        await browser.open(i)
        await browser.submit(identifier=person.document, password=COMMON)
        await browser.submit(code=await house.read_code(person))
        page = await browser.open(i)
        assert "很多人都在用" in page.text
        assert browser.session() is None
    rows = await house.database.fetch("SELECT must_change FROM passwords WHERE person_id = $1", person.person_id)
    assert rows[0]["must_change"], "it is remembered"


async def test_s06_a_code_alone_still_signs_in_and_changes_nothing(house: House) -> None:
    person, browser = await add_careless(house), house.browser()
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    house.clock.advance(61)
    await house.deliver()
    i = await browser.begin()
    await browser.open(i)
    await browser.submit(ask="code", identifier=person.document)
    page = await browser.submit(code=await house.read_code(person), document_end=person.document[-6:])
    assert find_left(page) == {"acr": Acr.LOW.value}
    rows = await house.database.fetch("SELECT must_change FROM passwords WHERE person_id = $1", person.person_id)
    assert rows[0]["must_change"], "one factor alone never replaces the other"


async def test_s06_a_banned_person_is_told_of_the_ban_and_changes_nothing(house: House) -> None:
    person, browser = await add_careless(house, status=Status.BANNED), house.browser()
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    page = await browser.submit(code=await house.read_code(person))
    assert find_code(page) == "account_banned"


async def test_s06_two_submissions_change_once_and_other_sessions_end(house: House) -> None:
    person, elsewhere, browser = await house.add_person(), house.browser("198.51.100.9"), house.browser()
    await elsewhere.sign_in(person)
    verifier = await HASHING.hash(COMMON)
    async with house.database.transaction() as tx:
        await house.passwords.set(tx, person.person_id, verifier, house.clock())
    await browser.open(await browser.begin())
    await browser.submit(identifier=person.document, password=COMMON)
    await browser.submit(code=await house.read_code(person))
    fields = browser.fields()
    assert (await browser.post(fields, ask="new", password=CHOSEN)).status_code == 303
    assert (await browser.post(fields, ask="new", password=PASSWORD)).status_code in (409, 410)
    assert await house.sessions.read(elsewhere.session()) is None
    assert house.ended_grants == [(person.person_id, "password changed", True)]
    assert (await house.audit_kinds(person.person_id)).count("password_changed") == 1
