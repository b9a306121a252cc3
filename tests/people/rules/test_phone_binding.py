"""When a number is taken to be somebody else's until the operator says otherwise."""

from datetime import UTC, datetime, timedelta

import pytest

from idp.people.rules.phone_binding import UNUSED, is_unused

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "seen_at, unused",
    [(None, False), (NOW, False), (NOW - UNUSED + timedelta(seconds=1), False), (NOW - UNUSED, True), (NOW - 2 * UNUSED, True)],
)
def test_ninety_days_without_a_sign(seen_at: datetime | None, unused: bool) -> None:
    assert timedelta(days=90) == UNUSED
    assert is_unused(seen_at, NOW) is unused
