"""What a person's own page says of a release and of a consent."""

import pytest

from idp.protocol.rules.client import Basis, Entitlement
from idp.protocol.rules.releases import Recorded, is_current, read_release, translate_purposes
from tests.support.protocol_samples import make_client

ENQUIRY = Entitlement("查询", Basis.CONSENT, ("name",), version=2, purpose_en="Enquiry")
DUTY = Entitlement("登记", Basis.STATUTORY_DUTY, ("birthdate",))
CLIENT = make_client(entitlements=(ENQUIRY, DUTY))


def test_a_release_is_read_from_its_audit_row() -> None:
    details = {"claims": "name birthdate", "purposes": "查询; 登记", "bases": "consent statutory_duty"}
    assert read_release(details) == Recorded(("name", "birthdate"), ("查询", "登记"), ("consent", "statutory_duty"))
    assert read_release({"claims": "locale", "purposes": "", "bases": ""}) == Recorded(("locale",), (), ("ungated",))
    assert read_release({"bases": "tomorrow"}) == Recorded((), (), ("ungated",))


def test_purposes_are_told_in_english_as_far_as_they_are_known() -> None:
    assert translate_purposes(["查询", "登记", "以前"], CLIENT, "en") == ("Enquiry", "登记", "以前")
    assert translate_purposes(["查询"], CLIENT, "zh-CN") == ("查询",)
    assert translate_purposes(["查询"], None, "en") == ("查询",)


@pytest.mark.parametrize(("purpose", "version", "current"), [("查询", 2, True), ("查询", 1, False), ("登记", 1, False), ("以前", 1, False)])
def test_only_the_present_version_of_a_consent_counts(purpose: str, version: int, current: bool) -> None:
    consent = {(purpose, version): frozenset({"name", "birthdate"})}
    assert is_current(CLIENT, consent) is current
    assert not is_current(None, consent)
    assert not is_current(CLIENT, {(purpose, version): frozenset({"gender"})})
