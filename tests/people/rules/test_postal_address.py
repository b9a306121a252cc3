"""What is a postal address, and which texts are no part of one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.postal_address import AddressSlip, PostalAddress, check_address

TYPED = {"province": "福建省", "city": "福州市", "district": "鼓楼区", "detail": "样例路1号", "postal_code": "350001"}


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")),
        ({"postal_code": ""}, PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号")),
        ({"postal_code": "３５０ ００１"}, PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")),
        ({"district": "  "}, PostalAddress("福建省", "福州市", "", "样例路1号", "350001")),
        ({"province": "北京市", "city": ""}, PostalAddress("北京市", "", "鼓楼区", "样例路1号", "350001")),
        (
            {"detail": " 样例路　１号＃２－３０１\u200b，Ａ座（南） "},
            PostalAddress("福建省", "福州市", "鼓楼区", "样例路 1号#2-301，A座（南）", "350001"),
        ),
        ({"detail": "u\u0308ber St. 1/2"}, PostalAddress("福建省", "福州市", "鼓楼区", "über St. 1/2", "350001")),
        ({"detail": "路" * 120}, PostalAddress("福建省", "福州市", "鼓楼区", "路" * 120, "350001")),
    ],
    ids=range(8),
)
def test_addresses_as_they_are_kept(changes: dict[str, str], address: PostalAddress) -> None:
    assert check_address({**TYPED, **changes}) == address


@pytest.mark.parametrize(
    ("changes", "slips"),
    [
        ({"province": ""}, {"province": AddressSlip.EMPTY}),
        ({"province": "福"}, {"province": AddressSlip.TOO_SHORT}),
        ({"province": "福" * 21}, {"province": AddressSlip.TOO_LONG}),
        ({"city": "", "district": " "}, {"city": AddressSlip.EMPTY}),
        ({"city": "福州<市>"}, {"city": AddressSlip.WRONG_CHARACTER}),
        ({"detail": "<script>alert(1)</script>"}, {"detail": AddressSlip.WRONG_CHARACTER}),
        ({"detail": "\u202e号1路例样"}, {"detail": AddressSlip.WRONG_CHARACTER}),
        ({"detail": "样例路\x001号"}, {"detail": AddressSlip.WRONG_CHARACTER}),
        ({"detail": "样例路1号\U0001f600"}, {"detail": AddressSlip.WRONG_CHARACTER}),
        ({"detail": "路" * 121}, {"detail": AddressSlip.TOO_LONG}),
        ({"detail": "路" * 100_000}, {"detail": AddressSlip.TOO_LONG}),
        ({"detail": "\u3164\u115f\u034f"}, {"detail": AddressSlip.EMPTY}),
        ({"postal_code": "35000"}, {"postal_code": AddressSlip.MALFORMED}),
        ({"postal_code": "３５０００１" * 10_000}, {"postal_code": AddressSlip.MALFORMED}),
        ({"postal_code": "350001" + " " * 400}, {"postal_code": AddressSlip.MALFORMED}),
        ({"postal_code": "SW1A1A"}, {"postal_code": AddressSlip.MALFORMED}),
        (dict.fromkeys(TYPED, ""), {"province": AddressSlip.EMPTY, "detail": AddressSlip.EMPTY, "city": AddressSlip.EMPTY}),
    ],
    ids=range(17),
)
def test_what_is_no_address(changes: dict[str, str], slips: dict[str, AddressSlip]) -> None:
    assert check_address({**TYPED, **changes}) == slips


def test_line_ends_become_spaces_and_absent_parts_are_empty() -> None:
    address = check_address({**TYPED, "detail": "样例路1号\r\n2单元"})
    assert isinstance(address, PostalAddress)
    assert address.detail == "样例路1号 2单元"
    assert check_address({}) == check_address(dict.fromkeys(TYPED, ""))


@given(st.fixed_dictionaries({name: st.text(max_size=40) for name in TYPED}))
def test_what_is_kept_is_printable_and_read_again_as_itself(typed: dict[str, str]) -> None:
    address = check_address(typed)
    if isinstance(address, PostalAddress):
        parts = {name: getattr(address, name) for name in TYPED}
        assert check_address(parts) == address
        text = "".join(parts.values())
        assert text.isprintable()
        assert not set('<>"\\{}[]|^`$%*=@!?') & set(text)
        assert unicodedata.is_normalized("NFC", text)


def test_an_address_is_written_from_the_large_to_the_small_and_prints_without_the_street() -> None:
    address = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")
    assert address.write() == "350001\n福建省福州市鼓楼区样例路1号"
    assert (str(address), f"{address!r}", f"{address:s}") == (
        "福建省福州市鼓楼区****",
        "PostalAddress(福建省福州市鼓楼区****)",
        "福建省福州市鼓楼区****",
    )
    municipality = PostalAddress("北京市", "北京市", "东城区", "样例胡同1号")
    assert (municipality.locality, municipality.write()) == ("东城区", "北京市东城区样例胡同1号")
