"""Which new passwords are refused: length, the person's own data, patterns; everything else is the person's choice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authenticators.rules.password_policy import (
    LONGEST,
    SHORTEST,
    PasswordSlip,
    Personal,
    check_password,
    count_strangers,
    is_monotonous,
    list_spellings,
)

SOMEBODY = Personal("王小明", "11010119900307123X", "+8613812345678")
GUEST = Personal("JOHN SMITH-JONES", "E12345678", "13987654321")


@pytest.mark.parametrize("password", ["", "seven77", "a" * 129, "短密码", "éclair7"])
def test_too_short_or_too_long_is_refused(password: str) -> None:
    assert check_password(password) is PasswordSlip.LENGTH


@pytest.mark.parametrize("password", ["bicycle8", "一个容易记住的句子啊", "q7" * 3 + "xk", "Lantern-Harbour-27", "ab" + "cde fgh" * 18])
def test_length_alone_makes_a_password(password: str) -> None:
    assert SHORTEST <= len(password) <= LONGEST
    assert check_password(password, SOMEBODY) is None


@pytest.mark.parametrize(
    "password",
    [
        "11010119900307123X",
        "11010119900307123x",
        "1101 0119 9003 07123X",
        "１１０１０１１９９００３０７",
        "19900307",
        "900307123x",
        "13812345678",
        "+8613812345678",
        "138-1234-5678",
        "王小明13812345678",
        "王小明19900307",
        "王小明王小明王小明",
        "wx19900307",
        "19900307!!!",
        "13819900307",
    ],
)
def test_the_persons_own_data_are_no_secret(password: str) -> None:
    assert check_password(password, SOMEBODY) is PasswordSlip.PERSONAL


@pytest.mark.parametrize("password", ["JohnSmith", "smithjones", "SMITH.JOHN", "e12345678", "John12345678", "john smith-jones"])
def test_a_foreign_name_is_the_persons_own_too(password: str) -> None:
    assert check_password(password, GUEST) is PasswordSlip.PERSONAL


@pytest.mark.parametrize("password", ["王小明喜欢在河边散步", "wxm-19900307-river", "138 bicycles at noon", "90 more 07 rivers"])
def test_own_data_inside_something_longer_are_allowed(password: str) -> None:
    assert check_password(password, SOMEBODY) is None


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaa",
        "ABABABAB",
        "        ",
        "12345678",
        "87654321",
        "abcdefgh",
        "ZYXWVUTS",
        "啊啊啊啊啊啊啊啊",
        "aaaaaaaAAA",
    ],
)
def test_patterns_are_common_whatever_a_list_says(password: str) -> None:
    assert check_password(password) is PasswordSlip.COMMON
    assert is_monotonous(password.casefold())


@pytest.mark.parametrize("password", ["!@#$%^&*(", "!a!b!-_+=?", "。，；：！？…—"])
def test_signs_alone_are_not_taken_for_own_data(password: str) -> None:
    assert check_password(password, SOMEBODY) is None


def test_what_is_known_of_the_person_is_not_printed() -> None:
    assert "王" not in f"{SOMEBODY} {SOMEBODY!r}"


@pytest.mark.parametrize(
    "text, left",
    [
        ("", 0),
        ("abc", 0),
        ("ab", 2),
        ("abcde", 0),
        ("xabcx", 2),
        ("abcabc", 0),
        ("cdeabx", 3),
        ("deab", 4),
        ("王明", 0),
        ("王明王明", 0),
        ("王", 1),
    ],
)
def test_strangers_are_counted_at_their_fewest(text: str, left: int) -> None:
    assert count_strangers(text, ("abcde", "王明")) == left


@pytest.mark.parametrize(
    "password, spelling",
    [
        ("PassWord", "password"),
        ("ｐａｓｓ", "pass"),
        ("P@ssw0rd1", "password1"),
        ("Zhang@123", "zhang123"),
        ("dr4g0n", "dragon"),
        ("Zhang.123", "zhang123"),
    ],
)
def test_usual_disguises_are_seen_through(password: str, spelling: str) -> None:
    assert spelling in list_spellings(password)


@given(st.text(max_size=200), st.builds(Personal, st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)))
def test_anything_can_be_asked(password: str, personal: Personal) -> None:
    assert check_password(password, personal) in {None, *PasswordSlip}
    assert all(list_spellings(password))
