"""The list of common passwords: long enough, found whatever the disguise, and the file is what its sources say."""

import pytest

from idp.authenticators.services.common_passwords import FILE, CommonPasswords, load_common_passwords, write_hashes
from tests.support.common_passwords import build, read_published


def test_the_list_is_as_long_as_the_rule_asks() -> None:
    assert len(load_common_passwords()) >= 100_000
    assert FILE.stat().st_size < 2_000_000


def test_the_file_is_what_its_sources_say() -> None:
    assert FILE.read_bytes() == build([])


def test_every_published_password_is_found() -> None:
    common = load_common_passwords()
    published = read_published()
    assert len(published) > 19_000
    assert all(common.holds(password) for password in published)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "123456",
        "Password123",
        "P@ssw0rd1",
        "woaini1314",
        "wang1990",
        "19900307",
        "Zhang@123",
        "ｑｗｅｒｔｙｕｉｏｐ",
        "1qaz2wsx",
        "Aa123456",
    ],
)
def test_what_people_choose_is_found_whatever_the_disguise(password: str) -> None:
    assert load_common_passwords().holds(password)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Lantern-Harbour-27",
        "一个容易记住的句子啊",
        "",
        "yyq8fj2k",
        "\ud800 unpaired",
    ],
)
def test_what_nobody_else_has_is_not(password: str) -> None:
    assert not load_common_passwords().holds(password)


def test_first_last_and_absent_entries_of_a_small_list() -> None:
    words = [f"word number {n}" for n in range(50)]
    common = CommonPasswords(write_hashes(words + words))
    assert len(common) == 50
    assert all(common.holds(word) for word in words)
    assert not any(common.holds(f"word number {n}") for n in range(50, 200))
    assert not CommonPasswords(b"").holds("anything")
    with pytest.raises(ValueError, match="cut off"):
        CommonPasswords(b"1234")
