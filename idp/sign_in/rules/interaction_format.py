"""Decides how an interaction is written between two requests: versioned JSON, so a rolling upgrade loses no flow.

A field that may be missing keeps the format: an older release ignores it, a newer one reads what an older one wrote.
"""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from idp.kernel.ids import decode_base64url, encode_base64url
from idp.kernel.levels import Acr
from idp.sign_in.rules.interaction import Ending, Interaction
from idp.sign_in.rules.session import read_factors, write_factors

FORMAT = 1
FLAGS = ("resistant", "essential", "without_passkey", "isolated", "confirms", "confirmed")
"""Fields that are true or false, and false where an older release wrote nothing."""


def write_interaction(interaction: Interaction) -> bytes:
    """Return the stored form of ``interaction``; its id is the key it is stored under."""
    return json.dumps(
        {
            "v": FORMAT,
            "kind": interaction.kind,
            "browser": encode_base64url(interaction.browser_hash),
            "csrf": interaction.csrf,
            "created_at": interaction.created_at.timestamp(),
            "request": interaction.request,
            "client_id": interaction.client_id,
            "department": interaction.department,
            "wanted": interaction.wanted.value,
            "language": interaction.language,
            "fresh_after": _write_instant(interaction.fresh_after),
            "login_hint": interaction.login_hint,
            "person_id": str(interaction.person_id) if interaction.person_id else None,
            "proved": write_factors(interaction.proved),
            "sends": interaction.sends,
            "unreachable_by": str(interaction.unreachable_by) if interaction.unreachable_by else None,
            "department_en": interaction.department_en,
            "home_url": interaction.home_url,
            "declined": interaction.declined,
            "claimed": interaction.claimed,
            "password_of": interaction.password_of.isoformat() if interaction.password_of else None,
            "passkey_of": str(interaction.passkey_of) if interaction.passkey_of else None,
            "answered_by": str(interaction.answered_by) if interaction.answered_by else None,
            "aal": interaction.aal,
            **{flag: getattr(interaction, flag) for flag in FLAGS},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def read_interaction(interaction_id: str, stored: bytes) -> Interaction | None:
    """Return the interaction of ``write_interaction``; None for a format of a later release."""
    raw: dict[str, Any] = json.loads(stored)
    if raw.get("v") != FORMAT:
        return None
    return Interaction(
        id=interaction_id,
        kind=raw["kind"],
        browser_hash=decode_base64url(raw["browser"]),
        csrf=raw["csrf"],
        created_at=datetime.fromtimestamp(raw["created_at"], UTC),
        request=raw["request"],
        client_id=raw["client_id"],
        department=raw["department"],
        wanted=Acr(raw["wanted"]),
        language=raw["language"],
        fresh_after=_read_instant(raw["fresh_after"]),
        login_hint=raw["login_hint"],
        person_id=UUID(raw["person_id"]) if raw["person_id"] else None,
        proved=read_factors(raw["proved"]),
        sends=raw["sends"],
        unreachable_by=UUID(raw["unreachable_by"]) if raw.get("unreachable_by") else None,
        department_en=raw.get("department_en", ""),
        home_url=raw.get("home_url", ""),
        declined=raw.get("declined", False),
        claimed=raw.get("claimed", ""),
        password_of=datetime.fromisoformat(raw["password_of"]) if raw.get("password_of") else None,
        passkey_of=UUID(raw["passkey_of"]) if raw.get("passkey_of") else None,
        answered_by=UUID(raw["answered_by"]) if raw.get("answered_by") else None,
        aal=raw.get("aal", 1),
        **{flag: raw.get(flag, False) for flag in FLAGS},
    )


def write_ending(ending: Ending) -> bytes:
    """Return the stored form of what is remembered of a flow that is over."""
    return json.dumps(
        {"v": FORMAT, "browser": encode_base64url(ending.browser_hash), "done": ending.done, "way_back": ending.way_back},
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def read_ending(stored: bytes) -> Ending | None:
    """Return what ``write_ending`` wrote; None for a format of a later release."""
    raw: dict[str, Any] = json.loads(stored)
    if raw.get("v") != FORMAT:
        return None
    return Ending(decode_base64url(raw["browser"]), raw["done"], raw["way_back"])


def _write_instant(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant is not None else None


def _read_instant(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
