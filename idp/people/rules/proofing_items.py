"""Decides which items can prove a person besides name and document number: one row each, read by form, plan and evidence (domain.md §1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from idp.kernel.checks import CheckKind
from idp.people.rules.item_numbers import DEFAULT_FORMS, ItemForms

NEEDED: Final = 2
"""How many items must match after the register's match of name and document number (S34)."""


@dataclass(frozen=True)
class ProofingItem:
    """One item. ``field`` is its name in the form, ``daily`` how often a person's may be checked in a day.

    ``typed`` is False for the phone: its number is known, the person only agrees that the operator is asked.
    """

    kind: CheckKind
    field: str
    daily: int
    typed: bool = True

    @property
    def label(self) -> str:
        """Return the message key of its name; ``<label>_hint`` explains where the number is found."""
        return f"item_{self.kind.value}"

    @property
    def authority(self) -> str:
        """Return the message key of who is asked."""
        return f"authority_{self.kind.value}"


ITEMS: Final = (
    ProofingItem(CheckKind.PHONE, "phone_check", 5, typed=False),
    ProofingItem(CheckKind.SOCIAL_SECURITY_CARD, "social_security_card", 5),
    ProofingItem(CheckKind.BANK_CARD, "bank_card", 3),
    ProofingItem(CheckKind.HOUSING_FUND_ACCOUNT, "housing_fund_account", 5),
    ProofingItem(CheckKind.DRIVER_LICENSE_FILE_NUMBER, "driver_license_file_number", 5),
)

BANK_PHONE: Final = "bank_phone"
"""The field of the phone that the bank knows; asked for only where the bank's authority wants four factors."""


@dataclass(frozen=True)
class ItemPlan:
    """What differs between provinces: the forms of numbers, and whether the bank is asked with the phone it knows (four factors)."""

    forms: ItemForms = DEFAULT_FORMS
    bank_phone: bool = False


DEFAULT_PLAN: Final = ItemPlan()


def join_bank_phone(card: str, phone: str) -> str:
    """Return one value of card and the bank's phone, as a draft keeps it."""
    return f"{card} {phone}"


def split_bank_phone(value: str) -> tuple[str, str]:
    """Return card and phone of ``join_bank_phone``; the phone is "" where none was asked for."""
    card, _, phone = value.partition(" ")
    return card, phone


ITEM_OF: Final[Mapping[CheckKind, ProofingItem]] = {item.kind: item for item in ITEMS}

DAILY: Final[Mapping[CheckKind, int]] = {
    CheckKind.IDENTITY: 5,
    CheckKind.REAL_PERSON: 5,
    **{item.kind: item.daily for item in ITEMS},
}
"""Checks of one person and kind in a day (domain.md "Proofing")."""
