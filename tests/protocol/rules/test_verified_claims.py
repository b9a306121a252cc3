"""What is said of how a person was verified: what is asked for, no more, and only if the demands hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from idp.kernel.checks import CheckKind
from idp.protocol.rules.claims_request import ClaimAsk, VerifiedAsk
from idp.protocol.rules.verified_claims import TRUST_FRAMEWORK, answer_verified, describe_verification
from tests.protocol.rules.test_json_shapes import JSON

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MATCHED = {
    CheckKind.IDENTITY.value: NOW - timedelta(days=30),
    CheckKind.PHONE.value: NOW - timedelta(days=30),
    CheckKind.BANK_CARD.value: NOW - timedelta(days=1),
    CheckKind.REGISTRATION_RISK.value: NOW,
}
KNOWN: dict[str, Any] = {"name": "测试", "id_document": {"type": "resident_id", "number": "synthetic"}, "locale": "zh-CN"}
WHOLE = describe_verification(3, MATCHED)


def ask(verification: dict[str, Any], *claims: str) -> list[Any]:
    """Return what a request for these claims is answered with."""
    asks = VerifiedAsk({"trust_framework": None, **verification}, {name: ClaimAsk() for name in claims or ("name",)})
    return answer_verified([asks], WHOLE, KNOWN, NOW)


def test_the_whole_is_one_entry_for_each_check() -> None:
    assert WHOLE is not None
    assert (WHOLE["trust_framework"], WHOLE["assurance_level"]) == (TRUST_FRAMEWORK, "urn:yizheng:ial:3")
    assert WHOLE["time"] == "2026-03-01T00:00+08:00", "the day in Shanghai"
    evidence: Any = WHOLE["evidence"]
    assert [e["record"]["type"] for e in evidence] == ["population_register", "phone_account", "bank_account"]
    assert evidence[0] == {
        "type": "electronic_record",
        "check_details": [{"check_method": "data", "organization": "公安机关", "time": "2026-01-31T00:00+08:00"}],
        "record": {"type": "population_register", "source": {"name": "公安机关", "country_code": "CHN"}},
    }


def test_nobody_is_said_to_be_verified_who_was_not() -> None:
    assert describe_verification(1, MATCHED) is None
    assert describe_verification(3, {}) is None
    assert describe_verification(3, {CheckKind.REGISTRATION_RISK.value: NOW}) is None
    assert answer_verified([VerifiedAsk({"trust_framework": None}, {"name": ClaimAsk()})], None, KNOWN, NOW) == []


def test_no_more_is_said_than_was_asked() -> None:
    assert ask({}) == [{"verification": {"trust_framework": TRUST_FRAMEWORK}, "claims": {"name": "测试"}}]
    (entry,) = ask({"time": None, "assurance_level": None, "verification_process": None}, "name", "id_document", "locale", "birthdate")
    assert set(entry["verification"]) == {"trust_framework", "time", "assurance_level"}
    assert set(entry["claims"]) == {"name", "id_document"}, "what the checks did not verify is not among it"


def test_evidence_is_filtered_and_cut_to_what_was_asked() -> None:
    (entry,) = ask({"evidence": [{"type": {"value": "electronic_record"}, "record": {"type": {"values": ["bank_account"]}}}]})
    assert entry["verification"]["evidence"] == [{"type": "electronic_record", "record": {"type": "bank_account"}}]
    (entry,) = ask({"evidence": None})
    assert len(entry["verification"]["evidence"]) == 3
    (entry,) = ask({"evidence": [{"type": None, "check_details": [{"organization": None}]}]})
    assert entry["verification"]["evidence"][0] == {
        "type": "electronic_record",
        "check_details": [{"check_method": "data", "organization": "公安机关"}],
    }


@pytest.mark.parametrize(
    "verification",
    [
        {"trust_framework": {"value": "de_aml"}},
        {"trust_framework": {"values": ["de_aml", "eidas"]}},
        {"trust_framework": {"values": "eidas"}},
        {"assurance_level": {"value": "urn:yizheng:ial:4"}},
        {"time": {"max_age": 60}},
        {"time": {"max_age": "soon"}},
        {"time": {"max_age": True}},
        {"trust_framework": {"max_age": 60}},
        {"verification_process": {"value": "x"}},
        {"evidence": [{"type": {"value": "document"}}]},
        {"evidence": [{"type": None, "check_details": [{"check_method": {"value": "pipp"}}]}]},
        {"evidence": [{"type": None, "document": {"type": {"value": "idcard"}}}]},
        {"evidence": [{"attachments": [{"x": {"value": 1}}]}]},
    ],
)
def test_a_demand_that_does_not_hold_leaves_it_out(verification: dict[str, Any]) -> None:
    assert ask(verification) == []


@pytest.mark.parametrize(
    "verification",
    [
        {"trust_framework": {"value": TRUST_FRAMEWORK}},
        {"trust_framework": {"essential": True}},
        {"assurance_level": {"values": ["urn:yizheng:ial:3", "urn:yizheng:ial:4"]}},
        {"time": {"max_age": 3 * 86_400}},
        {"evidence": []},
        {"evidence": [{"type": {"value": "document"}}, {"type": {"value": "electronic_record"}}]},
        {"evidence": [{"type": None, "document": {"type": None}, "attachments": [None]}]},
    ],
)
def test_a_demand_that_holds_is_no_obstacle(verification: dict[str, Any]) -> None:
    assert len(ask(verification)) == 1


def test_without_a_claim_that_may_be_released_there_is_nothing() -> None:
    assert ask({}, "birthdate") == []
    wrong = VerifiedAsk({"trust_framework": None}, {"name": ClaimAsk(values=("somebody",))})
    assert answer_verified([wrong], WHOLE, KNOWN, NOW) == []


def test_every_request_is_answered_by_itself() -> None:
    good: dict[str, Any] = {"trust_framework": None}
    bad: dict[str, Any] = {"trust_framework": {"value": "eidas"}}
    answers = answer_verified([VerifiedAsk(one, {"name": ClaimAsk()}) for one in (bad, good)], WHOLE, KNOWN, NOW)
    assert len(answers) == 1


def test_a_time_that_is_none_is_never_young() -> None:
    odd: dict[str, Any] = {"trust_framework": TRUST_FRAMEWORK, "time": "2026-03-01T00:00", "assurance_level": "x"}
    aged: list[dict[str, Any]] = [{"time": {"max_age": 10**9}}, {"assurance_level": {"max_age": 10**9}}]
    for verification in aged:
        assert answer_verified([VerifiedAsk({"trust_framework": None, **verification}, {"name": ClaimAsk()})], odd, KNOWN, NOW) == []


@given(JSON)
def test_any_request_is_answered_by_a_part_of_the_whole(verification: Any) -> None:
    for place in ("time", "evidence", "assurance_level", "trust_framework"):
        for entry in ask({place: verification}):
            assert set(entry["verification"]) <= {"trust_framework", place}
            assert is_part(entry["verification"][place], WHOLE[place] if WHOLE is not None else None)


def is_part(small: Any, large: Any) -> bool:
    """Tell whether one value is made of another by leaving things out."""
    if isinstance(small, dict):
        return isinstance(large, dict) and all(name in large and is_part(value, large[name]) for name, value in small.items())
    if isinstance(small, list):
        return isinstance(large, list) and all(any(is_part(one, other) for other in large) for one in small)
    return bool(small == large)
