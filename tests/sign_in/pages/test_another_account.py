"""Whoever stands at a page of somebody else's account can go on with their own."""

import re
from dataclasses import replace
from html import unescape

import pytest

from idp.kernel.audit_events import Place
from idp.kernel.levels import Acr
from idp.platform.database import Database
from idp.sign_in.rules.interaction import PORTAL, Refused, SignInNeeded
from tests.sign_in.house import DEPARTMENT, HOME, PASSWORD, House, find_code, find_left, find_way
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


def find_again(text: str) -> str:
    """Return where the page's link to another account leads."""
    found = re.search(r'id="again" href="([^"]+)"', text)
    assert found is not None, text
    return unescape(found[1])


@pytest.mark.parametrize("signed_in", [False, True])
async def test_the_code_page_leads_to_another_account(house: House, signed_in: bool) -> None:
    family, own, browser = await house.add_person(), await house.add_person(), house.browser()
    if signed_in:
        await browser.sign_in(family)
        house.clock.advance(1)
    page = await browser.open(await browser.begin(Acr.SUBSTANTIAL, login_hint=family.document))
    if not signed_in:
        page = await browser.submit(identifier=family.document, password=PASSWORD)
    assert 'name="code"' in page.text
    page = await browser.follow(await browser.get(find_again(page.text)))
    assert 'name="password"' in page.text
    assert family.document not in page.text
    assert "again" not in str(page.request.url), "loading the page again does not begin again"
    assert (browser.session() is not None) is signed_in, "nobody is signed out by a link"
    await house.deliver()
    house.clock.advance(61)
    await browser.submit(identifier=own.document, password=PASSWORD)
    page = await browser.submit(code=await house.read_code())
    assert find_left(page) == {"acr": Acr.SUBSTANTIAL.value}
    session = await house.sessions.read(browser.session())
    assert session is not None
    assert session.person_id == own.person_id


async def test_a_level_that_cannot_be_reached_offers_another_account(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, browser = await house.add_person(ial=2), house.browser()

    async def insist(*_: object) -> SignInNeeded:
        return SignInNeeded()

    monkeypatch.setattr(house.department, "decide", insist)
    page = await browser.sign_in(person, Acr.SUBSTANTIAL)
    assert find_again(page.text) == "/sign-out"
    assert find_way(page) == (HOME, f"返回{DEPARTMENT}")


async def test_what_one_person_cannot_reach_is_not_refused_to_another(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    unable, able, browser = await house.add_person(ial=2), await house.add_person(), house.browser()

    async def insist(*_: object) -> SignInNeeded:
        return SignInNeeded()

    page = await browser.sign_in(unable, Acr.SUBSTANTIAL)
    first = await browser.begin(Acr.SUBSTANTIAL)
    with monkeypatch.context() as patch:
        patch.setattr(house.department, "decide", insist)
        for _ in range(2):
            page = await browser.open(first)
            assert find_code(page) == "level_unreachable"
    house.clock.advance(1)
    await browser.follow(await browser.get(f"/sign-in?i={await browser.begin()}&again=1"))
    await browser.submit(identifier=able.document, password=PASSWORD)
    with monkeypatch.context() as patch:
        patch.setattr(house.department, "decide", insist)
        page = await browser.open(first)
    assert 'name="code"' in page.text, "whoever signed in by another tab is asked for what is missing"


async def test_neither_is_a_page_of_the_account(house: House) -> None:
    unable, able, browser = await house.add_person(), await house.add_person(), house.browser()
    await browser.sign_in(able)
    session = await house.sessions.read(browser.session())
    known = await house.people.find_by_id(able.person_id)
    assert session is not None
    assert known is not None
    flow = await house.interactions.begin(PORTAL, "cookie", request="/account", home_url="/account", aal=2)
    house.clock.advance(1)

    async def stay(*, done: bool) -> None:
        raise AssertionError("it records nothing of its end")

    for whose, step in ((unable, SignInNeeded()), (able, Refused("second_factor_missing", "/account"))):
        asked = replace(flow, fresh_after=house.clock(), unreachable_by=whose.person_id)
        assert await house.portal.decide(asked, session, known.standing, "", Place(), stay) == step
