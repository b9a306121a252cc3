"""The sign-in's further ways with contexts that are synthetic: the code as a way of its own, the password alone, a password to replace."""

from typing import Any

from idp.http.forms import FieldError

Sample = tuple[str, dict[str, Any]]

PASSKEY = '{"challenge": "c2FtcGxl", "rpId": "localhost", "userVerification": "required"}'


def list_sign_in_samples(flow: dict[str, str], short: str, long: str, name: str) -> dict[str, Sample]:
    """Return sample name → (template, context). ``short`` and ``long`` are names of departments, ``name`` a masked one."""
    return {
        "sign-in-code": ("sign_in_code.html", {**flow, "department": short, "identifier": "", "passkey": ""}),
        "sign-in-code-empty": (
            "sign_in_code.html",
            {**flow, "department": long, "identifier": "", "passkey": "", "errors": [FieldError("identifier", "identifier_empty")]},
        ),
        "sign-in-code-idle": (
            "sign_in_code.html",
            {**flow, "department": short, "identifier": "", "passkey": "", "notice": "session_idle"},
        ),
        "sign-in-passkey": ("sign_in.html", {**flow, "department": short, "identifier": "", "passkey": PASSKEY}),
        "sign-in-passkey-refused": (
            "sign_in.html",
            {**flow, "department": long, "identifier": "", "passkey": PASSKEY, "errors": [FieldError("by-passkey", "passkey_refused")]},
        ),
        "passkey": ("passkey.html", {**flow, "department": short, "passkey": PASSKEY, "known": True, "essential": False}),
        "passkey-essential": ("passkey.html", {**flow, "department": long, "passkey": PASSKEY, "known": False, "essential": True}),
        "passkey-refused": (
            "passkey.html",
            {
                **flow,
                "department": short,
                "passkey": PASSKEY,
                "known": True,
                "essential": True,
                "errors": [FieldError("by-passkey", "passkey_of_another")],
            },
        ),
        "confirm": ("confirm.html", {**flow, "department": short, "name": "*小明", "shown": "sample-mark"}),
        "confirm-long": ("confirm.html", {**flow, "department": long, "name": name, "shown": "sample-mark"}),
        "passkey-nowhere": ("passkey.html", {**flow, "department": short, "passkey": "", "known": False, "essential": False}),
        "password": ("password.html", {**flow, "department": short}),
        "password-wrong": ("password.html", {**flow, "department": long, "errors": [FieldError("password", "password_empty")]}),
        "new-password": ("new_password.html", {**flow, "department": short, "name": name}),
        "new-password-empty": (
            "new_password.html",
            {**flow, "department": long, "name": name, "errors": [FieldError("password", "password_empty")]},
        ),
    }
