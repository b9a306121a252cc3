"""Masked output never carries the birth date nor the middle of a phone (formats.md §6)."""

import re
from datetime import date
from random import Random

import pytest

from idp.people.rules.masking import mask_address, mask_document, mask_email, mask_item, mask_name, mask_phone


@pytest.mark.parametrize(
    "number, masked",
    [
        ("350102199003070012", "350***********0012"),
        ("51010720240101002X", "510***********002X"),
        ("H12345678", "H******78"),
        ("01234567", "0*****67"),
        ("911840199003070014", "911***********0014"),
        ("USA110090030712", "U************12"),
        ("E12345678", "E******78"),
        ("A1B2C", "*****"),
        ("123", "***"),
    ],
)
def test_documents(number: str, masked: str) -> None:
    assert mask_document(number) == masked


def test_what_people_say_of_themselves() -> None:
    assert mask_email("zhao.an@example.com") == "z***@example.com"
    assert mask_email("z@example.com") == "***@example.com"
    assert mask_address("福建省福州市鼓楼区") == "福建省福州市鼓楼区****"


@pytest.mark.parametrize("number, masked", [("+8613800138000", "138****8000"), ("13800138000", "138****8000"), ("12345", "*****")])
def test_phones(number: str, masked: str) -> None:
    assert mask_phone(number) == masked


@pytest.mark.parametrize(
    "name, masked",
    [
        ("张三", "*三"),
        ("张小三", "*小三"),
        ("三", "*"),
        ("", "*"),
        ("买买提·吐尔逊", "******逊"),
        ("欧阳小明", "**小明"),
        ("欧阳", "*阳"),
        ("John Smith", "*********h"),
        ("O'Neill", "******l"),
        ("𠮷田", "*田"),
        ("欧阳小明明", "****明"),
        ("医保卡停用请拨打一三八", "**********八"),
    ],
)
def test_names(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize(
    "number, masked",
    [
        ("6214830000000000015", "****0015"),
        ("350100123456", "****3456"),
        ("FJ3500000", "****0000"),
        ("12345678", "****78"),
        ("123456", "****56"),
        ("1234", "****"),
        ("", "****"),
    ],
)
def test_items(number: str, masked: str) -> None:
    assert mask_item(number) == masked


def test_ten_thousand_synthetic_records_hide_birth_date_and_middle_of_the_phone() -> None:
    draw = Random(35743)
    for _ in range(10_000):
        born = date.fromordinal(draw.randrange(date(1900, 1, 1).toordinal(), date(2026, 1, 1).toordinal()))
        tail, rest = draw.randrange(10_000), draw.randrange(10**8)
        eighteen = mask_document(f"{draw.randrange(10**6):06}{born:%Y%m%d}{tail:04}")
        fifteen = mask_document(f"USA{draw.randrange(10_000):04}{born:%y%m%d}{tail % 100:02}")
        phone = mask_phone(f"+86139{rest:08}")
        assert (len(eighteen), eighteen[3:14]) == (18, "*" * 11)
        assert (fifteen[0], fifteen[1:13]) == ("U", "*" * 12)
        assert phone == f"139****{rest % 10_000:04}"
        written = f"{eighteen} {fifteen} {phone} {mask_item(f'621483{rest:013}')} {mask_item(f'{rest:012}')}"
        assert f"{born:%Y%m%d}" not in written
        assert len(max(re.findall("[0-9]+", written), key=len)) <= 4
