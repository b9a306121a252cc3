"""What scripts know of a sign-in changes with it and tells nothing of it."""

import hashlib

from idp.kernel.browser_state import make_browser_state


def test_the_state_is_the_sessions_and_not_its_hash() -> None:
    one, other = hashlib.sha256(b"one").digest(), hashlib.sha256(b"other").digest()
    assert make_browser_state(one) == make_browser_state(one)
    assert make_browser_state(one) != make_browser_state(other)
    assert len(make_browser_state(one)) == 43
    assert hashlib.sha256(one).hexdigest() not in make_browser_state(one)
