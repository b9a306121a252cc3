"""S52 and S53: numbers that belong to somebody else by now, or to several people, disclose nothing and mislead nobody."""

from uuid import UUID

import pytest

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.levels import Acr
from idp.people.rules.identifiers import IdentifierKind
from idp.people.stores import contacts
from idp.platform.database import Database
from keys import row_aad
from tests.sign_in.house import KEYS, PASSWORD, Browser, House, Made, find_left
from tests.sign_in.pages.test_sign_in_by_code import ask_code, blank, count_messages
from tests.support.clocks import ManualClock

DAYS = 86_400
PHONE = "SELECT state, matched_at, used_at FROM person_identifiers WHERE person_id = $1 AND kind = 'phone'"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def add_long_gone(house: House, **given: object) -> Made:
    """Add a person of whom nothing was heard for a hundred days."""
    person = await house.add_person(**given)  # type: ignore[arg-type]
    house.clock.advance(100 * DAYS)
    return person


async def read_phone(house: House, person_id: UUID) -> tuple[str, bool]:
    """Return the state of a person's phone and whether the operator's match is there."""
    (row,) = await house.database.fetch(PHONE, person_id)
    return row["state"], row["matched_at"] is not None


async def try_code(house: House, browser: Browser, identifier: str) -> list[str]:
    """Ask for a code, ask again, and type a wrong one; return the pages."""
    pages = [blank(await ask_code(browser, identifier))]
    house.clock.advance(61)
    await house.afterwards.settle()
    pages.append(blank((await browser.post(resend="1")).text))
    await house.afterwards.settle()
    pages.append(blank((await browser.post(code="000000", document_end="000000")).text))
    return pages


async def test_s52_a_stranger_who_signs_in_by_sms_learns_nothing_and_the_binding_freezes(house: House) -> None:
    phoneless = await house.add_person(phone=False)
    person = await add_long_gone(house)
    house.authorities.answers = {CheckKind.PHONE: CheckResult.MISMATCH, CheckKind.IDENTITY: CheckResult.MATCH}
    seen = await try_code(house, house.browser("203.0.113.11"), person.phone)
    assert await count_messages(house, person) == 0, "the message would name the person"
    assert await read_phone(house, person.person_id) == ("frozen", False)
    assert "phone_frozen" in await house.audit_kinds(person.person_id)
    expected = await try_code(house, house.browser("203.0.113.12"), phoneless.document)
    assert seen == expected
    asked = len(house.authorities.asked)
    assert await try_code(house, house.browser("203.0.113.13"), person.document) == expected
    assert len(house.authorities.asked) == asked, "a frozen number is asked about no more"
    assert await house.people.find_by_identifier(person.phone) is None


async def test_s52_a_number_that_the_operators_do_not_know_yet_gets_no_code_and_stays(house: House) -> None:
    phoneless, person = await house.add_person(phone=False), await add_long_gone(house)
    house.authorities.answers = {CheckKind.PHONE: CheckResult.NOT_FOUND, CheckKind.IDENTITY: CheckResult.MATCH}
    seen = await try_code(house, house.browser("203.0.113.14"), person.phone)
    assert await count_messages(house, person) == 0
    assert await read_phone(house, person.person_id) == ("active", True)
    assert seen == await try_code(house, house.browser("203.0.113.15"), phoneless.document)


async def test_s52_the_owner_whose_number_still_matches_gets_the_code(house: House) -> None:
    person, browser = await add_long_gone(house), house.browser("203.0.113.21")
    house.authorities.answers = {CheckKind.PHONE: CheckResult.MATCH, CheckKind.IDENTITY: CheckResult.MATCH}
    await ask_code(browser, person.document)
    page = await browser.submit(code=await house.read_code(person), document_end=person.document[-6:])
    assert find_left(page) == {"acr": Acr.LOW.value}
    (row,) = await house.database.fetch(PHONE, person.person_id)
    assert row["matched_at"] == row["used_at"] == house.clock.now
    assert {c.kind for c in house.authorities.asked} == {CheckKind.PHONE, CheckKind.IDENTITY}
    house.clock.advance(80 * DAYS)
    await ask_code(browser, person.document)
    assert len(house.authorities.asked) == 2, "a number in use is not asked about again"


async def test_s52_a_silent_operator_neither_freezes_nor_passes(house: House) -> None:
    person, browser = await add_long_gone(house), house.browser("203.0.113.31")
    await ask_code(browser, person.document)
    assert await count_messages(house, person) == 0
    assert await read_phone(house, person.person_id) == ("active", True)
    await browser.open(await browser.begin(Acr.SUBSTANTIAL, fresh_after=house.clock.now))
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}, "the password alone, and no code to a number that may be a stranger's"
    assert await count_messages(house, person) == 0


async def test_s52_after_the_password_the_match_is_repeated_before_a_code_counts(house: House) -> None:
    person, browser = await add_long_gone(house), house.browser()
    house.authorities.answers = {CheckKind.PHONE: CheckResult.MATCH, CheckKind.IDENTITY: CheckResult.MATCH}
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert 'name="code"' in page.text
    page = await browser.submit(code=await house.read_code(person))
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}
    other, again = await add_long_gone(house), house.browser("198.51.100.3")
    house.authorities.answers[CheckKind.PHONE] = CheckResult.MISMATCH
    await again.open(await again.begin(Acr.SUBSTANTIAL))
    page = await again.submit(identifier=other.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}
    assert await count_messages(house, other) == 0
    assert await read_phone(house, other.person_id) == ("frozen", False)


async def test_s52_a_number_in_use_whose_match_is_too_old_is_matched_anew_before_a_code_counts(house: House) -> None:
    person, browser = await house.add_person(matched_days_ago=100), house.browser()
    house.authorities.answers = {CheckKind.PHONE: CheckResult.MATCH, CheckKind.IDENTITY: CheckResult.MATCH}
    page = await browser.sign_in(person, Acr.SUBSTANTIAL)
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}


async def test_s21_who_the_register_does_not_know_any_more_is_refused_with_its_own_code(house: House) -> None:
    person, browser = await add_long_gone(house), house.browser()
    house.authorities.answers = {CheckKind.PHONE: CheckResult.NOT_FOUND, CheckKind.IDENTITY: CheckResult.NOT_FOUND}
    await browser.open(await browser.begin(Acr.SUBSTANTIAL))
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert page.status_code == 403
    assert 'data-code="register_unknown"' in page.text
    assert browser.session() is None
    rows = await house.database.fetch("SELECT details FROM audit_events WHERE person_id = $1 AND kind = 'sign_in_failed'", person.person_id)
    assert ["register_unknown" in row["details"] for row in rows] == [True]
    assert await read_phone(house, person.person_id) == ("active", True), "it is the person that is in question, not the number"
    stranger = house.browser("198.51.100.5")
    page_text = await ask_code(stranger, person.document)
    assert "如果您填写的信息与账号相符" in page_text
    assert await count_messages(house, person) == 0


async def share_phone(house: House, person: Made, phone: str) -> None:
    """Give a person a contact number, as a registration does with one that is not theirs alone."""
    phone_index = KEYS.index("index").index(IdentifierKind.PHONE.value, phone)
    aad = row_aad("person_contacts", "sealed", person.person_id.bytes + phone_index)
    sealed = KEYS.sealer("people").seal(phone.encode(), aad, house.random)
    async with house.database.transaction() as tx:
        await contacts.add(tx, person.person_id, [phone_index], KEYS.index("index").current_id, sealed, "contact", house.clock())


async def test_s53_two_elders_with_one_phone_sign_in_by_document_and_each_message_says_for_whom(house: House) -> None:
    grandfather, grandmother = await house.add_person(phone=False), await house.add_person(phone=False)
    await house.database.write("UPDATE people SET profile = profile WHERE id = $1", grandmother.person_id)
    number = "+8613712345678"
    for person in (grandfather, grandmother):
        await share_phone(house, person, number)
    named = []
    for elder, address in ((grandfather, "203.0.113.41"), (grandmother, "203.0.113.42")):
        browser = house.browser(address)
        await ask_code(browser, elder.document)
        await house.deliver()
        message = house.sms[-1]
        assert message["phone"] == number
        named.append(message["parameters"]["name"])
        page = await browser.submit(code=message["parameters"]["code"], document_end=elder.document[-6:])
        assert find_left(page) == {"acr": Acr.LOW.value}
        session = await house.sessions.read(browser.session())
        assert session is not None
        assert session.person_id == elder.person_id
        house.clock.advance(61)
    assert named == ["*小明", "*小明"], "each message says whom it is for, masked"
    stranger = house.browser("203.0.113.43")
    await ask_code(stranger, number)
    before = len(house.sms)
    await house.deliver()
    assert len(house.sms) == before, "a shared number is nobody's identifier"


async def test_s53_a_code_to_a_shared_number_is_never_a_second_factor(house: House) -> None:
    person, browser = await house.add_person(phone=False), house.browser()
    await share_phone(house, person, "+8613712345679")
    page = await browser.sign_in(person, Acr.SUBSTANTIAL)
    assert find_left(page) == {"acr": Acr.LOW.value}
    assert not house.authorities.asked


async def test_s53_a_number_that_somebody_took_over_reaches_its_old_holder_no_more(house: House) -> None:
    person, browser = await house.add_person(phone=False), house.browser()
    await share_phone(house, person, "+8613712345670")
    await house.database.write("UPDATE person_contacts SET state = 'to_be_renewed' WHERE person_id = $1", person.person_id)
    await ask_code(browser, person.document)
    assert not [m for m in house.sms if m["phone"] == "+8613712345670"]
