"""Every page of the registration with a context that is synthetic: states and errors as people meet them."""

from typing import Any

from idp.http.forms import FieldError

KINDS = (
    "resident_id",
    "hmt_residence_permit",
    "hk_macao_travel_permit",
    "taiwan_travel_permit",
    "foreign_permanent_resident",
    "foreign_permanent_resident_2017",
    "passport",
)
NOTHING_TYPED = {"name": "", "document_kind": "resident_id", "id_number": "", "phone": ""}
STEPS = {"identity": 1, "code": 2, "check": 2, "items": 3, "password": 4, "agreement": 5}
SECTIONS = [
    {"heading": "一、本协议是什么", "paragraphs": ["这是合成的样例文字，用来检查排版在各种宽度下是否清楚易读。"]},
    {"heading": "二、您的权利", "paragraphs": ["您可以随时查询、更正自己的信息。", "您可以随时注销账号，注销不比注册更难。"]},
    {"heading": "", "paragraphs": ["本文本为样例。"]},
]


def make_item(kind: str, **changes: Any) -> dict[str, Any]:
    """Return one item as the page gets it."""
    digits = kind in ("bank_card", "driver_license_file_number")
    return {
        "kind": kind,
        "field": "phone_check" if kind == "phone" else kind,
        "value": "",
        "chosen": kind == "phone",
        "inputmode": "numeric" if digits else "text",
        "bank_phone": None,
        **changes,
    }


def list_registration_samples(
    flow: dict[str, str], department: str, long_department: str, long_name: str
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return sample name → (template, context)."""
    samples: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(name: str, page: str, /, **values: Any) -> None:
        at = STEPS[page]
        frame = {
            **flow,
            "department": department,
            "at": at,
            "then_step": at + 1 if at < 5 else 0,
            "back": f"/register/sample?i={flow['i']}" if at > 1 else "",
            "lost": False,
        }
        samples[name] = (f"register_{page}.html", {**frame, **values})

    items = [make_item(k) for k in ("phone", "social_security_card", "bank_card", "housing_fund_account", "driver_license_file_number")]
    shown = {"phone": "138****8000", "items": items, "done": [], "count": 0, "wanted": 2, "enough": False, "waiting": []}
    add("register-identity", "identity", typed=NOTHING_TYPED, kinds=KINDS)
    add(
        "register-identity-errors",
        "identity",
        department=long_department,
        kinds=KINDS,
        typed={"name": "王小明Wang", "document_kind": "resident_id", "id_number": "11010119000101001", "phone": "1380013800"},
        errors=[
            FieldError("name", "name_mixed_scripts"),
            FieldError("id_number", "id_number_wrong_length_resident_id", {"typed": 17}),
            FieldError("phone", "phone_malformed"),
        ],
    )
    add(
        "register-identity-mismatch",
        "identity",
        kinds=KINDS,
        typed={"name": "王小明", "document_kind": "passport", "id_number": "E00000000", "phone": "13800138000"},
        errors=[FieldError("", "identity_mismatch")],
    )
    add("register-code", "code", phone="138****8000", minutes=5, resent=False, unsent=False)
    add(
        "register-code-errors",
        "code",
        phone="138****8000",
        minutes=5,
        resent=False,
        unsent=False,
        errors=[FieldError("code", "code_wrong", {"tries": 3})],
    )
    add("register-check", "check", silent=False)
    add("register-check-silent", "check", silent=True)
    add("register-items", "items", **shown)
    add(
        "register-items-errors",
        "items",
        **{**shown, "items": [*items[:2], make_item("bank_card", value="6214830000000000016"), *items[3:]]},
        errors=[FieldError("bank_card", "bank_card_wrong_check_digit")],
    )
    four = [*items[:2], make_item("bank_card", value="6214830000000000015", bank_phone=""), *items[3:]]
    add("register-items-four", "items", **{**shown, "items": four}, errors=[FieldError("bank_phone", "bank_phone_empty")])
    add("register-items-too-few", "items", **shown, errors=[FieldError("", "items_too_few")])
    add("register-items-insufficient", "items", **{**shown, "count": 1}, errors=[FieldError("", "items_insufficient", {"missing": 1})])
    add("register-items-silent", "items", **{**shown, "items": items[1:], "done": ["phone"], "count": 1, "waiting": ["bank_card"]})
    add("register-items-enough", "items", **{**shown, "items": [], "done": ["phone", "bank_card"], "count": 2, "enough": True})
    add("register-password", "password", kept=False)
    add("register-password-kept", "password", kept=True, lost=True)
    add("register-password-errors", "password", kept=False, errors=[FieldError("password", "password_common")])
    read_back = {
        "name": "*小明",
        "document_kind": "resident_id",
        "id_number": "110*** ******** 0010",
        "phone": "138****8000",
        "done": ["phone", "bank_card"],
        "count": 2,
        "version": "2026-01",
        "sections": SECTIONS,
    }
    add("register-agreement", "agreement", **read_back)
    add(
        "register-agreement-errors",
        "agreement",
        **{**read_back, "name": long_name, "document_kind": "foreign_permanent_resident", "done": []},
        errors=[FieldError("agreement", "agreement_unticked")],
    )
    resume = {**flow, "department": department, "name": "*小明", "at": 3}
    samples["register-resume"] = ("register_resume.html", resume)
    samples["register-resume-long"] = ("register_resume.html", {**resume, "name": long_name, "department": long_department})
    samples["register-checking"] = ("register_checking.html", {"department": department, "look": "/sample"})
    raising: dict[str, Any] = {
        **flow,
        "department": department,
        "phone": "138****8000",
        "earlier": [],
        "done": [],
        "waiting": [],
        "items": items,
    }
    raising |= {"only_phone": False, "blocked": "", "count": 0, "opened": False}
    samples["raise"] = ("raise.html", raising)
    samples["raise-opened"] = ("raise.html", {**raising, "items": items[:1], "earlier": ["bank_card"], "only_phone": True, "opened": True})
    samples["raise-counted"] = ("raise.html", {**raising, "count": 1, "errors": [FieldError("", "items_insufficient", {"missing": 1})]})
    samples["raise-phone"] = (
        "raise.html",
        {**raising, "items": items[:1], "earlier": ["social_security_card", "bank_card"], "only_phone": True},
    )
    samples["raise-silent"] = ("raise.html", {**raising, "items": items[2:], "done": ["phone"], "waiting": ["social_security_card"]})
    samples["raise-errors"] = ("raise.html", {**raising, "department": long_department, "errors": [FieldError("", "raise_nothing_chosen")]})
    samples["raise-blocked"] = ("raise.html", {**raising, "items": [], "blocked": "not_raisable"})
    samples["register-done"] = ("register_done.html", {**flow, "department": department})
    samples["register-exists"] = ("register_exists.html", {"i": flow["i"], "department": department})
    return samples
