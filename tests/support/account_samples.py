"""The account's pages with contexts that are synthetic: no person, department or address here is real."""

from datetime import UTC, datetime, timedelta
from typing import Any

from idp.http.forms import FieldError
from idp.people.rules.profile_change import OwnDatum
from idp.sign_in.rules.account_device import Device
from idp.sign_in.rules.account_history import Happening
from idp.sign_in.services.account_history import Entry
from idp.sign_in.services.account_passkeys import ShownPasskey
from idp.sign_in.services.account_profile import ProfileSheet, ShownPhone, Verified
from idp.sign_in.services.account_sessions import SignedInBrowser
from idp.sign_in.stores.account_profile import Accepted

NOW = datetime(2026, 3, 2, 1, 5, tzinfo=UTC)
PHONE = Device("harmony", "huawei")
COMPUTER = Device("windows", "edge")
PASSKEY_OPTIONS = '{"challenge": "c2FtcGxl", "user": {"id": "c2FtcGxl", "name": "*小明"}}'


def _ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def _list_history() -> list[list[Entry]]:
    signed_in = Happening("signed_in", ("pwd", "sms"))
    return [
        [
            Entry(_ago(minutes=3), signed_in, PHONE, "203.0.113.*", "benefits"),
            Entry(_ago(minutes=20), Happening("locked"), Device("android", "chrome"), "198.51.100.*", None),
            Entry(_ago(minutes=21), Happening("wrong_password"), Device("android", "chrome"), "198.51.100.*", None),
        ],
        [
            Entry(_ago(days=2), Happening("signed_out_by_password", number=2), PHONE, "203.0.113.*", None),
            Entry(_ago(days=2, minutes=1), Happening("password_changed"), PHONE, "203.0.113.*", None),
            Entry(_ago(days=2, hours=1), Happening("signed_in", ("pwd",), new_device=True), COMPUTER, "2001:db8:7:*", None),
        ],
        [Entry(_ago(days=40), Happening("registered"), None, "", "gone")],
    ]


def _list_passkeys(token: dict[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    phone = ShownPasskey("sample-0", "我的手机", _ago(days=30), _ago(hours=2), True)
    key = ShownPasskey("sample-1", "W" * 40, _ago(minutes=4), None, False)
    none = {**token, "passkeys": [], "fresh": False, "full": False, "options": PASSKEY_OPTIONS, "name": "", "done": ""}
    fresh = {**none, "fresh": True, "name": "华为手机"}
    return {
        "account-passkeys-none": ("account_passkeys.html", none),
        "account-passkeys-address": ("account_passkeys.html", {**none, "options": ""}),
        "account-passkeys": ("account_passkeys.html", {**none, "passkeys": [phone, key]}),
        "account-passkeys-fresh": ("account_passkeys.html", {**fresh, "passkeys": [phone, key], "done": "added"}),
        "account-passkeys-full": ("account_passkeys.html", {**fresh, "passkeys": [phone], "full": True}),
        "account-passkeys-refused": ("account_passkeys.html", {**fresh, "errors": [FieldError("", "passkey_refused")]}),
    }


def _list_own_data(token: dict[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    form = {**token, "datum": "email", "kept": "", "typed": {}, "phone": "138****8000", "obstacle": ""}
    kept = {**form, "kept": "s***@example.com"}
    postal = {**form, "datum": "address"}
    area = {"province": "新疆维吾尔自治区", "city": "克孜勒苏柯尔克孜自治州", "district": ""}
    half = {"province": "福建省", "detail": "<样例路>1号", "postal_code": "35000"}
    slips = {"city": "city_empty", "detail": "address_wrong_character", "postal_code": "postal_code_malformed"}
    life = {"phone": "138****8000", "minutes": 5, "ended": False, "resent": False}
    code = {**token, **life, "step": "sample-step", "datum": "email", "wanted": []}
    twice = FieldError("email", "email_one_at")
    wrong = [FieldError("code", "code_wrong", {"tries": 4}), FieldError("resend", "sms_too_soon", {"seconds": 30})]
    samples: dict[str, dict[str, Any]] = {
        "email": form,
        "email-wrong": {**kept, "typed": {"email": "sample@@example.com"}, "errors": [twice]},
        "email-no-phone": {**kept, "phone": "", "obstacle": "no_phone"},
        "email-limited": {**form, "errors": [FieldError("", "own_data_wait", {"seconds": 30})]},
        "address": {**postal, "kept": "".join(area.values()) + "****", "typed": area},
        "address-wrong": {**postal, "typed": half, "errors": [FieldError(*slip) for slip in slips.items()]},
        "address-unused-phone": {**postal, "obstacle": "unused_phone"},
    }
    codes: dict[str, dict[str, Any]] = {
        "email-code": {**code, "wanted": ["sample" * 4 + "@example.com"]},
        "email-code-wrong": {**code, "errors": wrong},
        "email-code-ended": {**code, "ended": True},
        "address-code": {
            **code,
            "datum": "address",
            "wanted": ["350001", "福建省福州市鼓楼区样例路1号样例小区2号楼3单元401室"],
            "resent": True,
        },
    }
    return {
        **{f"account-{name}": (f"account_{values['datum']}.html", values) for name, values in samples.items()},
        **{f"account-{name}": ("account_own_data_code.html", values) for name, values in codes.items()},
    }


def list_account_samples(department: str, long_department: str, long_name: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return sample name → (template, context)."""
    sheet = ProfileSheet(
        name="*小明",
        document_kind="resident_id",
        document="350***********0012",
        ial=3,
        phones=[ShownPhone("138****8000", "active", _ago(days=12))],
        registered_at=_ago(days=400),
        verified=[Verified("identity", _ago(days=400)), Verified("phone", _ago(days=12)), Verified("social_security_card", _ago(days=400))],
        agreements=[Accepted("service", "2026-01", "hR8mV2xQ-synthetic", _ago(days=400))],
        email="s***@example.com",
        address="福建省福州市鼓楼区****",
    )
    odd = ProfileSheet(
        name=long_name,
        document_kind="hk_macao_travel_permit",
        document="H******78",
        ial=2,
        phones=[
            ShownPhone("138****8000", "frozen", None),
            ShownPhone("139****8001", "contact", None),
            ShownPhone("137****8002", "to_be_renewed", None),
        ],
        registered_at=_ago(days=1),
        verified=[],
        agreements=[],
    )
    here = SignedInBrowser("sample-0", True, False, PHONE, "203.0.113.*", _ago(hours=2), NOW)
    there = SignedInBrowser("sample-1", False, False, COMPUTER, "2001:db8:7:*", _ago(hours=5), _ago(minutes=8))
    app = SignedInBrowser("sample-3", False, False, Device(), "203.0.113.*", _ago(days=2), _ago(days=2), "sample-app")
    idle = SignedInBrowser("sample-2", False, True, Device(), "", _ago(hours=9), _ago(hours=4))
    consent = {
        "client_id": "reading-card",
        "department": department,
        "purpose": "办理医疗费用报销",
        "words": "办理医疗费用报销",
        "claims": ("name", "id_document", "phone_number"),
        "given_at": _ago(days=3),
        "withdrawn_at": None,
        "current": True,
    }
    release = {
        "at": _ago(days=3),
        "department": department,
        "claims": ("name", "id_document"),
        "purposes": ("办理医疗费用报销",),
        "bases": ("consent",),
    }
    duty = {
        "at": _ago(days=9),
        "department": long_department,
        "claims": ("name", "gender", "birthdate", "id_document", "real_name_verified", "ial"),
        "purposes": ("核对参保身份并计算城乡居民基本养老保险待遇",),
        "bases": ("statutory_duty",),
    }
    plain = {"at": _ago(days=10), "department": "", "claims": ("locale", "updated_at"), "purposes": (), "bases": ("ungated",)}
    token = {"csrf": "sample-token"}
    return {
        "account": ("account.html", {"name": "*小明", "ial": 3, "closing": False}),
        "account-low": ("account.html", {"name": "*明", "ial": 2, "closing": False}),
        "account-closing": ("account.html", {"name": long_name, "ial": 1, "closing": True}),
        "account-profile": ("account_profile.html", {"sheet": sheet, "done": (OwnDatum.EMAIL, False)}),
        "account-profile-odd": ("account_profile.html", {"sheet": odd, "done": None}),
        **_list_own_data(token),
        "account-sessions": (
            "account_sessions.html",
            {**token, "sessions": [here, there, app, idle], "apps": {"sample-app": department}, "done": "one"},
        ),
        "account-sessions-alone": ("account_sessions.html", {**token, "sessions": [here], "apps": {}, "done": ""}),
        "account-history": (
            "account_history.html",
            {"days": _list_history(), "names": {"benefits": long_department, "gone": ""}, "older": "sample-key", "newest": True},
        ),
        "account-history-last": ("account_history.html", {"days": [], "names": {}, "older": "", "newest": False}),
        "account-releases": (
            "account_releases.html",
            {
                **token,
                "consents": [consent, {**consent, "department": long_department, "current": False}, {**consent, "withdrawn_at": NOW}],
                "releases": [release, duty, plain],
                "older": "sample-key",
                "newest": True,
                "done": True,
            },
        ),
        "account-releases-none": (
            "account_releases.html",
            {**token, "consents": [], "releases": [], "older": "", "newest": True, "done": False},
        ),
        **_list_passkeys(token),
        "account-password": ("account_password.html", {**token, "step": "sample-step"}),
        "account-password-wrong": (
            "account_password.html",
            {
                **token,
                "step": "sample-step",
                "errors": [FieldError("current_password", "current_password_wrong"), FieldError("password", "password_common")],
            },
        ),
        "account-password-done": ("account_password_done.html", {"phone": "138****8000"}),
        "account-freeze": ("account_freeze.html", token),
        "account-frozen": ("account_frozen.html", {}),
    }
