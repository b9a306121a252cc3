"""A profile survives being written and read, and prints masked."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import Gender, IdentifierKind, IdNumber, Phone
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import UnreadableProfile, make_profile, read_profile, write_profile

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DOCUMENT = IdNumber(IdentifierKind.RESIDENT_ID, "310104200109301246")


@given(st.text(min_size=1, max_size=40), st.booleans(), st.booleans(), st.sampled_from(["zh-CN", "en"]))
def test_written_profiles_read_back(name: str, has_document: bool, has_phone: bool, locale: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    profile = make_profile(name, DOCUMENT if has_document else None, Phone("+8613800138000") if has_phone else None, AT, locale)
    assert read_profile(write_profile(profile)) == profile


def test_birth_date_and_gender_come_from_the_document() -> None:
    profile = make_profile("王小明", DOCUMENT, None, AT)
    assert (profile.birthdate, profile.gender) == (date(2001, 9, 30), Gender.FEMALE)


@pytest.mark.parametrize(
    "kind, number, born",
    [
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT, "935124198510150021", date(1985, 10, 15)),
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017, "USA110090030712", date(1990, 3, 7)),
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017, "USA110026030312", date(2026, 3, 3)),
        (IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017, "USA110026030412", date(1926, 3, 4)),
        (IdentifierKind.PASSPORT, "E12345678", None),
    ],
)
def test_foreign_documents_say_no_gender_and_the_likeliest_birth_date(kind: IdentifierKind, number: str, born: date | None) -> None:
    evening = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)  # the third in Shanghai
    profile = make_profile("SMITH JOHN", IdNumber(kind, number), None, evening)
    assert (profile.birthdate, profile.gender) == (born, None)
    assert read_profile(write_profile(profile)) == profile


def test_a_profile_prints_masked() -> None:
    written = f"{make_profile('王小明', DOCUMENT, Phone('+8613800138000'), AT)!r}"
    assert written == "Profile(*小明, 310***********1246, 138****8000)"


def test_what_a_person_says_of_themselves_is_kept_and_is_absent_from_what_an_earlier_release_wrote() -> None:
    plain = make_profile("王小明", DOCUMENT, None, AT)
    address = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")
    profile = replace(plain, email=EmailAddress("zhao@example.com"), address=address)
    stored = write_profile(profile)
    assert read_profile(stored) == profile
    earlier = {name: value for name, value in json.loads(stored).items() if name not in ("email", "address")}
    assert read_profile(json.dumps(earlier).encode()) == plain
    assert "zhao" not in f"{profile!r}"


def test_a_later_format_is_refused() -> None:
    stored = json.loads(write_profile(make_profile("王小明", None, None, AT)))
    stored["v"] = 2
    with pytest.raises(UnreadableProfile):
        read_profile(json.dumps(stored).encode())
