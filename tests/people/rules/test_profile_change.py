"""A change of one's own data: written and read, applied, named."""

import json
from datetime import UTC, datetime

import pytest

from idp.people.rules.email_address import EmailAddress
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import make_profile
from idp.people.rules.profile_change import (
    OwnDatum,
    OwnValue,
    ProfileChange,
    apply_change,
    describe_change,
    find_value,
    name_change,
    read_change,
    write_change,
)

EMAIL = EmailAddress("sample@example.com")
ADDRESS = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")
PROFILE = make_profile("测试甲", None, None, datetime(2026, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("datum", "value"),
    [(OwnDatum.EMAIL, EMAIL), (OwnDatum.EMAIL, None), (OwnDatum.ADDRESS, ADDRESS), (OwnDatum.ADDRESS, None)],
    ids=["email", "no email", "address", "no address"],
)
def test_a_change_is_read_as_it_was_written_and_touches_its_datum_alone(datum: OwnDatum, value: OwnValue) -> None:
    change = ProfileChange("sample", datum, value, 3, 1_772_000_000.5)
    assert read_change(write_change(change)) == change
    full = apply_change(apply_change(PROFILE, ProfileChange("a", OwnDatum.EMAIL, EMAIL)), ProfileChange("b", OwnDatum.ADDRESS, ADDRESS))
    changed = apply_change(full, change)
    assert find_value(changed, datum) == value
    (other,) = set(OwnDatum) - {datum}
    assert find_value(changed, other) == find_value(full, other)


def test_a_change_of_another_release_is_typed_again() -> None:
    stored = json.loads(write_change(ProfileChange("sample", OwnDatum.EMAIL, EMAIL)))
    assert read_change(json.dumps([1, *stored[1:]]).encode()) is None


def test_every_change_has_a_name_of_its_own() -> None:
    other = PostalAddress("福建省", "福州市", "鼓楼区样例路1号", "1号", "350001")
    named = {
        name_change(OwnDatum.EMAIL, EMAIL),
        name_change(OwnDatum.EMAIL, None),
        name_change(OwnDatum.ADDRESS, None),
        name_change(OwnDatum.ADDRESS, ADDRESS),
        name_change(OwnDatum.ADDRESS, other),
    }
    assert len(named) == 5


def test_changes_in_words() -> None:
    assert [describe_change(*both) for both in ((None, EMAIL), (ADDRESS, ADDRESS), (EMAIL, None))] == ["added", "changed", "removed"]
