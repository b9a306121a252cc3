"""What a flow asks for when another person is here by now, or said something."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from idp.kernel.levels import Acr
from idp.sign_in.rules.interaction import Interaction, SignInNeeded, answer_as, ask_more, asks_more, is_answered_by

FIRST, SECOND = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def make_flow(wanted: Acr = Acr.LOW, *, resistant: bool = False, essential: bool = False) -> Interaction:
    return Interaction(
        "i", "authorize", b"", "csrf", NOW, "{}", "land", "部门", wanted, resistant=resistant, essential=essential, unreachable_by=FIRST
    )


@pytest.mark.parametrize(
    "flow, needed",
    [
        (make_flow(), SignInNeeded()),
        (make_flow(), SignInNeeded(Acr.LOW)),
        (make_flow(Acr.SUBSTANTIAL), SignInNeeded(Acr.LOW)),
        (make_flow(resistant=True, essential=True), SignInNeeded(Acr.LOW, True, True)),
        (replace(make_flow(), fresh_after=NOW), SignInNeeded(Acr.LOW, fresh_after=NOW)),
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
        (make_flow(Acr.SUBSTANTIAL), SignInNeeded(Acr.LOW, fresh_after=NOW), Acr.SUBSTANTIAL),
    ],
)
def test_the_flow_asks_for_what_is_needed_now(flow: Interaction, needed: SignInNeeded, wanted: Acr) -> None:
    assert asks_more(flow, needed)
    asking = ask_more(flow, needed)
    assert (asking.wanted, asking.resistant, asking.essential) == (wanted, needed.resistant, needed.essential)
    assert asking.fresh_after == needed.fresh_after
    assert asking.unreachable_by is None, "what could not be reached before is another question"
    assert not asks_more(asking, needed)


def test_a_flow_that_says_no_class_keeps_its_own() -> None:
    assert ask_more(make_flow(Acr.SUBSTANTIAL), SignInNeeded()).wanted is Acr.SUBSTANTIAL


@pytest.mark.parametrize(
    "answered, signed_in, here, counts",
    [
        (None, None, None, True),
        (None, None, FIRST, True),  # nobody was known: whoever signed in by another tab goes on
        (None, FIRST, FIRST, True),
        (None, FIRST, SECOND, False),
        (FIRST, None, FIRST, True),
        (FIRST, None, SECOND, False),
        (FIRST, SECOND, SECOND, False),
        (FIRST, None, None, True),  # nobody is here who would be spoken for
    ],
)
def test_answers_count_for_whose_they_are(answered: UUID | None, signed_in: UUID | None, here: UUID | None, counts: bool) -> None:
    flow = replace(make_flow(), answered_by=answered, person_id=signed_in)
    assert is_answered_by(flow, here) is counts


def test_an_answer_keeps_ones_own_and_forgets_those_of_others() -> None:
    flow = replace(answer_as(make_flow(), None), without_passkey=True)
    flow = replace(answer_as(flow, FIRST), declined=True)
    flow = replace(answer_as(flow, FIRST), confirmed=True)
    assert (flow.answered_by, flow.without_passkey, flow.declined, flow.confirmed) == (FIRST, True, True, True)
    assert answer_as(flow, None).answered_by == FIRST
    flow = answer_as(flow, SECOND)
    assert (flow.answered_by, flow.without_passkey, flow.declined, flow.confirmed) == (SECOND, False, False, False)


def test_a_flow_goes_on_at_the_dispatcher() -> None:
    assert make_flow().way_on == "/continue?i=i"
    assert make_flow().name_page("/sign-in", way="code") == "/sign-in?i=i&way=code"
