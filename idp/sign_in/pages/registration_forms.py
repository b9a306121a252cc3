"""Decides how the forms of registration and raising are read: each field to a checked value, or to the one thing to correct."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from idp.http.forms import FieldError, Form
from idp.kernel.checks import CheckKind
from idp.people.rules.documents import DocumentSlip
from idp.people.rules.identifiers import DOCUMENT_KINDS, IdentifierKind, IdNumber, normalize, parse_document, parse_phone
from idp.people.rules.item_numbers import ItemSlip, equals_document, parse_item
from idp.people.rules.names import NameSlip, check_name
from idp.people.rules.proofing_items import BANK_PHONE, DEFAULT_PLAN, ItemPlan, ProofingItem, join_bank_phone
from idp.people.rules.registration import Draft
from idp.people.services.registration import Applicant

MAX_PASSWORD: Final = 300
MAX_CODE: Final = 20
MAX_HIDDEN: Final = 200
MAX_SHOWN: Final = 120
"""What was typed comes back into the form up to so many characters."""

_DIGITS_ONLY: Final = frozenset({CheckKind.BANK_CARD, CheckKind.DRIVER_LICENSE_FILE_NUMBER})


@dataclass(frozen=True, repr=False)
class TypedIdentity:
    """What stands in the fields of the first step, as it was typed."""

    name: str = ""
    document_kind: str = DOCUMENT_KINDS[0].value
    id_number: str = ""
    phone: str = ""


@dataclass(frozen=True, repr=False)
class ItemField:
    """One item as the form shows it: ``value`` as it was typed, ``chosen`` whether the box of the phone is ticked.

    ``bank_phone``: what was typed as the phone that the bank knows, None where it is not asked for.
    """

    kind: str
    field: str
    value: str
    chosen: bool
    inputmode: str
    bank_phone: str | None = None


def read_typed_identity(form: Form) -> TypedIdentity:
    """Return what was typed into the first step. A form without ``document_kind`` means the kind that is chosen at first."""
    return TypedIdentity(
        form.get("name")[:MAX_SHOWN],
        form.get("document_kind")[:MAX_SHOWN] or DOCUMENT_KINDS[0].value,
        form.get("id_number")[:MAX_SHOWN],
        form.get("phone")[:MAX_SHOWN],
    )


def write_typed_identity(draft: Draft) -> TypedIdentity:
    """Return what the person typed, from the draft that keeps it."""
    return TypedIdentity(draft.name, draft.document.kind.value, draft.document.value, draft.phone.value.removeprefix("+86"))


def parse_identity(form: Form, today: date) -> Applicant | list[FieldError]:
    """Return who registers, or what to correct, in the order of the fields."""
    errors: list[FieldError] = []
    name = check_name(form.get("name"))
    if isinstance(name, NameSlip):
        errors.append(FieldError("name", f"name_{name.value}"))
    document = parse_typed_document(form.get("document_kind") or DOCUMENT_KINDS[0].value, form.get("id_number"), today)
    if isinstance(document, FieldError):
        errors.append(document)
    typed_phone = form.get("phone")
    phone = parse_phone(typed_phone)
    if phone is None:
        errors.append(FieldError("phone", "phone_malformed" if typed_phone.strip() else "phone_empty"))
    if errors or isinstance(name, NameSlip) or isinstance(document, FieldError) or phone is None:
        return errors
    return Applicant(name.value, document, phone)


def parse_typed_document(kind: str, typed: str, today: date) -> IdNumber | FieldError:
    """Return the document that was typed for a kind, or the one thing to correct about it."""
    if kind not in DOCUMENT_KINDS:
        return FieldError("document_kind", "document_kind_unknown")
    document = parse_document(IdentifierKind(kind), typed, today)
    match document:
        case DocumentSlip.WRONG_LENGTH:
            return FieldError("id_number", f"id_number_wrong_length_{kind}", {"typed": len(normalize(typed)) or len(typed)})
        case DocumentSlip():
            return FieldError("id_number", f"id_number_{document.value}")
        case IdNumber():
            return document


def parse_items(
    form: Form, items: Iterable[ProofingItem], document: IdNumber | None, plan: ItemPlan
) -> tuple[dict[CheckKind, str], list[FieldError]]:
    """Return the items that were given, by kind (for the phone ""), and what to correct.

    ``document`` is whose items they are: its number is no item (S54). None leaves that to the service.
    """
    given: dict[CheckKind, str] = {}
    errors: list[FieldError] = []
    for item in items:
        typed = form.get(item.field)
        if not item.typed:
            if typed:
                given[item.kind] = ""
            continue
        if document is not None and typed.strip() and equals_document(typed, document):
            errors.append(FieldError(item.field, "item_is_document"))
            continue
        number = parse_item(item.kind, typed, plan.forms)
        match number:
            case ItemSlip.EMPTY:
                continue
            case ItemSlip():
                errors.append(FieldError(item.field, f"{item.field}_{number.value}"))
            case _ if item.kind is CheckKind.BANK_CARD and plan.bank_phone:
                phone = parse_phone(form.get(BANK_PHONE))
                if phone is None:
                    errors.append(FieldError(BANK_PHONE, "phone_malformed" if form.get(BANK_PHONE).strip() else "bank_phone_empty"))
                else:
                    given[item.kind] = join_bank_phone(number.value, phone.value)
            case _:
                given[item.kind] = number.value
    return given, errors


def list_item_fields(items: Iterable[ProofingItem], form: Form | None = None, plan: ItemPlan = DEFAULT_PLAN) -> list[ItemField]:
    """Return the fields of the items: as typed in ``form``, else empty with the phone chosen."""
    return [
        ItemField(
            kind=item.kind.value,
            field=item.field,
            value=form.get(item.field)[:MAX_SHOWN] if form is not None and item.typed else "",
            chosen=not item.typed and (form is None or bool(form.get(item.field))),
            inputmode="numeric" if item.kind in _DIGITS_ONLY else "text",
            bank_phone=(form.get(BANK_PHONE)[:MAX_SHOWN] if form is not None else "") if _asks_bank_phone(item, plan) else None,
        )
        for item in items
    ]


def _asks_bank_phone(item: ProofingItem, plan: ItemPlan) -> bool:
    return item.kind is CheckKind.BANK_CARD and plan.bank_phone
