"""Sessions on a real database: only the hash is stored, and they end when they should."""

import asyncio
import json

import pytest

from idp.kernel.audit_events import Place
from idp.kernel.levels import Factor, Proved
from idp.platform.database import Database
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.rules.session import Session
from idp.sign_in.services.sessions import Opened
from tests.sign_in.house import House, Made
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def open_session(house: House, person: Made, *, replaces: Session | None = None, keep_total: bool = False) -> Opened:
    proved = (Proved(Factor.PASSWORD, house.clock.now),)
    async with house.database.transaction() as tx:
        return await house.sessions.open(
            tx, person.person_id, proved, b"device", Place("192.0.2.1", "browser"), replaces=replaces, keep_total=keep_total
        )


async def test_a_session_reads_back_by_its_cookie_only(house: House) -> None:
    person = await house.add_person()
    opened = await open_session(house, person)
    assert len(opened.cookie) == 43
    assert await house.sessions.read(opened.cookie) == opened.session
    for wrong in (None, "", opened.cookie[:-1], opened.cookie + "A", opened.session.id_hash.hex(), "x" * 10_000):
        assert await house.sessions.read(wrong) is None
        assert await house.sessions.explain(wrong) is None
    rows = await house.database.fetch("SELECT id_hash, sealed_place, factors FROM sessions WHERE person_id = $1", person.person_id)
    stored = rows[0]["id_hash"] + rows[0]["sealed_place"] + rows[0]["factors"].encode()
    assert opened.cookie.encode() not in stored
    assert b"192.0.2.1" not in stored


async def test_s14_idle_and_total(house: House) -> None:
    person = await house.add_person()
    opened = await open_session(house, person)
    house.clock.advance(1_799)
    assert await house.sessions.read(opened.cookie) is not None
    assert await house.sessions.explain(opened.cookie) is None
    house.clock.advance(1)
    assert await house.sessions.read(opened.cookie) is None
    assert await house.sessions.explain(opened.cookie) == "session_idle"
    house.clock.advance(43_200)
    assert await house.sessions.explain(opened.cookie) == "session_total"


async def test_use_is_written_at_most_once_a_minute(house: House) -> None:
    opened = await open_session(house, await house.add_person())
    house.clock.advance(59)
    house.sessions.touch(opened.session)
    await house.ledger.drain()
    session = await house.sessions.read(opened.cookie)
    assert session is not None
    assert session.last_seen_at == opened.session.created_at
    now = house.clock.advance(1)
    house.sessions.touch(session)
    await house.ledger.drain()
    session = await house.sessions.read(opened.cookie)
    assert session is not None
    assert session.last_seen_at == now


async def test_an_ended_session_is_over_without_a_notice(house: House) -> None:
    person = await house.add_person()
    opened = await open_session(house, person)
    async with house.database.transaction() as tx:
        assert await house.sessions.end_lineage(tx, opened.session.lineage, "signed_out")
        assert not await house.sessions.end_lineage(tx, opened.session.lineage, "signed_out")
    assert await house.sessions.read(opened.cookie) is None
    assert await house.sessions.explain(opened.cookie) is None
    assert await house.audit_kinds(person.person_id) == ["person_seeded", "session_ended"]


async def test_all_sessions_of_a_person_end_together(house: House) -> None:
    person, other = await house.add_person(), await house.add_person()
    mine = [await open_session(house, person) for _ in range(3)]
    theirs = await open_session(house, other)
    async with house.database.transaction() as tx:
        ended = await house.sessions.end_all(tx, person.person_id, "banned")
        assert await house.sessions.end_all(tx, person.person_id, "banned") == []
    assert set(ended) == {opened.session.lineage for opened in mine}
    assert house.told == [(person.person_id, sorted(ended))], "departments are told once, of all of them"
    assert [await house.sessions.read(opened.cookie) for opened in mine] == [None] * 3
    assert await house.sessions.read(theirs.cookie) is not None


async def test_a_session_of_somebody_else_gives_nothing_to_the_next(house: House) -> None:
    one, other = await house.add_person(), await house.add_person()
    first = await open_session(house, one)
    house.clock.advance(60)
    second = await open_session(house, other, replaces=first.session, keep_total=True)
    assert second.session.lineage != first.session.lineage
    assert second.session.expires_at > first.session.expires_at
    assert await house.sessions.read(first.cookie) is None
    assert house.told[-1] == (one.person_id, [first.session.lineage])
    rows = await house.database.fetch(
        "SELECT actor, details FROM audit_events WHERE kind = 'session_ended' AND person_id = $1", one.person_id
    )
    assert [row["actor"] for row in rows] == [f"person:{other.person_id}"]
    assert json.loads(rows[0]["details"])["reason"] == "replaced by another person"


async def test_a_session_is_replaced_once_and_whoever_comes_late_leaves_none_behind(house: House) -> None:
    person = await house.add_person()
    first = await open_session(house, person)
    tabs = await asyncio.gather(*(open_session(house, person, replaces=first.session) for _ in range(4)), return_exceptions=True)
    opened = [tab for tab in tabs if isinstance(tab, Opened)]
    assert len(opened) == 1
    assert sum(isinstance(tab, StepRepeated) for tab in tabs) == 3
    rows = await house.database.fetch("SELECT id_hash FROM sessions WHERE person_id = $1 AND ended_at IS NULL", person.person_id)
    assert [row["id_hash"] for row in rows] == [opened[0].session.id_hash]
    async with house.database.transaction() as tx:
        await house.sessions.end_lineage(tx, first.session.lineage, "signed_out")
    with pytest.raises(StepRepeated):
        await open_session(house, person, replaces=opened[0].session)


async def test_only_what_ends_for_good_is_told(house: House) -> None:
    person = await house.add_person()
    first, other = await open_session(house, person), await open_session(house, person)
    before = len(house.told)
    stepped = await open_session(house, person, replaces=first.session)
    assert len(house.told) == before, "the same sign-in goes on under another id"
    async with house.database.transaction() as tx:
        assert await house.sessions.end_others(tx, person.person_id, stepped.session.lineage, "password changed") == 1
        assert await house.sessions.end_others(tx, person.person_id, stepped.session.lineage, "password changed") == 0
        assert await house.sessions.end_lineage(tx, stepped.session.lineage, "signed out")
        assert not await house.sessions.end_lineage(tx, stepped.session.lineage, "signed out")
    assert house.told[before:] == [(person.person_id, [other.session.lineage]), (person.person_id, [stepped.session.lineage])]
