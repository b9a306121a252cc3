"""What a flow asks for when another person is here by now, or said something."""

from datetime import UTC, datetime

import pytest

from idp.kernel.levels import Acr
from idp.sign_in.rules.interaction import Interaction, SignInNeeded, ask_more, asks_more

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def make_flow(wanted: Acr = Acr.LOW, *, resistant: bool = False, essential: bool = False, unreachable: bool = True) -> Interaction:
    return Interaction(
        "i", "authorize", b"", "csrf", NOW, "{}", "land", "部门", wanted, resistant=resistant, essential=essential, unreachable=unreachable
    )


@pytest.mark.parametrize(
    "flow, needed",
    [
        (make_flow(), SignInNeeded()),
        (make_flow(), SignInNeeded(Acr.LOW)),
        (make_flow(Acr.SUBSTANTIAL), SignInNeeded(Acr.LOW)),
        (make_flow(resistant=True, essential=True), SignInNeeded(Acr.LOW, True, True)),
    ],
)
def test_what_the_flow_asks_for_anyway_changes_nothing(flow: Interaction, needed: SignInNeeded) -> None:
    assert not asks_more(flow, needed)


@pytest.mark.parametrize(
    "flow, needed, wanted",
    [
        (make_flow(), SignInNeeded(Acr.SUBSTANTIAL), Acr.SUBSTANTIAL),
        (make_flow(Acr.SUBSTANTIAL), SignInNeeded(Acr.LOW, True), Acr.SUBSTANTIAL),
        (make_flow(resistant=True), SignInNeeded(Acr.LOW, False), Acr.LOW),
        (make_flow(resistant=True), SignInNeeded(Acr.LOW, True, True), Acr.LOW),
    ],
)
def test_the_flow_asks_for_what_is_needed_now(flow: Interaction, needed: SignInNeeded, wanted: Acr) -> None:
    assert asks_more(flow, needed)
    asking = ask_more(flow, needed)
    assert (asking.wanted, asking.resistant, asking.essential) == (wanted, needed.resistant, needed.essential)
    assert not asking.unreachable, "what could not be reached before is another question"
    assert not asks_more(asking, needed)


def test_a_flow_that_says_no_class_keeps_its_own() -> None:
    assert ask_more(make_flow(Acr.SUBSTANTIAL), SignInNeeded()).wanted is Acr.SUBSTANTIAL
