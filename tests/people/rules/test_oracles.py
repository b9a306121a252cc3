"""Our reading of numbers against python-stdnum and phonenumbers, and where they are wrong for us (formats.md §3.3).

The suite draws a few hundred numbers of a kind; scripts/shows/14-documents draws 10,000.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric

from idp.kernel.checks import CheckKind
from idp.people.rules.identifiers import DOCUMENT_KINDS, IdentifierKind, IdNumber, parse_document, parse_phone
from idp.people.rules.item_numbers import ITEM_KINDS, ItemSlip, parse_item
from tests.support.drawn_numbers import BYTES, TODAY, Draw
from tests.support.number_oracles import COMPARISONS, Comparison, ask_luhn, ask_phonenumbers

CASES = 300


def test_every_kind_is_compared() -> None:
    assert {comparison.name for comparison in COMPARISONS} == {*DOCUMENT_KINDS, *ITEM_KINDS, IdentifierKind.PHONE}


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda comparison: comparison.name)
def test_we_read_what_the_oracle_reads(comparison: Comparison) -> None:
    @settings(max_examples=CASES)
    @given(st.binary(min_size=BYTES, max_size=BYTES))
    def compare(data: bytes) -> None:
        comparison.compare(data)

    compare()


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda comparison: comparison.name)
def test_the_drawn_numbers_are_of_both_sorts(comparison: Comparison) -> None:
    found = Counter(
        comparison.read(comparison.make(Draw(bytes([n, 7 * n % 256, 31 * n % 256]) * (BYTES // 3)))) is None for n in range(256)
    )
    assert min(found[True], found[False]) > 10


def test_a_difference_without_an_excuse_is_reported() -> None:
    blind = Comparison("phone", "nobody", lambda draw: "13800138000", lambda number: None, lambda number: True)
    with pytest.raises(AssertionError, match="13800138000"):
        blind.compare(bytes(BYTES))


def test_the_oracle_is_wrong_about_births_to_come() -> None:
    number = "350102209901010018"
    assert ric.is_valid(number)
    assert not isinstance(parse_document(IdentifierKind.RESIDENT_ID, number, TODAY), IdNumber)


@pytest.mark.parametrize(
    "kind, number",
    [
        (IdentifierKind.HMT_RESIDENCE_PERMIT, "810000197801010018"),
        (IdentifierKind.HMT_RESIDENCE_PERMIT, "820000198505150020"),
        (IdentifierKind.HMT_RESIDENCE_PERMIT, "830000200306100030"),
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT, "911840199003070014"),
    ],
)
def test_the_oracle_knows_no_permits(kind: IdentifierKind, number: str) -> None:
    assert not ric.is_valid(number)
    assert isinstance(parse_document(kind, number, TODAY), IdNumber)


def test_the_oracle_takes_dialling_prefixes_and_satellites_for_mobiles() -> None:
    for number in ("013800138000", "17400123456", "16101234567"):
        assert ask_phonenumbers(number) is not None
        assert parse_phone(number) is None


def test_the_oracle_takes_zeros_for_a_card() -> None:
    zeros = "0" * 16
    assert ask_luhn(zeros) is not None
    assert parse_item(CheckKind.BANK_CARD, zeros) is ItemSlip.UNKNOWN_ISSUER


def test_every_prefix_of_a_mobile_is_judged_alike() -> None:
    satellites = {f"1610{n}" for n in range(10)} | {f"1740{n}" for n in range(6)}
    for prefix in range(10_000, 20_000):
        number = f"{prefix}000000"
        phone = parse_phone(number)
        assert (phone.value if phone else None) == (None if str(prefix) in satellites else ask_phonenumbers(number)), number
