"""A puzzle is ours, of one flow, for a while, and its answer counts once."""

import pytest

from idp.authenticators.rules.proof_of_work import Proof
from idp.authenticators.services.proofs_of_work import LIFE, ProofsOfWork
from idp.kernel.clock import Random
from idp.platform.database import Database
from idp.platform.transients.postgres import PostgresTransients
from keys import DataKeys
from tests.authenticators.rules.test_proof_of_work import solve
from tests.support.clocks import ManualClock

BITS = 6


@pytest.fixture
def proofs(database: Database, data_keys: DataKeys, clock: ManualClock, random: Random) -> ProofsOfWork:
    transients = PostgresTransients(database, data_keys.sealer("transients"), data_keys.mac("transients"), clock, random)
    return ProofsOfWork(transients, data_keys.mac("codes"), clock, random, BITS)


async def test_an_answer_counts_once_and_in_its_flow(proofs: ProofsOfWork) -> None:
    puzzle = proofs.make("flow")
    assert puzzle.bits == BITS
    assert proofs.make("flow") != puzzle
    proof = Proof(puzzle.text, solve(puzzle.text, BITS))
    assert not await proofs.spend("another flow", proof)
    assert await proofs.spend("flow", proof)
    assert not await proofs.spend("flow", proof), "used"


async def test_an_old_puzzle_and_one_from_the_future_do_not_count(proofs: ProofsOfWork, clock: ManualClock) -> None:
    puzzle = proofs.make("flow")
    proof = Proof(puzzle.text, solve(puzzle.text, BITS))
    clock.advance(seconds=LIFE + 1)
    assert not await proofs.spend("flow", proof)
    clock.advance(seconds=-2 * LIFE)
    assert not await proofs.spend("flow", proof)


async def test_what_is_not_ours_or_not_solved_does_not_count(proofs: ProofsOfWork) -> None:
    puzzle = proofs.make("flow")
    ends, salt, seal = puzzle.text.split(".")
    unsolved = str(int(solve(puzzle.text, BITS)) - 1)
    texts = [
        "",
        "a",
        "a.b.c",
        "1.2.3.4",
        f"{int(ends) + 1}.{salt}.{seal}",
        f"{ends}.x.{seal}",
        f"{ends}.{salt}.",
        "９.a.b",
        "9" * 20 + ".a.b",
    ]
    for text in [*texts, f"{ends}.{salt}.\u00e9\ud800", "1." + "a" * 200 + ".b"]:
        assert not await proofs.spend("flow", Proof(text, solve("x", 1)))
    assert not await proofs.spend("flow", Proof(puzzle.text, unsolved if int(unsolved) >= 0 else "x"))
    assert await proofs.spend("flow", Proof(puzzle.text, solve(puzzle.text, BITS))), "failures use nothing up"
