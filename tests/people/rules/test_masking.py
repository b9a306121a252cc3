"""Masked output never carries the birth date nor the middle of a phone (formats.md §6)."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.people.rules.masking import mask_document, mask_name, mask_phone


@pytest.mark.parametrize(
    "number, masked",
    [
        ("350102199003070012", "350***********0012"),
        ("51010720240101002X", "510***********002X"),
        ("H12345678", "H******78"),
        ("01234567", "0*****67"),
        ("123", "***"),
    ],
)
def test_documents(number: str, masked: str) -> None:
    assert mask_document(number) == masked


@pytest.mark.parametrize("number, masked", [("+8613800138000", "138****8000"), ("13800138000", "138****8000"), ("12345", "*****")])
def test_phones(number: str, masked: str) -> None:
    assert mask_phone(number) == masked


@pytest.mark.parametrize(
    "name, masked",
    [("张三", "*三"), ("张小三", "*小三"), ("三", "*"), ("", "*"), ("买买提·吐尔逊", "******逊"), ("欧阳小明", "*阳小明")],
)
def test_names(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@settings(max_examples=5_000)
@given(st.dates(date(1900, 1, 1), date(2026, 1, 1)), st.integers(0, 999_999), st.integers(0, 9_999))
def test_ten_thousand_documents_hide_the_birth_date(born: date, region: int, tail: int) -> None:
    masked = mask_document(f"{region:06}{born:%Y%m%d}{tail:04}")
    assert len(masked) == 18
    assert f"{born:%Y%m%d}" not in masked
    assert masked[3:14] == "*" * 11


@settings(max_examples=5_000)
@given(st.integers(0, 9), st.integers(0, 9_999), st.integers(0, 9_999))
def test_ten_thousand_phones_hide_the_middle(second: int, middle: int, tail: int) -> None:
    masked = mask_phone(f"+8613{second}{middle:04}{tail:04}")
    assert masked == f"13{second}****{tail:04}"
