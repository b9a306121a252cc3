"""While many passwords wait, a stranger's browser works first: whoever is named, and without anything being counted."""

import re

import httpx2
import pytest

from idp.authenticators.rules.proof_of_work import Puzzle
from idp.kernel.levels import Acr
from idp.platform.database import Database
from idp.platform.password_hashing import PasswordHashing
from tests.authenticators.rules.test_proof_of_work import solve
from tests.sign_in.house import PASSWORD, House, find_left
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many wait that strangers have to work."""
    monkeypatch.setattr(PasswordHashing, "wants_work", True)


def find_puzzle(page: httpx2.Response) -> Puzzle | None:
    found = re.search(r'data-puzzle="([^"]+)" data-bits="(\d+)"', page.text)
    return None if found is None else Puzzle(found[1], int(found[2]))


def work(page: httpx2.Response) -> dict[str, str]:
    """Return the fields that the script fills in."""
    puzzle = find_puzzle(page)
    assert puzzle is not None
    return {"puzzle": puzzle.text, "proof": solve(puzzle.text, puzzle.bits)}


async def test_whoever_worked_is_signed_in(house: House, crowd: None) -> None:
    person, browser = await house.add_person(), house.browser()
    page = await browser.open(await browser.begin())
    assert find_puzzle(page) is None
    page = await browser.post(identifier=person.document, password=PASSWORD)
    assert page.status_code == 503
    assert int(page.headers["retry-after"]) > 0
    assert person.document in page.text
    assert PASSWORD not in page.text
    assert "/proof-of-work.js" in page.text
    assert "<noscript>" in page.text
    page = await browser.submit(identifier=person.document, password=PASSWORD, **work(page))
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_nobody_is_told_from_somebody_and_nothing_is_counted(house: House, crowd: None) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    for identifier in (person.document, house.make_document()) * 12:
        page = await browser.post(identifier=identifier, password="wrong")
        assert page.status_code == 503
        assert find_puzzle(page) is not None
    page = await browser.submit(identifier=person.document, password=PASSWORD, **work(page))
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_work_counts_for_one_attempt_of_one_flow(house: House, crowd: None) -> None:
    person, browser, other = await house.add_person(), house.browser(), house.browser()
    await browser.open(await browser.begin())
    page = await browser.post(identifier=person.document, password="wrong")
    done = work(page)
    await other.open(await other.begin())
    assert (await other.post(identifier=person.document, password=PASSWORD, **done)).status_code == 503
    page = await browser.post(identifier=person.document, password="wrong", **done)
    assert page.status_code == 422
    assert find_puzzle(page) is None
    page = await browser.post(identifier=person.document, password=PASSWORD, **done)
    assert page.status_code == 503
    page = await browser.submit(identifier=person.document, password=PASSWORD, **work(page))
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_a_device_that_the_person_is_known_by_does_not_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.sign_in(person)
    monkeypatch.setattr(PasswordHashing, "wants_work", True)
    browser.client.cookies.delete(house.names.session)
    await browser.open(await browser.begin())
    page = await browser.submit(identifier=person.document, password=PASSWORD)
    assert find_left(page) == {"acr": Acr.LOW.value}


async def test_without_a_crowd_nobody_looks_at_a_proof(house: House) -> None:
    person, browser = await house.add_person(), house.browser()
    await browser.open(await browser.begin())
    page = await browser.submit(identifier=person.document, password=PASSWORD, puzzle="x", proof="y")
    assert find_left(page) == {"acr": Acr.LOW.value}
