"""S21: an operator enters a death that the register reports, and takes a wrong report back; each with its audit row, or not at all."""

import pytest

from idp.people.rules.person import Status, StatusEvent
from idp.people.services.corrections import Corrections, NobodyFound, NotPossible
from idp.platform.database import Database
from tests.sign_in.house import PASSWORD, House, find_code
from tests.support.clocks import ManualClock

ROWS = "SELECT details, actor FROM audit_events WHERE person_id = $1 AND kind = 'person_status_changed' ORDER BY id"


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


@pytest.fixture
def corrections(house: House) -> Corrections:
    return Corrections(house.database, house.people, house.audit)


async def test_s21_a_reported_death_ends_every_session_and_the_next_sign_in_is_refused_with_its_own_code(
    house: House, corrections: Corrections
) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    assert await corrections.apply(person.document, StatusEvent.REPORT_DEATH, "notice 2026-118", actor="command") is Status.DECEASED
    assert await house.sessions.read(browser.session()) is None
    (row,) = await house.database.fetch(ROWS, person.person_id)
    assert row["actor"] == "command"
    for part in ("report_death", "active", "deceased", "notice 2026-118"):
        assert part in row["details"]
    assert person.document not in row["details"]
    page = await browser.open(await browser.begin(fresh_after=house.clock.now))
    await browser.submit(identifier=person.document, password=PASSWORD)
    page = await browser.submit(code=await house.read_code(person))
    assert (page.status_code, find_code(page)) == (403, "account_deceased")


async def test_s21_a_corrected_report_gives_the_account_back_frozen(house: House, corrections: Corrections) -> None:
    person = await house.add_person(status=Status.DECEASED)
    assert await corrections.apply(f" {person.phone} ", StatusEvent.CORRECT_DEATH, "notice 2026-119", actor="command") is Status.FROZEN
    (row,) = await house.database.fetch(ROWS, person.person_id)
    assert "correct_death" in row["details"]


@pytest.mark.parametrize("status", [Status.BANNED, Status.DECEASED, Status.CLOSED])
async def test_what_the_table_does_not_allow_changes_nothing(house: House, corrections: Corrections, status: Status) -> None:
    person = await house.add_person(status=status)
    with pytest.raises(NotPossible, match=status.value):
        await corrections.apply(person.document, StatusEvent.REPORT_DEATH, "notice 2026-120", actor="command")
    assert not await house.database.fetch(ROWS, person.person_id)


@pytest.mark.parametrize("identifier", ["440106198811155674", "nonsense", ""])
async def test_nobody_is_nobody(corrections: Corrections, identifier: str) -> None:
    with pytest.raises(NobodyFound):
        await corrections.apply(identifier, StatusEvent.REPORT_DEATH, "notice 2026-121", actor="command")
