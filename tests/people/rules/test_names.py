"""Names: what people type becomes what the register has; what cannot be a name is refused with its reason."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.names import LONGEST, LONGEST_LATIN, NameSlip, RealName, check_name


@pytest.mark.parametrize(
    "typed, value",
    [
        ("张三", "张三"),
        (" 张 三　", "张三"),
        ("欧阳小明", "欧阳小明"),
        ("买买提·吐尔逊", "买买提·吐尔逊"),
        ("买买提 • 吐尔逊", "买买提·吐尔逊"),
        ("买买提・吐尔逊", "买买提·吐尔逊"),
        ("买买提．吐尔逊", "买买提·吐尔逊"),
        ("买买提.吐尔逊", "买买提·吐尔逊"),
        ("阿·布·都", "阿·布·都"),
        ("李㛃", "李㛃"),
        ("𠮷〇", "𠮷〇"),
        ("王\U0002b73f", "王\U0002b73f"),
        ("王\U00031350", "王\U00031350"),
        ("王\U000323b0", "王\U000323b0"),
        ("\u2f45明", "方明"),
        ("王\uf9e4", "王理"),
        ("\ufeff王\u200b明\ufe00", "王明"),
        ("葛\U000e0100明\U000e01ef", "葛明"),
        ("SMITH JOHN", "SMITH JOHN"),
        ("ＳＭＩＴＨ　ＪＯＨＮ", "SMITH JOHN"),
        ("  Anne-Marie   O’Neill ", "ANNE-MARIE O'NEILL"),
        ("J. R. R. Tolkien", "J. R. R. TOLKIEN"),
        ("Sammy Davis Jr.", "SAMMY DAVIS JR."),
        ("'t Hooft", "'T HOOFT"),
        ("Ju\u0308rgen Groß", "JÜRGEN GROSS"),
        ("Nguyễn Văn An", "NGUYỄN VĂN AN"),
        ("smith john", "SMITH JOHN"),
        ("ｓｍｉｔｈ ｊｏｈｎ", "SMITH JOHN"),
        ("Ja\u01f0 \u1e96o", "JA\u01f0 \u1e96O"),
        ("张" * LONGEST, "张" * LONGEST),
        ("A" * LONGEST_LATIN, "A" * LONGEST_LATIN),
    ],
)
def test_a_name_is_written_as_the_register_has_it(typed: str, value: str) -> None:
    assert check_name(typed) == RealName(value)
    assert check_name(value) == RealName(value)


@pytest.mark.parametrize(
    "typed, slip",
    [
        ("", NameSlip.EMPTY),
        (" \u3000\u200b", NameSlip.EMPTY),
        ("张", NameSlip.TOO_SHORT),
        ("A", NameSlip.TOO_SHORT),
        ("张" * (LONGEST + 1), NameSlip.TOO_LONG),
        ("A" * (LONGEST_LATIN + 1), NameSlip.TOO_LONG),
        ("张" * 201, NameSlip.TOO_LONG),
        ("张3", NameSlip.WRONG_CHARACTER),
        ("张３三", NameSlip.WRONG_CHARACTER),
        ("张(三)", NameSlip.WRONG_CHARACTER),
        ("John3", NameSlip.WRONG_CHARACTER),
        ("张\n三", NameSlip.WRONG_CHARACTER),
        ("张\x00三", NameSlip.WRONG_CHARACTER),
        ("张\u202e三", NameSlip.WRONG_CHARACTER),
        ("张\ue000", NameSlip.WRONG_CHARACTER),
        ("张😀", NameSlip.WRONG_CHARACTER),
        ("Иван", NameSlip.WRONG_CHARACTER),
        ("Jоhn", NameSlip.WRONG_CHARACTER),  # the second letter is Cyrillic
        ("<script>", NameSlip.WRONG_CHARACTER),
        ("张A", NameSlip.MIXED_SCRIPTS),
        ("张·Smith", NameSlip.MIXED_SCRIPTS),
        ("·张三", NameSlip.MISPLACED_MARK),
        ("张三·", NameSlip.MISPLACED_MARK),
        ("买买提··吐尔逊", NameSlip.MISPLACED_MARK),
        ("John-", NameSlip.MISPLACED_MARK),
        ("- John", NameSlip.MISPLACED_MARK),
        (".", NameSlip.MISPLACED_MARK),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_its_reason(typed: str, slip: NameSlip) -> None:
    assert check_name(typed) is slip


@given(st.text(max_size=210))
def test_no_text_breaks_the_check(text: str) -> None:
    found = check_name(text)
    if isinstance(found, RealName):
        assert 2 <= len(found.value) <= LONGEST_LATIN
        assert unicodedata.is_normalized("NFC", found.value)
        assert not any(
            unicodedata.category(character)[0] in "CN" and character != "〇" for character in found.value if character < "\U00020000"
        )
        assert check_name(found.value) == found


@given(st.text(alphabet="abßﬁöĳ '-.", min_size=1, max_size=12))
def test_a_latin_name_is_one_name_however_it_is_typed(text: str) -> None:
    assert check_name(text) == check_name(text.upper())


@given(st.text(alphabet="abŉǰẖ '-.", min_size=1, max_size=12))
def test_a_letter_without_a_capital_stays_as_it_is(text: str) -> None:
    found = check_name(text)
    if isinstance(found, RealName):
        assert check_name(found.value) == found


@given(st.text(alphabet="张王李欧阳买提·•． Ab'-.", min_size=1, max_size=12))
def test_checking_twice_changes_nothing(text: str) -> None:
    found = check_name(text)
    if isinstance(found, RealName):
        assert check_name(found.value) == found


@pytest.mark.parametrize("write", [str, repr, "{}".format, "{!r}".format, lambda v: f"{v}", lambda v: f"{v!s:>40}"])
def test_names_never_print_in_clear(write) -> None:
    name = RealName("王小明")
    for value in (name, [name], {"name": name}):
        assert "王" not in write(value)
