"""Decides whether a browser did the work that it was asked for: a number behind a text, whose hash begins with enough zero bits."""

import hashlib
import re
from dataclasses import dataclass

ANSWER = re.compile(r"[0-9]{1,12}\Z")


@dataclass(frozen=True)
class Puzzle:
    """What a browser is given: find a decimal number n such that SHA-256(``text`` ‖ ":" ‖ n) begins with ``bits`` zero bits."""

    text: str
    bits: int


@dataclass(frozen=True)
class Proof:
    """What a browser sent: the text of its puzzle, and the number."""

    text: str
    answer: str


def is_solved(puzzle: Puzzle, answer: str) -> bool:
    """Tell whether the number fits; anything but a decimal number of at most twelve digits does not."""
    if ANSWER.match(answer) is None:
        return False
    digest = hashlib.sha256(f"{puzzle.text}:{answer}".encode()).digest()
    return int.from_bytes(digest, "big") >> (256 - puzzle.bits) == 0
