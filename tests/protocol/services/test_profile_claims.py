"""A person's own data as claims."""

from dataclasses import replace
from datetime import UTC, date, datetime

from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import Phone, parse_id_number
from idp.people.rules.postal_address import PostalAddress
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


def test_what_a_person_says_of_themselves_becomes_claims_that_nobody_verified() -> None:
    plain = make_profile("测试甲", None, None, datetime(2026, 1, 1, tzinfo=UTC))
    assert not {"email", "email_verified", "address"} & describe_profile(plain).keys()
    address = PostalAddress("福建省", "福州市", "鼓楼区", "样例路1号", "350001")
    claims = describe_profile(replace(plain, email=EmailAddress("zhao@xn--fsqu00a.xn--fiqs8s"), address=address))
    assert (claims["email"], claims["email_verified"]) == ("zhao@xn--fsqu00a.xn--fiqs8s", False)
    assert claims["address"] == {
        "formatted": "350001\n福建省福州市鼓楼区样例路1号",
        "street_address": "样例路1号",
        "locality": "福州市鼓楼区",
        "region": "福建省",
        "postal_code": "350001",
        "country": "中国",
    }


def test_absent_parts_of_an_address_are_no_members() -> None:
    plain = make_profile("测试甲", None, None, datetime(2026, 1, 1, tzinfo=UTC))
    claims = describe_profile(replace(plain, address=PostalAddress("北京市", "北京市", "", "样例胡同1号")))
    assert claims["address"] == {
        "formatted": "北京市样例胡同1号",
        "street_address": "样例胡同1号",
        "region": "北京市",
        "country": "中国",
    }
