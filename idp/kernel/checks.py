"""Decides the vocabulary of proofing: what an authority can be asked, and what it can answer (domain.md §1, formats.md §5.2)."""

from enum import StrEnum


class CheckKind(StrEnum):
    """One question to one authority."""

    IDENTITY = "identity"
    PHONE = "phone"
    SOCIAL_SECURITY_CARD = "social_security_card"
    BANK_CARD = "bank_card"
    HOUSING_FUND_ACCOUNT = "housing_fund_account"
    DRIVER_LICENSE_FILE_NUMBER = "driver_license_file_number"
    REAL_PERSON = "real_person"
    REGISTRATION_RISK = "registration_risk"


class CheckResult(StrEnum):
    """The answer; only MATCH passes, and UNAVAILABLE never counts against the person."""

    MATCH = "match"
    MISMATCH = "mismatch"
    NOT_FOUND = "not_found"
    INVALID_INPUT = "invalid_input"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
