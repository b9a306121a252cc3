"""Decides what a person's own profile page is given: masked values, words and dates, nothing in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.people.rules.identifiers import IdentifierKind, Phone
from idp.people.rules.masking import mask_document, mask_name
from idp.people.services.directory import People
from idp.people.stores import levels
from idp.platform.database import Database
from idp.sign_in.services.account import Owner
from idp.sign_in.stores import account_profile as store
from idp.sign_in.stores.account_profile import Accepted, StoredPhone
from keys import Sealer, row_aad


@dataclass(frozen=True)
class ShownPhone:
    """A masked number. ``state``: active, frozen (a way to sign in), contact, to_be_renewed; ``matched_at``: the operator's last match."""

    number: str
    state: str
    matched_at: datetime | None


@dataclass(frozen=True)
class Verified:
    """A kind of check that matched, and when it last did."""

    kind: str
    at: datetime


@dataclass(frozen=True)
class ProfileSheet:
    """What the person's own page says; what there is none of is "". ``email`` and ``address`` are what the person told."""

    name: str
    document_kind: str
    document: str
    ial: int
    phones: Sequence[ShownPhone]
    registered_at: datetime | None
    verified: Sequence[Verified]
    agreements: Sequence[Accepted]
    email: str = ""
    address: str = ""


class AccountProfile:
    """Reads a person's own data and masks it."""

    def __init__(self, database: Database, people: People, sealer: Sealer) -> None:
        self._database = database
        self._people = people
        self._sealer = sealer

    async def read(self, owner: Owner) -> ProfileSheet:
        """Return the sheet of the person who is here."""
        person_id = owner.person_id
        profile = await self._people.read_profile(person_id)
        phones = await store.list_phones(self._database, person_id)
        matched = await levels.list_proved(self._database, person_id)
        return ProfileSheet(
            name=mask_name(profile.name),
            document_kind=profile.document.kind.value if profile.document is not None else "",
            document=mask_document(profile.document.value) if profile.document is not None else "",
            ial=owner.standing.ial,
            phones=[self._show(person_id, phone) for phone in phones],
            registered_at=await store.find_registered_at(self._database, person_id),
            verified=sorted((Verified(kind, at) for kind, at in matched.items()), key=lambda v: (v.at, v.kind)),
            agreements=await store.list_agreements(self._database, person_id),
            email=str(profile.email) if profile.email is not None else "",
            address=str(profile.address) if profile.address is not None else "",
        )

    def _show(self, person_id: UUID, phone: StoredPhone) -> ShownPhone:
        row = IdentifierKind.PHONE.value.encode() + b"\0" if phone.table == "person_identifiers" else person_id.bytes
        number = Phone(self._sealer.open(phone.sealed, row_aad(phone.table, "sealed", row + phone.index)).decode())
        return ShownPhone(str(number), phone.state, phone.matched_at)
