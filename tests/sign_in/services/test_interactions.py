"""Flows on a real store: bound to a browser, moved by one request at a time, gone after their time."""

import asyncio
from dataclasses import replace

import pytest

from idp.kernel.levels import Acr
from idp.platform.database import Database
from idp.sign_in.rules.refusals import ForeignBrowser, InteractionExpired, InteractionFinished, StepRepeated, TooManyFlows
from idp.sign_in.services.interactions import Held, Interactions, require_step
from tests.sign_in.house import NAMES, House
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def test_a_flow_reads_back(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    begun = await house.interactions.begin("authorize", cookie, request='{"scope":"openid"}', department="示例", wanted=Acr.SUBSTANTIAL)
    held = await house.interactions.read(begun.id, cookie)
    assert held.interaction == begun
    assert len(begun.id) >= 22
    assert begun.csrf != begun.id


async def test_only_its_browser_reads_it(house: House) -> None:
    begun = await house.interactions.begin("authorize", house.interactions.make_browser_cookie())
    for cookie in (None, "", house.interactions.make_browser_cookie()):
        with pytest.raises(ForeignBrowser):
            await house.interactions.read(begun.id, cookie)


async def test_it_is_gone_after_an_hour_and_moving_does_not_prolong_it(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    begun = await house.interactions.begin("authorize", cookie)
    house.clock.advance(3_599)
    held = await house.interactions.read(begun.id, cookie)
    await house.interactions.replace(held, replace(begun, sends=1))
    house.clock.advance(1)
    with pytest.raises(InteractionExpired):
        await house.interactions.read(begun.id, cookie)


async def test_of_moves_at_once_one_wins(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    begun = await house.interactions.begin("authorize", cookie)
    held = await house.interactions.read(begun.id, cookie)
    moves = [house.interactions.replace(held, replace(begun, sends=n)) for n in range(5)]
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(r, Held) for r in results) == 1
    assert sum(isinstance(r, StepRepeated) for r in results) == 4
    won = next(r for r in results if isinstance(r, Held))
    assert await house.interactions.read(begun.id, cookie) == won
    with pytest.raises(StepRepeated):
        require_step(won, held.step)
    require_step(won, won.step)


async def test_it_ends_once(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    begun = await house.interactions.begin("authorize", cookie)
    assert sorted(await asyncio.gather(*(house.interactions.finish(begun, done=True) for _ in range(4)))) == [False, False, False, True]
    with pytest.raises(InteractionFinished):
        await house.interactions.read(begun.id, cookie)


async def test_who_goes_back_after_the_end_is_told_how_it_ended_and_where_to_go_on(house: House) -> None:
    cookie, other = house.interactions.make_browser_cookie(), house.interactions.make_browser_cookie()
    for done, refusal in ((True, InteractionFinished), (False, InteractionExpired)):
        begun = await house.interactions.begin("authorize", cookie, **NAMES)
        await house.interactions.finish(begun, done=done)
        with pytest.raises(refusal) as told:
            await house.interactions.read(begun.id, cookie)
        assert told.value.facts == NAMES
        for stranger in (None, other):
            with pytest.raises(ForeignBrowser):
                await house.interactions.read(begun.id, stranger)
        house.clock.advance(3_600)
        with pytest.raises(InteractionExpired) as forgotten:
            await house.interactions.read(begun.id, cookie)
        assert forgotten.value.facts == {}


async def test_a_page_that_was_open_for_too_long_still_knows_its_department(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    begun = await house.interactions.begin("authorize", cookie, **NAMES)
    house.clock.advance(7_199)
    with pytest.raises(InteractionExpired) as told:
        await house.interactions.read(begun.id, cookie)
    assert told.value.facts == NAMES
    house.clock.advance(1)
    with pytest.raises(InteractionExpired) as forgotten:
        await house.interactions.read(begun.id, cookie)
    assert forgotten.value.facts == {}


async def test_s49_a_flow_that_is_lost_under_a_move_is_gone_not_repeated(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    begun = await house.interactions.begin("authorize", cookie)
    held = await house.interactions.read(begun.id, cookie)
    await house.database.write("DELETE FROM transients")
    with pytest.raises(InteractionExpired):
        await house.interactions.replace(held, replace(begun, sends=1))


async def test_a_flow_of_another_kind_counts_as_gone(house: House) -> None:
    cookie = house.interactions.make_browser_cookie()
    for begun, asked in (("sign_out", None), ("sign_out", "authorize"), ("authorize", "sign_out"), ("portal", "authorize")):
        interaction = await house.interactions.begin(begun, cookie)
        with pytest.raises(InteractionExpired):
            await house.interactions.read(interaction.id, cookie, asked)
        assert (await house.interactions.read(interaction.id, cookie, begun)).interaction == interaction
    for kind in ("authorize", "portal"):
        interaction = await house.interactions.begin(kind, cookie)
        assert (await house.interactions.read(interaction.id, cookie)).interaction == interaction


async def test_one_network_begins_so_many_flows_in_a_minute(house: House) -> None:
    flows = Interactions(house.transients, house.clock, house.random, per_network=3)
    cookie = flows.make_browser_cookie()
    before = await house.database.fetch("SELECT count(*) AS n FROM transients WHERE kind = 'interaction'")
    for number in range(3):
        await flows.begin("authorize", cookie, address=f"2001:db8:9:9::{number}")
    house.clock.advance(20)
    for number in range(5):
        with pytest.raises(TooManyFlows) as refused:
            await flows.begin("authorize", cookie, address=f"2001:db8:9:9:1::{number}")
        assert refused.value.facts["seconds"] == 40
    after = await house.database.fetch("SELECT count(*) AS n FROM transients WHERE kind = 'interaction'")
    assert after[0]["n"] - before[0]["n"] == 3
    await flows.begin("authorize", cookie, address="2001:db8:9:a::1")
    house.clock.advance(40)
    await flows.begin("authorize", cookie, address="2001:db8:9:9::1")
