"""How long evidence of checks is kept: what led to an account stays, what led to nobody ends after half a year."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from idp.people.services.forgetting import forget_unowned
from idp.people.stores import evidence
from idp.people.stores.evidence import Evidence
from idp.platform.database import Database
from tests.sign_in.house import House
from tests.support.clocks import ManualClock


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


def make_evidence(house: House, days: int, person_id: UUID | None = None) -> Evidence:
    """Return what a check left ``days`` ago."""
    words = ("sample authority", "reference", "", "registration", "")
    at = house.clock.now - timedelta(days=days)
    return Evidence(uuid4(), uuid4().hex, uuid4(), person_id, "identity", b"mac", "key", "match", *words, None, at)


async def test_evidence_of_nobody_ends_after_half_a_year_and_a_persons_stays(house: House) -> None:
    person = await house.add_person()
    old = [make_evidence(house, days) for days in (183, 200, 400)]
    kept = [make_evidence(house, 182), make_evidence(house, 0), make_evidence(house, 900, person.person_id)]
    async with house.database.transaction() as tx:
        for row in (*old, *kept):
            await evidence.add(tx, row)
    assert await forget_unowned(house.database, house.clock.now, batch=1, batches=2), "what is left waits for the next run"
    assert not await forget_unowned(house.database, house.clock.now, batch=2, batches=2)
    rows = await house.database.fetch("SELECT id FROM proofing_evidence WHERE id = ANY($1::uuid[])", [row.id for row in (*old, *kept)])
    assert {row["id"] for row in rows} == {row.id for row in kept}
