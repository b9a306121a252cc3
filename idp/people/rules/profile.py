"""Decides what is known of a person and how it is written before it is sealed."""

import json
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime
from typing import Any

from idp.kernel.clock import SHANGHAI
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import Gender, IdentifierKind, IdNumber, Phone
from idp.people.rules.masking import mask_name
from idp.people.rules.postal_address import PostalAddress

FORMAT = 1


class UnreadableProfile(Exception):
    """The sealed profile has a format that this release does not know."""


@dataclass(frozen=True, repr=False)
class Profile:
    """A person's own data. It prints masked; ``birthdate`` and ``gender`` come from the document when it carries them.

    ``email`` and ``address`` are what the person says; nobody verified them.
    """

    name: str
    document: IdNumber | None
    phone: Phone | None
    gender: Gender | None
    birthdate: date | None
    locale: str
    updated_at: datetime
    email: EmailAddress | None = None
    address: PostalAddress | None = None

    def __repr__(self) -> str:
        return f"Profile({mask_name(self.name)}, {self.document}, {self.phone})"

    __str__ = __repr__


def make_profile(name: str, document: IdNumber | None, phone: Phone | None, updated_at: datetime, locale: str = "zh-CN") -> Profile:
    """Return the profile whose birth date and gender are those of the document, the likeliest century when it states none."""
    gender = document.gender if document else None
    birthdate = document.find_birthdate(updated_at.astimezone(SHANGHAI).date()) if document else None
    return Profile(name, document, phone, gender, birthdate, locale, updated_at)


def write_profile(profile: Profile) -> bytes:
    """Return the stored form: UTF-8 JSON with its format number, ready to be sealed.

    What came later than the format's first release is one more member, which that release does not see.
    """
    return json.dumps(
        {
            "v": FORMAT,
            "name": profile.name,
            "document": [profile.document.kind.value, profile.document.value] if profile.document else None,
            "phone": profile.phone.value if profile.phone else None,
            "gender": profile.gender.value if profile.gender else None,
            "birthdate": profile.birthdate.isoformat() if profile.birthdate else None,
            "locale": profile.locale,
            "updated_at": int(profile.updated_at.timestamp()),
            "email": profile.email.value if profile.email else None,
            "address": astuple(profile.address) if profile.address else None,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def read_profile(stored: bytes) -> Profile:
    """Return the profile of ``write_profile``; raise UnreadableProfile for a format of a later release."""
    raw: dict[str, Any] = json.loads(stored)
    if raw.get("v") != FORMAT:
        raise UnreadableProfile(f"profile format {raw.get('v')!r}")
    return Profile(
        name=raw["name"],
        document=IdNumber(IdentifierKind(raw["document"][0]), raw["document"][1]) if raw["document"] else None,
        phone=Phone(raw["phone"]) if raw["phone"] else None,
        gender=Gender(raw["gender"]) if raw["gender"] else None,
        birthdate=date.fromisoformat(raw["birthdate"]) if raw["birthdate"] else None,
        locale=raw["locale"],
        updated_at=datetime.fromtimestamp(raw["updated_at"], UTC),
        email=EmailAddress(raw["email"]) if raw.get("email") else None,
        address=PostalAddress(*raw["address"]) if raw.get("address") else None,
    )
