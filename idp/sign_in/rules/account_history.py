"""Decides which audit events a person's sign-in history shows, and in which words each of them is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from idp.kernel.audit_events import Detail, Kind
from idp.kernel.session_endings import REPLACED_BY_ANOTHER, SIGNED_OUT

SHOWN_DAYS = timedelta(days=366)
"""How far back the history goes; at least six months (domain.md "Looking after oneself")."""

PASSWORD_CHANGE = "password_change"  # noqa: S105 - a purpose
"""Detail ``purpose`` of a wrong current password on the account's own page."""

PROFILE_CHANGE = "profile_change"
"""Purpose of the codes that confirm a change of one's own data; detail ``purpose`` of a wrong one."""

ELSEWHERE = "signed out elsewhere"
PASSWORD_CHANGED = "password changed"  # noqa: S105 - a reason
PASSKEY_REMOVED = "passkey removed"
"""Reasons of sessions that end from the account's pages."""

PLAIN: Mapping[Kind, str] = {
    Kind.SIGN_IN_SUCCEEDED: "signed_in",
    Kind.STEP_UP_SUCCEEDED: "stepped_up",
    Kind.RESEND_LOCKED: "resend_locked",
    Kind.PROFILE_CHANGED: "profile_changed",
    Kind.PASSWORD_CHANGED: "password_changed",
    Kind.PASSWORD_RECOVERED: "password_recovered",
    Kind.PASSKEY_ADDED: "passkey_added",
    Kind.PASSKEY_REMOVED: "passkey_removed",
    Kind.APPLICATION_BAN_CHANGED: "application_ban_changed",
    Kind.RECOVERY_STARTED: "recovery_started",
    Kind.RECOVERY_REFUSED: "recovery_refused",
    Kind.ACCOUNT_FROZEN: "account_frozen",
    Kind.PERSON_REGISTERED: "registered",
    Kind.PERSON_STATUS_CHANGED: "status_changed",
    Kind.LEVEL_RAISED: "level_raised",
    Kind.PHONE_BOUND: "phone_bound",
    Kind.PHONE_TAKEN_OVER: "phone_taken_over",
    Kind.PHONE_FROZEN: "phone_frozen",
}
"""Kinds that are told alike whatever their details say."""

ENDS: Mapping[str, str] = {
    SIGNED_OUT: "signed_out",
    ELSEWHERE: "signed_out_elsewhere",
    PASSWORD_CHANGED: "signed_out_by_password",
    PASSKEY_REMOVED: "signed_out_by_passkey",
    REPLACED_BY_ANOTHER: "signed_out_by_another",
    "frozen": "signed_out_by_standing",
    "banned": "signed_out_by_standing",
    "closed": "signed_out_by_standing",
    "deceased": "signed_out_by_standing",
}
"""Why sessions ended → word; any other reason is told as ``session_ended``."""

ALERTING = frozenset(
    {
        "wrong_password",
        "wrong_current_password",
        "wrong_code",
        "wrong_profile_code",
        "wrong_passkey",
        "turned_away",
        "refused",
        "locked",
        "code_locked",
        "resend_locked",
        "recovery_refused",
    }
)
"""Words that somebody who did not do it themselves should notice."""

OWN_DATA: Mapping[str, str] = {
    f"{datum} {change}": f"{datum}_{change}" for datum in ("email", "address") for change in ("added", "changed", "removed")
}
"""Details ``datum`` and ``change`` of a change of one's own data → word."""

KINDS = (*PLAIN, Kind.SIGN_IN_FAILED, Kind.SIGN_IN_LOCKED, Kind.SESSION_ENDED)
"""Every kind that the history shows."""


@dataclass(frozen=True)
class Happening:
    """One event in words: ``word`` is the message key ``history_<word>``, ``factors`` are amr values, ``number`` counts sessions."""

    word: str
    factors: tuple[str, ...] = ()
    new_device: bool = False
    number: int = 1

    @property
    def alerts(self) -> bool:
        """Tell whether it deserves a second look."""
        return self.word in ALERTING


def describe(kind: str, details: Mapping[str, Detail]) -> Happening:
    """Return the words of a stored event of one of KINDS; details of a later release are told in general words."""
    if kind == Kind.SIGN_IN_FAILED:
        return Happening(_describe_failure(details))
    if kind == Kind.SIGN_IN_LOCKED:
        return Happening("code_locked" if details.get("way") == "code" else "locked")
    if kind == Kind.SESSION_ENDED:
        number = details.get("sessions")
        return Happening(ENDS.get(str(details.get("reason")), "session_ended"), number=number if isinstance(number, int) else 1)
    if kind == Kind.PROFILE_CHANGED:
        return Happening(OWN_DATA.get(f"{details.get('datum')} {details.get('change')}", PLAIN[Kind.PROFILE_CHANGED]))
    amr = details.get("amr")
    factors = tuple(amr.split()) if isinstance(amr, str) else ()
    return Happening(PLAIN[Kind(kind)], factors, details.get("new_device") is True)


def _describe_failure(details: Mapping[str, Detail]) -> str:
    reason, way = details.get("reason"), details.get("way")
    if reason in ("delayed", "locked"):
        return "turned_away"
    if way == "code":
        return "wrong_profile_code" if details.get("purpose") == PROFILE_CHANGE else "wrong_code"
    if way == "passkey":
        return "wrong_passkey"
    if reason == "wrong":
        return "wrong_current_password" if details.get("purpose") == PASSWORD_CHANGE else "wrong_password"
    return "refused"
