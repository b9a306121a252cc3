"""Reading cookies: a name that only looks like ours after other blanks are cut off is not ours."""

import pytest

from idp.http.cookies import CookieNames, read_cookies

NAMES = CookieNames("https://idp.example")


@pytest.mark.parametrize("blank", [b"\xa0", b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1f"])
def test_only_space_and_tab_are_cut_off_a_name(blank: bytes) -> None:
    name = NAMES.session.encode()
    planted = read_cookies([(b"cookie", blank + name + b"=planted; " + name + b"=own")])
    assert planted[NAMES.session] == "own"
    assert read_cookies([(b"cookie", name + blank + b"=planted")]).get(NAMES.session) is None


def test_space_tab_and_quotes_are_cut_off_and_the_first_counts() -> None:
    assert read_cookies([(b"cookie", b' a\t= "1" ;b=2; a=3'), (b"x", b"c=4"), (b"cookie", b"d=5")]) == {"a": "1", "b": "2", "d": "5"}
