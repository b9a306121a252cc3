"""Every page with a context that is synthetic: no person, department or address here is real."""

from typing import Any

from idp.authenticators.rules.proof_of_work import Puzzle
from idp.http.cookies import CookieNames
from idp.http.forms import FieldError
from idp.http.languages import Language
from idp.http.messages import Messages
from idp.http.rendering import LINKS_ON, WAYS_ON, Way
from idp.http.request_context import ContextRules, RequestContext
from tests.support.account_samples import list_account_samples
from tests.support.other_device_samples import list_other_device_samples
from tests.support.recovery_samples import list_recovery_samples
from tests.support.registration_samples import list_registration_samples
from tests.support.sign_in_samples import list_sign_in_samples

LONG_DEPARTMENT = "示例省人力资源和社会保障厅城乡居民基本养老保险经办服务中心网上办事大厅（合成样例）"
LONG_NAME = "*" * 38 + "·阿卜杜热合曼"
"""As long as a name may be, with its first part masked."""
SHORT_DEPARTMENT = "示例省医疗保障局（合成样例）"
ELSEWHERE = "/sample-end"
"""Where a page leads that goes on by itself."""
FLOW = {"i": "sample-interaction", "csrf": "sample-token", "step": "sample-step"}
REFUSAL_FACTS: dict[str, str | int] = {
    "seconds": 30,
    "minutes": 15,
    "time": "14:35",
    "tries": 3,
    "missing": 1,
    "shortest": 8,
    "longest": 128,
}
RULES = ContextRules(CookieNames("http://127.0.0.1:8000", "preview"))
UNKNOWN_DEPARTMENTS: dict[str, Any] = {"departments": [], "frames": [], "onward": False, "refused": False}


def make_context(language: Language = "zh-CN", *, elder: bool = False, path: str = "/sample", method: str = "GET") -> RequestContext:
    """Return a request context in this language and mode."""
    names = RULES.cookies
    cookie = f"{names.language}={language}; {names.elder}={int(elder)}"
    return RequestContext(RULES, "5a17c0ffee00-2a", method, path, [(b"cookie", cookie.encode())])


def list_samples(messages: Messages) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return sample name → (template, context); an error page for every refusal that has texts."""
    samples: dict[str, tuple[str, dict[str, Any]]] = {
        "sign-in": ("sign_in.html", {**FLOW, "department": SHORT_DEPARTMENT, "identifier": "", "passkey": ""}),
        "sign-in-wrong": (
            "sign_in.html",
            {
                **FLOW,
                "department": LONG_DEPARTMENT,
                "identifier": "11010119000101001X",
                "passkey": "",
                "errors": [FieldError("identifier", "wrong_credentials")],
            },
        ),
        "sign-in-empty": (
            "sign_in.html",
            {
                **FLOW,
                "department": SHORT_DEPARTMENT,
                "identifier": "",
                "passkey": "",
                "errors": [FieldError("identifier", "identifier_empty"), FieldError("password", "password_empty")],
            },
        ),
        "sign-in-locked": (
            "sign_in.html",
            {
                **FLOW,
                "department": SHORT_DEPARTMENT,
                "identifier": "",
                "passkey": "",
                "errors": [FieldError("", "sign_in_locked", {"minutes": 15, "time": "14:35"})],
            },
        ),
        "sign-in-crowded": (
            "sign_in.html",
            {
                **FLOW,
                "department": SHORT_DEPARTMENT,
                "identifier": "11010119000101001X",
                "passkey": "",
                "errors": [FieldError("", "proof_wanted")],
                "puzzle": Puzzle("1790000000.c2FtcGxlLXM.c2FtcGxlLXNlYWwtb2YtYS1w", 0),
            },
        ),
        "sign-in-idle": (
            "sign_in.html",
            {**FLOW, "department": SHORT_DEPARTMENT, "identifier": "", "passkey": "", "notice": "session_idle"},
        ),
        "code": ("code.html", {**FLOW, "department": SHORT_DEPARTMENT, "phone": "138****8000", "minutes": 5, "resent": False}),
        "code-wrong": (
            "code.html",
            {
                **FLOW,
                "department": LONG_DEPARTMENT,
                "phone": "138****8000",
                "minutes": 5,
                "resent": False,
                "errors": [FieldError("code", "code_wrong", {"tries": 3})],
            },
        ),
        "code-resent": ("code.html", {**FLOW, "department": SHORT_DEPARTMENT, "phone": "138****8000", "minutes": 5, "resent": True}),
        "code-resend-locked": (
            "code.html",
            {
                **FLOW,
                "department": SHORT_DEPARTMENT,
                "phone": "138****8000",
                "minutes": 5,
                "resent": False,
                "errors": [FieldError("resend", "resend_locked", {"minutes": 15, "time": "14:35"})],
            },
        ),
        "code-unsent": (
            "code.html",
            {
                **FLOW,
                "department": SHORT_DEPARTMENT,
                "phone": "138****8000",
                "minutes": 5,
                "resent": False,
                "unsent": True,
                "errors": [FieldError("resend", "sms_busy")],
            },
        ),
        "portal": ("portal.html", {"name": "*小明"}),
        "portal-long": ("portal.html", {"name": LONG_NAME}),
        "consent": (
            "consent.html",
            {
                **FLOW,
                "department": SHORT_DEPARTMENT,
                "shown": "sample-mark",
                "also": ("sub",),
                "purposes": [{"purpose": "办理医疗费用报销", "claims": ["name", "id_document", "phone_number"]}],
                "values": {"name": "*小明", "id_document": "1101**********001X", "phone_number": "138****8000"},
            },
        ),
        "consent-long": (
            "consent.html",
            {
                **FLOW,
                "department": LONG_DEPARTMENT,
                "shown": "sample-mark",
                "also": ("sub", "locale", "updated_at", "real_name_verified", "ial"),
                "verified": True,
                "details": ["urn:yizheng:mandate"],
                "policy": "https://one.example.invalid/privacy",
                "terms": "https://one.example.invalid/terms",
                "purposes": [
                    {"purpose": "核对参保身份并计算城乡居民基本养老保险待遇", "claims": ["name", "id_document", "gender", "birthdate"]},
                    {"purpose": "通知办理进度", "claims": ["phone_number", "phone_number_verified", "email", "address"]},
                ],
                "values": {
                    "name": LONG_NAME,
                    "id_document": "1101**********001X",
                    "phone_number": "138****8000",
                    "email": f"z***@{'mail-of-a-very-long-department-name.' * 3}example",
                    "address": "新疆维吾尔自治区巴音郭楞蒙古自治州和静县****",
                },
            },
        ),
        "sign-out": ("sign_out.html", {"i": "", "csrf": "sample-token", "department": ""}),
        "sign-out-from": ("sign_out.html", {"i": "", "csrf": "sample-token", "department": LONG_DEPARTMENT}),
        "signed-out": (
            "signed_out.html",
            {"signed_out": True, "back_url": "https://one.example.invalid/", "back_name": SHORT_DEPARTMENT, **UNKNOWN_DEPARTMENTS},
        ),
        "signed-out-told": (
            "signed_out.html",
            {
                "signed_out": True,
                "back_url": "",
                "back_name": "",
                **UNKNOWN_DEPARTMENTS,
                "departments": [{"name": SHORT_DEPARTMENT, "state": "told"}, {"name": LONG_DEPARTMENT, "state": "shown"}],
            },
        ),
        "signed-out-waiting": (
            "signed_out.html",
            {
                "signed_out": True,
                "back_url": "https://one.example.invalid/",
                "back_name": SHORT_DEPARTMENT,
                **UNKNOWN_DEPARTMENTS,
                "departments": [
                    {"name": SHORT_DEPARTMENT, "state": "waiting"},
                    {"name": LONG_DEPARTMENT, "state": "untold"},
                    {"name": SHORT_DEPARTMENT, "state": "told"},
                ],
            },
        ),
        "signed-out-refused": (
            "signed_out.html",
            {"signed_out": True, "back_url": "", "back_name": "", **UNKNOWN_DEPARTMENTS, "refused": True},
        ),
        "stayed": ("signed_out.html", {"signed_out": False, "back_url": "", "back_name": "", **UNKNOWN_DEPARTMENTS}),
        "returning": ("returning.html", {"url": ELSEWHERE, "department": SHORT_DEPARTMENT}),
        "posting": (
            "posting.html",
            {"url": ELSEWHERE, "department": SHORT_DEPARTMENT, "fields": [("code", "sample"), ("state", "sample")]},
        ),
        "returning-opened": ("returning.html", {"url": ELSEWHERE, "department": SHORT_DEPARTMENT, "opened": True}),
        "help": ("help.html", {}),
        "accessibility": ("accessibility.html", {}),
        "privacy": ("privacy.html", {}),
    }
    samples |= list_sign_in_samples(FLOW, SHORT_DEPARTMENT, LONG_DEPARTMENT, LONG_NAME)
    samples |= list_recovery_samples(FLOW, SHORT_DEPARTMENT, LONG_DEPARTMENT)
    samples |= list_registration_samples(FLOW, SHORT_DEPARTMENT, LONG_DEPARTMENT, LONG_NAME)
    samples |= list_other_device_samples(SHORT_DEPARTMENT, LONG_DEPARTMENT)
    samples |= list_account_samples(SHORT_DEPARTMENT, LONG_DEPARTMENT, LONG_NAME)
    codes = sorted(key.removesuffix("_next") for key in messages.keys("zh-CN") if key.endswith("_next"))
    for code in codes:
        ways = [Way("/", "重新开始 · Start again")] if code in WAYS_ON else []
        if code in LINKS_ON:
            button, url, text = LINKS_ON[code]
            ways.append(Way(url, f"{messages.text('zh-CN', text)} · {messages.text('en', text)}", button))
        samples[f"error-{code}"] = ("error.html", {"code": code, "department": "", "ways": ways})
    samples["error-with-way-back"] = (
        "error.html",
        {
            "code": "interaction_expired",
            "department": LONG_DEPARTMENT,
            "ways": [Way("https://one.example.invalid/", f"到{LONG_DEPARTMENT}重新登录")],
        },
    )
    return samples


def fill_refusal(messages: Messages, language: Language, values: dict[str, Any]) -> dict[str, Any]:
    """Return the context of an error page with its texts, anything else unchanged."""
    if "code" not in values:
        return values
    return {**values, "text": messages.refusal(language, values["code"], {**REFUSAL_FACTS, "hotline": "12345"})}
