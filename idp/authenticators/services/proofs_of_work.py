"""Decides which puzzles are ours and that each is good for one attempt; nothing is kept of a puzzle that nobody solved."""

import hmac

from idp.authenticators.rules.proof_of_work import Proof, Puzzle, is_solved
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import encode_base64url
from idp.platform.transients import Transients
from keys import Mac

USED = "proof_of_work"
LIFE = 600
"""Seconds in which a puzzle may be answered."""

MAX_PROOF = 100


class ProofsOfWork:
    """Makes puzzles for flows and spends their answers. With 0 ``bits`` there are none."""

    def __init__(self, transients: Transients, mac: Mac, clock: Clock, random: Random, bits: int) -> None:
        self._transients = transients
        self._mac = mac
        self._clock = clock
        self._random = random
        self._bits = bits

    @property
    def wanted(self) -> bool:
        """Tell whether this installation asks for work at all."""
        return self._bits > 0

    def make(self, flow: str) -> Puzzle:
        """Return a puzzle that counts in this flow alone, for LIFE seconds."""
        ends = int(self._clock().timestamp()) + LIFE
        salt = encode_base64url(self._random(8))
        return Puzzle(f"{ends}.{salt}.{self._seal(flow, ends, salt)}", self._bits)

    async def spend(self, flow: str, proof: Proof) -> bool:
        """Tell whether work was done in this flow, and note that it was used; false for a puzzle that is foreign, old, unsolved or used."""
        parts = proof.text.split(".")
        if len(proof.text) > MAX_PROOF or len(parts) != 3 or not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 15):
            return False
        left = int(parts[0]) - self._clock().timestamp()
        if not 0 < left <= LIFE or not self._is_ours(flow, int(parts[0]), parts[1], parts[2]):
            return False
        if not is_solved(Puzzle(proof.text, self._bits), proof.answer):
            return False
        return await self._transients.add_once(USED, proof.text, left)

    def _seal(self, flow: str, ends: int, salt: str) -> str:
        return encode_base64url(self._mac.compute(_describe(flow, ends, salt))[:16])

    def _is_ours(self, flow: str, ends: int, salt: str, seal: str) -> bool:
        return hmac.compare_digest(self._seal(flow, ends, salt).encode(), seal.encode("utf-8", "replace"))


def _describe(flow: str, ends: int, salt: str) -> bytes:
    return f"proof-of-work\0{flow}\0{ends}\0{salt}".encode("utf-8", "replace")
