"""An interaction survives being written and read, and a later format is no interaction."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.levels import Acr, Factor, Proved
from idp.sign_in.rules.interaction import Ending, Interaction, hash_browser, is_bound_to
from idp.sign_in.rules.interaction_format import FLAGS, read_ending, read_interaction, write_ending, write_interaction

FIRST = datetime(2020, 1, 1)  # noqa: DTZ001 - hypothesis draws naive instants
LAST = datetime(2090, 1, 1)  # noqa: DTZ001
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50)
instants = st.datetimes(FIRST, LAST).map(lambda at: at.replace(tzinfo=UTC))
interactions = st.builds(
    Interaction,
    id=st.just("i-1"),
    kind=st.sampled_from(["authorize", "portal"]),
    browser_hash=st.binary(min_size=32, max_size=32),
    csrf=texts,
    created_at=instants,
    request=texts,
    client_id=texts,
    department=texts,
    wanted=st.sampled_from(Acr),
    language=st.none() | st.sampled_from(["zh-CN", "en"]),
    fresh_after=st.none() | instants,
    login_hint=st.none() | texts,
    person_id=st.none() | st.integers(0, 2**128 - 1).map(lambda n: UUID(int=n)),
    proved=st.lists(st.builds(Proved, st.sampled_from(Factor), instants), max_size=3).map(tuple),
    sends=st.integers(0, 9),
    unreachable_by=st.one_of(st.none(), st.uuids()),
    department_en=texts,
    home_url=texts,
    declined=st.booleans(),
    claimed=texts,
    password_of=st.none() | instants,
    passkey_of=st.none() | st.integers(0, 2**128 - 1).map(lambda n: UUID(int=n)),
    aal=st.integers(1, 2),
    answered_by=st.none() | st.integers(0, 2**128 - 1).map(lambda n: UUID(int=n)),
    **{flag: st.booleans() for flag in FLAGS},
)


@given(interactions)
def test_written_interactions_read_back(interaction: Interaction) -> None:
    assert read_interaction(interaction.id, write_interaction(interaction)) == interaction


@given(interactions)
def test_what_an_older_release_wrote_is_read(interaction: Interaction) -> None:
    raw = json.loads(write_interaction(interaction))
    for later in ("department_en", "home_url", "declined", "claimed", "password_of", "passkey_of", "aal", "answered_by", *FLAGS):
        del raw[later]
    read = read_interaction(interaction.id, json.dumps(raw).encode())
    before: dict[str, Any] = {"department_en": "", "home_url": "", "declined": False, "claimed": "", "password_of": None}
    flags: dict[str, Any] = dict.fromkeys(FLAGS, False)
    assert read == replace(interaction, **before, passkey_of=None, aal=1, answered_by=None, **flags)
    assert read.name_department("en") == interaction.department


@given(interactions, st.booleans())
def test_written_endings_read_back(interaction: Interaction, done: bool) -> None:
    ending = Ending(interaction.browser_hash, done, interaction.way_back)
    assert read_ending(write_ending(ending)) == ending


@given(interactions)
def test_a_later_format_is_no_interaction(interaction: Interaction) -> None:
    raw = json.loads(write_interaction(interaction))
    raw["v"] = 2
    assert read_interaction(interaction.id, json.dumps(raw).encode()) is None


@given(interactions, texts, texts)
def test_only_its_own_browser_holds_it(interaction: Interaction, cookie: str, other: str) -> None:
    bound = Interaction(**{**interaction.__dict__, "browser_hash": hash_browser(cookie)})
    assert is_bound_to(bound, cookie)
    assert is_bound_to(bound, other) is (cookie == other)


@given(interactions)
def test_a_later_format_is_no_ending(interaction: Interaction) -> None:
    raw = json.loads(write_ending(Ending(interaction.browser_hash, True, interaction.way_back)))
    raw["v"] = 2
    assert read_ending(json.dumps(raw).encode()) is None
