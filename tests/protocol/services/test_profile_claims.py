"""A person's own data as claims."""

from datetime import UTC, date, datetime

from idp.people.rules.identifiers import Phone, parse_id_number
from idp.people.rules.profile import make_profile
from idp.protocol.services.profile_claims import describe_profile


def test_a_profile_becomes_standard_claims() -> None:
    document = parse_id_number("350203201202290036", date(2026, 3, 2))
    claims = describe_profile(make_profile("测试甲", document, Phone("+8613800138000"), datetime(2026, 1, 1, tzinfo=UTC)))
    assert claims["updated_at"] == int(datetime(2025, 12, 31, 16, tzinfo=UTC).timestamp()), "midnight in Shanghai"
    assert claims["birthdate"] == "2012-02-29"
    assert claims["gender"] == "male"
    assert claims["phone_number"] == "+8613800138000"
    assert claims["id_document"] == {"type": "resident_id", "number": "350203201202290036"}
