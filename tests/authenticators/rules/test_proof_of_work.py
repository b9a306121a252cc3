"""A number counts when the hash behind it begins with enough zero bits, and nothing but a number does."""

import hashlib
from itertools import count

import pytest

from idp.authenticators.rules.proof_of_work import Puzzle, is_solved
from idp.authenticators.rules.refusals import ProofWanted


def solve(text: str, bits: int) -> str:
    return next(str(n) for n in count() if hashlib.sha256(f"{text}:{n}".encode()).digest().hex() < f"{1 << (256 - bits):064x}")


@pytest.mark.parametrize("bits", [1, 7, 8, 10])
def test_the_first_number_that_fits_fits_and_those_before_it_do_not(bits: int) -> None:
    puzzle = Puzzle("1790000000.salt.seal", bits)
    answer = solve(puzzle.text, bits)
    assert is_solved(puzzle, answer)
    assert not any(is_solved(puzzle, str(n)) for n in range(int(answer)))


def test_more_work_counts_for_less_but_not_the_reverse() -> None:
    answer = solve("a", 9)
    assert is_solved(Puzzle("a", 5), answer)
    assert not is_solved(Puzzle("a", 60), answer)
    assert not is_solved(Puzzle("b", 60), answer)


@pytest.mark.parametrize("answer", ["", "-1", "1.0", "0x10", "１２", "1" * 13, "1\n", " 1"])
def test_only_a_decimal_number_is_an_answer(answer: str) -> None:
    assert not is_solved(Puzzle("a", 0), answer)
    assert is_solved(Puzzle("a", 0), "1")


def test_who_must_work_first_is_handed_the_puzzle() -> None:
    refusal = ProofWanted(Puzzle("a", 9))
    assert (refusal.code, refusal.puzzle) == ("proof_wanted", Puzzle("a", 9))
