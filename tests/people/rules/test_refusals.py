"""Every refusal of proofing has a code of its own, and none carries more than its text needs."""

from idp.kernel.errors import Refusal
from idp.people.rules import refusals


def test_codes_are_distinct() -> None:
    kinds = [value for value in vars(refusals).values() if isinstance(value, type) and issubclass(value, Refusal) and value is not Refusal]
    assert len({kind.code for kind in kinds}) == len(kinds) >= 14
