"""Decides what the simulated authorities know of people, and what they answer: the same question, the same answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from idp.kernel.checks import CheckKind, CheckResult
from idp.sources.contract import FURTHER_FIELDS, SUBJECT_FIELDS

AUTHORITIES: Mapping[str, frozenset[CheckKind]] = {
    "public-security": frozenset({CheckKind.IDENTITY}),
    "operators": frozenset({CheckKind.PHONE}),
    "social-security": frozenset({CheckKind.SOCIAL_SECURITY_CARD}),
    "bank-cards": frozenset({CheckKind.BANK_CARD}),
    "housing-fund": frozenset({CheckKind.HOUSING_FUND_ACCOUNT}),
    "traffic-police": frozenset({CheckKind.DRIVER_LICENSE_FILE_NUMBER}),
    "face": frozenset({CheckKind.REAL_PERSON}),
    "risk": frozenset({CheckKind.REGISTRATION_RISK}),
}
"""The simulated authorities: the first part of their path, and what each can be asked."""


class FaultKind(StrEnum):
    """How an authority can fail on demand."""

    SLOW = "slow"
    SILENT = "silent"
    ERROR_500 = "error_500"
    TRUNCATED_JSON = "truncated_json"
    WRONG_SIGNATURE = "wrong_signature"
    DUPLICATE = "duplicate"
    LIMIT = "limit"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Fault:
    """A chosen fault; ``seconds`` is how late a slow answer comes."""

    kind: FaultKind
    seconds: float = 2.0


@dataclass(frozen=True, repr=False)
class RegisteredPerson:
    """A synthetic person as the registers hold one. An empty field: that register has no record. ``faults`` strike for this person only."""

    name: str
    document_kind: str
    id_number: str
    phone: str = ""
    social_security_card: str = ""
    bank_card: str = ""
    bank_phone: str = ""
    housing_fund_account: str = ""
    driver_license_file_number: str = ""
    alive: bool = True
    face_agrees: bool = True
    risky: bool = False
    faults: Mapping[CheckKind, Fault] = field(default_factory=dict)


class Face(StrEnum):
    """Who stood before the simulated camera."""

    OWN = "own"
    OTHER = "other"


FindPerson = Callable[[str, str], RegisteredPerson | None]
"""(document kind, number) → the person, or None."""

FindByPhone = Callable[[str], RegisteredPerson | None]
"""Eleven digits → the person whose phone it is, or None."""

_ITEMS: Mapping[CheckKind, Callable[[RegisteredPerson], str]] = {
    CheckKind.SOCIAL_SECURITY_CARD: lambda person: person.social_security_card,
    CheckKind.BANK_CARD: lambda person: person.bank_card,
    CheckKind.HOUSING_FUND_ACCOUNT: lambda person: person.housing_fund_account,
    CheckKind.DRIVER_LICENSE_FILE_NUMBER: lambda person: person.driver_license_file_number,
}


def is_well_formed(kind: CheckKind, subject: Mapping[str, str]) -> bool:
    """Tell whether a question says what its kind needs, nothing empty and nothing else."""
    wanted, further = SUBJECT_FIELDS[kind], FURTHER_FIELDS.get(kind, frozenset())
    may_be_empty = {"address", "device"} if kind is CheckKind.REGISTRATION_RISK else set()
    return (
        wanted <= set(subject) <= wanted | further
        and all(value.strip() for name, value in subject.items() if name not in may_be_empty)
        and all(value == value.strip() for value in subject.values())
    )


def answer_question(kind: CheckKind, subject: Mapping[str, str], person: RegisteredPerson | None, face: Face | None = None) -> CheckResult:
    """Return what the register answers. ``person`` was found by document, or by phone for ``registration_risk``; ``face`` by the ticket.

    The dead and those whom the register does not know: NOT_FOUND. Another name, or another value of the item: MISMATCH. No record of the
    item: NOT_FOUND. A ticket that was never given, or was used: INVALID_INPUT.
    Of ``registration_risk`` MATCH is acceptable, MISMATCH high risk.
    """
    if not is_well_formed(kind, subject):
        return CheckResult.INVALID_INPUT
    if kind is CheckKind.REGISTRATION_RISK:
        return CheckResult.MISMATCH if person is not None and person.risky else CheckResult.MATCH
    if kind is CheckKind.REAL_PERSON and face is None:
        return CheckResult.INVALID_INPUT
    if person is None or not person.alive:
        return CheckResult.NOT_FOUND
    if subject["name"].upper() != person.name.upper():  # Latin names are compared without case
        return CheckResult.MISMATCH
    if kind is CheckKind.IDENTITY:
        return CheckResult.MATCH
    if kind is CheckKind.REAL_PERSON:
        return _agree(face is Face.OWN and person.face_agrees)
    if kind is CheckKind.PHONE:
        return _compare(read_national_number(subject["phone"]), person.phone)
    found = _compare(subject[kind.value], _ITEMS[kind](person))
    if kind is CheckKind.BANK_CARD and found is CheckResult.MATCH and "bank_phone" in subject:
        return _compare(read_national_number(subject["bank_phone"]), person.bank_phone)
    return found


def read_national_number(phone: str) -> str:
    """Return a mainland number without +86."""
    return phone.removeprefix("+86")


def _compare(given: str, known: str) -> CheckResult:
    return _agree(given == known) if known else CheckResult.NOT_FOUND


def _agree(agrees: bool) -> CheckResult:
    return CheckResult.MATCH if agrees else CheckResult.MISMATCH
