"""The pages about requests of other devices with contexts that are synthetic: no person, department or terminal here is real."""

from typing import Any

from idp.http.forms import FieldError

QUESTION: dict[str, Any] = {
    "i": "sample-interaction",
    "csrf": "sample-token",
    "step": "sample-step",
    "shown": "sample-mark",
    "minutes": 4,
    "purposes": [],
    "also": ("real_name_verified", "ial"),
}


def list_other_device_samples(department: str, long_department: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return sample name → (template, context)."""
    terminal = {**QUESTION, "department": department, "terminal": True, "message": "政务大厅一楼3号机（合成样例）", "code": "BCDF-GHJK"}
    counter = {
        **QUESTION,
        "department": long_department,
        "terminal": False,
        "message": "取号 A-17，办理养老保险待遇资格认证（合成样例）",
        "code": "",
        "purposes": [{"purpose": "养老保险待遇资格认证（合成样例）", "claims": ("name", "id_document")}],
    }
    samples: dict[str, tuple[str, dict[str, Any]]] = {
        "device": ("device.html", {"csrf": "sample-token", "code": ""}),
        "device-wrong": (
            "device.html",
            {"csrf": "sample-token", "code": "BCDF-1234", "errors": [FieldError("user_code", "device_code_malformed")]},
        ),
        "approve-terminal": ("approve.html", terminal),
        "approve-counter": ("approve.html", counter),
        "account-requests": (
            "account_requests.html",
            {"csrf": "sample-token", "department": department, "message": "取号 A-17", "minutes": 4},
        ),
        "account-requests-none": ("account_requests.html", {"csrf": "sample-token", "department": "", "message": "", "minutes": 0}),
    }
    for outcome in ("approved", "denied", "late"):
        samples[f"approve-{outcome}"] = ("approved.html", {"outcome": outcome, "department": department})
    return samples
