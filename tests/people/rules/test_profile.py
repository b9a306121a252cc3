"""A profile survives being written and read, and prints masked."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.identifiers import Gender, IdentifierKind, IdNumber, Phone
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


def test_a_profile_prints_masked() -> None:
    written = f"{make_profile('王小明', DOCUMENT, Phone('+8613800138000'), AT)!r}"
    assert written == "Profile(*小明, 310***********1246, 138****8000)"


def test_a_later_format_is_refused() -> None:
    stored = json.loads(write_profile(make_profile("王小明", None, None, AT)))
    stored["v"] = 2
    with pytest.raises(UnreadableProfile):
        read_profile(json.dumps(stored).encode())
