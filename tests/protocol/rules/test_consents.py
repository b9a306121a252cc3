"""What a person agreed to, and what that covers."""

from idp.protocol.rules.client import Basis, Entitlement
from idp.protocol.rules.consents import NO_CONSENTS, agree, covers, with_verification

NARROW = Entitlement("c", Basis.CONSENT, ("gender",))
WIDE = Entitlement("c", Basis.CONSENT, ("gender", "name"))


def test_whoever_agrees_covers_exactly_that() -> None:
    agreed = agree(NO_CONSENTS, [NARROW])
    assert covers(agreed, NARROW)
    assert not covers(NO_CONSENTS, NARROW)
    assert not covers(agreed, WIDE)
    assert not covers(agreed, with_verification(NARROW))
    assert covers(agree(NO_CONSENTS, [with_verification(WIDE)]), NARROW)


def test_the_later_answer_counts_and_others_stay() -> None:
    other = Entitlement("d", Basis.CONSENT, ("birthdate",))
    agreed = agree(agree(NO_CONSENTS, [WIDE, other]), [NARROW])
    assert not covers(agreed, WIDE)
    assert covers(agreed, other)
