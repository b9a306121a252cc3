"""Decides what is said of how a person was verified and what of it is asked for (OpenID Connect for Identity Assurance 1.0 §4, §5)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from idp.kernel.checks import CheckKind
from idp.kernel.clock import SHANGHAI
from idp.kernel.json_text import Json
from idp.protocol.rules.claims_request import ClaimAsk, VerifiedAsk

TRUST_FRAMEWORK = "urn:yizheng:trust-framework:1"
ASSURANCE_LEVELS = {2: "urn:yizheng:ial:2", 3: "urn:yizheng:ial:3", 4: "urn:yizheng:ial:4"}
EVIDENCE_TYPE = "electronic_record"
CHECK_METHOD = "data"
COUNTRY = "CHN"

VERIFIABLE = ("name", "birthdate", "gender", "id_document", "phone_number")
"""The claims that the checks verified: all but the phone stand in, or follow from, the document that the register knows."""

DEMANDS = frozenset({"value", "values", "max_age"})
"""The words of a request that must hold (IDA §5.5); the rest asks for what there is."""


@dataclass(frozen=True)
class Record:
    """What a kind of check compares with, and whose that is."""

    type: str
    organization: str


RECORDS: Mapping[CheckKind, Record] = {
    CheckKind.IDENTITY: Record("population_register", "公安机关"),
    CheckKind.PHONE: Record("phone_account", "电信运营商"),
    CheckKind.SOCIAL_SECURITY_CARD: Record("social_security", "人力资源社会保障部门"),
    CheckKind.BANK_CARD: Record("bank_account", "银行卡联网机构"),
    CheckKind.HOUSING_FUND_ACCOUNT: Record("housing_fund_account", "住房公积金管理中心"),
    CheckKind.DRIVER_LICENSE_FILE_NUMBER: Record("driving_licence_register", "公安交管部门"),
    CheckKind.REAL_PERSON: Record("identity_photo_register", "公安机关"),
}
"""The checks that are evidence of who somebody is; other kinds are about a request."""


class _Outcome(Enum):
    UNMET = "unmet"
    """Something that was demanded does not hold."""


def describe_verification(ial: int, matched: Mapping[str, datetime]) -> dict[str, Json] | None:
    """Return the whole verification of a person, None for one whom no register matched.

    ``matched``: kind of check → when an authority last answered it with MATCH. Nothing of what was compared is said.
    """
    checks = sorted((at, kind) for kind, at in matched.items() if kind in RECORDS)
    if ial not in ASSURANCE_LEVELS or not checks:
        return None
    return {
        "trust_framework": TRUST_FRAMEWORK,
        "assurance_level": ASSURANCE_LEVELS[ial],
        "time": _write_time(checks[-1][0]),
        "evidence": [_describe_check(RECORDS[CheckKind(kind)], _write_time(at)) for at, kind in checks],
    }


def _describe_check(record: Record, time: str) -> dict[str, Json]:
    return {
        "type": EVIDENCE_TYPE,
        "check_details": [{"check_method": CHECK_METHOD, "organization": record.organization, "time": time}],
        "record": {"type": record.type, "source": {"name": record.organization, "country_code": COUNTRY}},
    }


def answer_verified(
    asks: Iterable[VerifiedAsk], verification: Mapping[str, Json] | None, known: Mapping[str, Json], now: datetime
) -> list[dict[str, Json]]:
    """Return the entries of ``verified_claims``: of each request that holds, what it asked for of ``known`` and nothing else.

    A request whose demands are not met, or of whose claims none may be released, has no entry (IDA §5.5).
    """
    answers: list[dict[str, Json]] = []
    for ask in asks if verification is not None else ():
        claims = _choose_claims(ask.claims, known)
        shown = _project_object(dict(ask.verification), dict(verification or {}), now)
        if claims and isinstance(shown, dict):
            answers.append({"verification": shown, "claims": claims})
    return answers


def _choose_claims(asked: Mapping[str, ClaimAsk], known: Mapping[str, Json]) -> dict[str, Json]:
    return {name: known[name] for name, ask in asked.items() if name in VERIFIABLE and name in known and ask.accepts(known[name])}


def _project(asked: Json, actual: Json, now: datetime) -> Json | _Outcome:
    """Return what ``asked`` names of ``actual``, UNMET when a demand inside it does not hold."""
    if isinstance(actual, dict):
        return _project_object(asked, actual, now)
    if isinstance(actual, list):
        return _project_list(asked, actual, now)
    return actual if _holds(asked, actual, now) else _Outcome.UNMET


def _project_object(asked: Json, actual: dict[str, Json], now: datetime) -> Json | _Outcome:
    if not isinstance(asked, dict) or not asked.keys() - {"essential"}:
        return actual
    shown: dict[str, Json] = {name: actual[name] for name in ("type", "check_method") if name in actual}
    for name, demand in asked.items():
        if name not in actual:
            if _demands(demand):
                return _Outcome.UNMET
            continue
        part = _project(demand, actual[name], now)
        if isinstance(part, _Outcome):
            return _Outcome.UNMET
        shown[name] = part
    return shown


def _project_list(asked: Json, actual: list[Json], now: datetime) -> Json | _Outcome:
    wanted = asked if isinstance(asked, list) and asked else [None]
    shown: list[Json] = []
    for entry in actual:
        parts = [_project(one, entry, now) for one in wanted]
        shown.extend([part for part in parts if not isinstance(part, _Outcome)][:1])
    return shown or _Outcome.UNMET


def _demands(asked: Json) -> bool:
    """Tell whether something must hold, as opposed to being asked for if it is there."""
    if isinstance(asked, list):
        return any(_demands(one) for one in asked)
    return isinstance(asked, dict) and (not asked.keys().isdisjoint(DEMANDS) or any(_demands(one) for one in asked.values()))


def _holds(asked: Json, actual: Json, now: datetime) -> bool:
    if not isinstance(asked, dict):
        return True
    values = asked.get("values")
    if "value" in asked and asked["value"] != actual:
        return False
    if "values" in asked and not (isinstance(values, list) and actual in values):
        return False
    return "max_age" not in asked or _is_younger(actual, asked["max_age"], now)


def _is_younger(actual: Json, seconds: Json, now: datetime) -> bool:
    if not isinstance(actual, str) or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    try:
        at = datetime.fromisoformat(actual)
    except ValueError:
        return False
    return at.tzinfo is not None and (now - at).total_seconds() <= seconds


def _write_time(at: datetime) -> str:
    """Return the beginning of the day (Asia/Shanghai): the second would tell one person from another between sectors."""
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%dT00:00+08:00")
