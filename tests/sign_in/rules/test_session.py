"""How long a session lives, when its use is written, and that its factors survive storing."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.levels import Factor, Proved
from idp.sign_in.rules.session import IDLE, TOUCH_EVERY, Session, hash_session_id, read_factors, write_factors

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
SESSION = Session(b"i" * 32, b"l" * 32, UUID(int=7), (Proved(Factor.PASSWORD, NOW),), NOW, NOW, NOW + timedelta(hours=12))
FIRST, LAST = datetime(2020, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001 - hypothesis draws naive instants


def test_it_ends_when_it_is_not_used() -> None:
    assert SESSION.is_alive(NOW + IDLE - MOMENT)
    assert not SESSION.is_alive(NOW + IDLE)
    assert not SESSION.is_alive(NOW + timedelta(seconds=60), timedelta(seconds=60))


def test_it_ends_in_any_case_after_its_whole_time() -> None:
    used = SESSION._replace(last_seen_at=SESSION.expires_at)
    assert used.is_alive(SESSION.expires_at - MOMENT)
    assert not used.is_alive(SESSION.expires_at)


def test_it_is_over_when_it_was_ended() -> None:
    assert SESSION.is_alive(NOW)
    assert not SESSION._replace(ended_at=NOW).is_alive(NOW)


def test_its_use_is_written_once_a_minute() -> None:
    assert not SESSION.wants_touch(NOW + TOUCH_EVERY - MOMENT)
    assert SESSION.wants_touch(NOW + TOUCH_EVERY)


def test_a_cookie_is_known_by_its_hash() -> None:
    assert len(hash_session_id("cookie")) == 32
    assert hash_session_id("cookie") == hash_session_id("cookie") != hash_session_id("another")


@given(st.lists(st.builds(Proved, st.sampled_from(Factor), st.datetimes(FIRST, LAST).map(lambda at: at.replace(tzinfo=UTC))), max_size=4))
def test_written_factors_read_back(proved: list[Proved]) -> None:
    assert read_factors(write_factors(tuple(proved))) == tuple(proved)
