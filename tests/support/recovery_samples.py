"""The recovery's pages with contexts that are synthetic, and the code's page as the first thing that is proved."""

from typing import Any

from idp.http.forms import FieldError
from idp.people.rules.identifiers import DOCUMENT_KINDS
from idp.people.rules.recovery import OTHER_ITEMS
from idp.sign_in.pages.registration_forms import TypedIdentity, list_item_fields

Sample = tuple[str, dict[str, Any]]


def list_recovery_samples(flow: dict[str, str], short: str, long: str) -> dict[str, Sample]:
    """Return sample name → (template, context). ``short`` and ``long`` are names of departments."""
    frame = {**flow, "department": short, "all": 4}
    identity = {**frame, "at": 1, "kinds": DOCUMENT_KINDS}
    code = {**frame, "at": 2, "minutes": 5, "resent": False, "unsent": False}
    item = {**frame, "at": 3, "items": list_item_fields(OTHER_ITEMS), "phone": ""}
    first = {**flow, "department": short, "phone": "", "minutes": 5, "resent": False, "first": True}
    silent = {"authority": "银行卡联网机构、人力资源社会保障部门（社保卡）", "kinds": "bank_card,social_security_card"}
    return {
        "code-first": ("code.html", {**first, "asks_document": True}),
        "code-first-known-device": ("code.html", {**first, "department": long}),
        "code-first-wrong": (
            "code.html",
            {**first, "asks_document": True, "errors": [FieldError("code", "code_or_document_wrong", {"tries": 3})]},
        ),
        "recover": ("recover_identity.html", {**identity, "typed": TypedIdentity()}),
        "recover-slips": (
            "recover_identity.html",
            {
                **identity,
                "department": long,
                "typed": TypedIdentity("阿卜杜热合曼·买买提", "passport", "11010119000101001X"),
                "errors": [FieldError("name", "name_empty"), FieldError("id_number", "id_number_wrong_character")],
            },
        ),
        "recover-code": ("recover_code.html", code),
        "recover-code-wrong": ("recover_code.html", {**code, "errors": [FieldError("code", "code_wrong", {"tries": 3})]}),
        "recover-code-locked": (
            "recover_code.html",
            {**code, "unsent": True, "errors": [FieldError("resend", "sending_locked", {"minutes": 15, "time": "14:35"})]},
        ),
        "recover-item": ("recover_item.html", item),
        "recover-item-unproved": ("recover_item.html", {**item, "errors": [FieldError("", "recovery_unproved")]}),
        "recover-item-silent": ("recover_item.html", {**item, "department": long, "errors": [FieldError("", "recovery_silent", silent)]}),
        "recover-password": ("recover_password.html", {**frame, "at": 4}),
        "recover-password-common": (
            "recover_password.html",
            {**frame, "at": 4, "department": long, "errors": [FieldError("password", "password_common")]},
        ),
    }
