"""Decides who an identifier belongs to, and what is read of a person; sealed values are opened here and nowhere else."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from idp.authenticators.services.passwords import Passwords
from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import SHANGHAI, Clock, Random
from idp.kernel.ids import PersonId, make_uuid7
from idp.kernel.levels import RECOVERY_HOLD
from idp.people.rules import profile as profiles
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import Identifier, IdentifierKind, IdNumber, Phone, list_readings, recognize
from idp.people.rules.masking import mask_name
from idp.people.rules.person import PERSON_TRANSITIONS, STANDING_LOST, Standing, Status, StatusEvent
from idp.people.rules.postal_address import PostalAddress
from idp.people.rules.profile import Profile, make_profile
from idp.people.stores import identifiers, people
from idp.people.stores.people import FoundPerson, HeldPerson
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from keys import BlindIndex, Sealer, row_aad

OnStandingLost = Callable[[Transaction, UUID, str], Awaitable[None]]
"""Ends what somebody who lost their standing holds, in the caller's transaction; the text is the new status."""


class IdentifierTaken(Exception):
    """Somebody already has this identifier; nothing was added."""


class UnknownPerson(Exception):
    """There is no person with this id."""


@dataclass(frozen=True)
class KnownPerson:
    """Who somebody is to the sign-in: standing, and the phone that codes go to.

    ``phone_seen_at`` is when it last proved to be this person's, as far as is known; None for a contact number, which is no sign-in
    identifier. ``must_change``: the password has become known to everybody; None without one. ``password_changed_at`` names the password:
    what was proved with another one counts no more.
    """

    standing: Standing
    phone: Phone | None
    phone_seen_at: datetime | None = None
    must_change: bool | None = False
    password_changed_at: datetime | None = None
    passkeys: int = 0

    @property
    def has_own_phone(self) -> bool:
        """Tell whether the phone is the person's sign-in identifier, so that an operator's match can bind it."""
        return self.phone is not None and self.phone_seen_at is not None


@dataclass(frozen=True, repr=False)
class NewPerson:
    """A person to add. ``verifier`` is the password's, ``matched_at`` the operator's match of name, document and phone."""

    name: str
    document: IdNumber | None
    phone: Phone | None
    ial: int
    verifier: str | None = None
    matched_at: datetime | None = None
    status: Status = Status.ACTIVE
    locale: str = "zh-CN"
    email: EmailAddress | None = None
    address: PostalAddress | None = None


class People:
    """The people of this installation."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        index: BlindIndex,
        passwords: Passwords,
        audit: AuditLog,
        clock: Clock,
        random: Random,
        on_standing_lost: OnStandingLost,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._index = index
        self._passwords = passwords
        self._audit = audit
        self._clock = clock
        self._random = random
        self._on_standing_lost = on_standing_lost

    def recognize(self, text: str) -> Identifier | None:
        """Return what ``text`` identifies a person by, today; None when it is no identifier."""
        return recognize(text, self._clock().astimezone(SHANGHAI).date())

    async def find_by_identifier(self, identifier: Identifier | str) -> KnownPerson | None:
        """Return who has this identifier (or this text), None when nobody has."""
        known = self.recognize(identifier) if isinstance(identifier, str) else identifier
        if known is None:
            return None
        found: FoundPerson | None = None
        # As many reads whoever has it: the characters alone say how many.
        for reading in list_readings(known):
            index_values = self._index.index_all(reading.kind.value, reading.value)
            held = await people.find_by_identifier(self._database, reading.kind.value, index_values)
            found = found or held
        return self._know(found)

    async def find_by_id(self, person_id: UUID) -> KnownPerson | None:
        """Return the person's standing and phone, None for an unknown id."""
        return self._know(await people.find_by_id(self._database, person_id))

    async def read_profile(self, person_id: UUID) -> Profile:
        """Return the person's data in clear, for whoever is entitled to it. Raises UnknownPerson."""
        sealed = await people.find_profile(self._database, person_id)
        if sealed is None:
            raise UnknownPerson
        return self.open_profile(person_id, sealed)

    async def change_profile(self, tx: Transaction, person_id: UUID, change: Callable[[Profile], Profile]) -> Profile:
        """Replace the person's data by what ``change`` makes of them, in the caller's transaction, which holds the person alone.

        Returns what they were. Raises UnknownPerson.
        """
        sealed = await people.find_held_profile(tx, person_id)
        if sealed is None:
            raise UnknownPerson
        before, now = self.open_profile(person_id, sealed), self._clock()
        after = replace(change(before), updated_at=now)
        await people.replace_profile(tx, person_id, self._seal_profile(person_id, after), now)
        return before

    async def find_document(self, person_id: UUID) -> str:
        """Return the person's document number, "" for an unknown id or without one: one read either way."""
        sealed = await people.find_profile(self._database, person_id)
        document = self.open_profile(person_id, sealed).document if sealed is not None else None
        return document.value if document is not None else ""

    async def find_name(self, person_id: UUID) -> str:
        """Return the person's name in clear, "" for an unknown id: one read either way."""
        sealed = await people.find_profile(self._database, person_id)
        return self.open_profile(person_id, sealed).name if sealed is not None else ""

    async def find_masked_name(self, person_id: UUID) -> str:
        """Return the person's name, masked; a star for an unknown id: one read either way."""
        return mask_name(await self.find_name(person_id))

    def _seal_profile(self, person_id: UUID, profile: Profile) -> bytes:
        return self._sealer.seal(profiles.write_profile(profile), row_aad("people", "profile", person_id.bytes), self._random)

    def open_profile(self, person_id: UUID, sealed: bytes) -> Profile:
        """Return the profile of a row that somebody else's statement read (``people.profile``)."""
        return profiles.read_profile(self._sealer.open(sealed, row_aad("people", "profile", person_id.bytes)))

    async def add_person(self, person: NewPerson) -> PersonId:
        """Add a person with identifiers and password in one transaction. Raises IdentifierTaken, and adds nothing then."""
        now = self._clock()
        person_id = PersonId(make_uuid7(self._clock, self._random))
        profile = make_profile(person.name, person.document, person.phone, now, person.locale)
        sealed = self._seal_profile(person_id, replace(profile, email=person.email, address=person.address))
        async with self._database.transaction() as tx:
            await people.add(tx, person_id, person.status, person.ial, sealed, now)
            if person.document is not None:
                await self._add_identifier(tx, person_id, person.document.kind, person.document.value, None, now)
            if person.phone is not None:
                await self._add_identifier(tx, person_id, IdentifierKind.PHONE, person.phone.value, person.matched_at, now)
            if person.verifier is not None:
                await self._passwords.set(tx, person_id, person.verifier, now)
            await self._audit.record(tx, AuditEvent(Kind.PERSON_SEEDED, person_id=person_id, details={"ial": person.ial}))
        return person_id

    async def refresh_phone_match(self, person_id: UUID, matched_at: datetime) -> bool:
        """Note that the operator matched name, document and phone; tell False when the person has no phone."""
        async with self._database.transaction() as tx:
            return await identifiers.refresh_phone_match(tx, person_id, matched_at)

    async def note_phone_use(self, tx: Transaction, person_id: UUID, phone: Phone) -> bool:
        """Note in the caller's transaction that a code sent to this number came back; False when it is no identifier of the person."""
        return await identifiers.note_phone_use(tx, person_id, self._index_phone(phone), self._clock())

    async def confirm_phone(self, tx: Transaction, person_id: UUID, phone: Phone) -> bool:
        """Note in the caller's transaction that the operator matched this number again; False when it is not the person's any more."""
        return await identifiers.confirm_phone(tx, person_id, self._index_phone(phone), self._clock())

    async def freeze_phone(self, tx: Transaction, person_id: UUID, phone: Phone) -> bool:
        """Make this number nobody's way in, in the caller's transaction, who audits it; False when it was not the person's any more."""
        return await identifiers.freeze_phone(tx, person_id, self._index_phone(phone))

    async def note_passkeys(self, tx: Transaction, person_id: UUID, number: int) -> None:
        """Note in the caller's transaction, which holds the person alone, how many passkeys the person has."""
        await people.note_passkeys(tx, person_id, number)

    def is_held(self, standing: Standing) -> bool:
        """Tell whether the person came back by phone so recently that nothing counts as more than one factor."""
        return standing.recovered_at is not None and self._clock() - standing.recovered_at < RECOVERY_HOLD

    async def note_recovery(self, tx: Transaction, person_id: UUID, reason: str) -> None:
        """Let the day of one factor begin, and end every session and grant and forget every device, in the caller's transaction."""
        await people.note_recovery(tx, person_id, self._clock())
        await known_devices.forget(tx, person_id)
        await self._on_standing_lost(tx, person_id, reason)

    async def change_status(self, tx: Transaction, person_id: UUID, before: Status, event: StatusEvent) -> Status:
        """Let ``event`` happen to an account in the caller's transaction, who also audits it.

        An account that is banned, frozen, closed or reported dead loses every session, grant and known device in the same transaction.
        Raises IllegalTransition when the table has no such row, UnknownPerson when the account is not ``before`` any more.
        """
        after = PERSON_TRANSITIONS.follow(before, event)
        if not await people.set_status(tx, person_id, before, after, self._clock()):
            raise UnknownPerson
        if after in STANDING_LOST:
            await known_devices.forget(tx, person_id)
            await self._on_standing_lost(tx, person_id, after.value)
        return after

    async def hold(self, tx: Transaction, person_id: UUID, *, alone: bool = False) -> HeldPerson | None:
        """Return status, recovery and password, which nobody changes before the caller's transaction ends; None for an unknown id.

        ``alone`` for whoever is going to change one of them.
        """
        return await people.hold(tx, person_id, alone=alone)

    async def _add_identifier(
        self, tx: Transaction, person_id: UUID, kind: IdentifierKind, value: str, matched_at: datetime | None, now: datetime
    ) -> None:
        indexes = self._index.index_all(kind.value, value)
        sealed = self._sealer.seal(value.encode(), _aad(kind, indexes[0]), self._random)
        if not await identifiers.add(tx, kind.value, indexes, self._index.current_id, person_id, sealed, matched_at, now):
            raise IdentifierTaken

    def _know(self, found: FoundPerson | None) -> KnownPerson | None:
        if found is None:
            return None
        phone = None
        if found.phone_index is not None and found.phone_sealed is not None:
            phone = Phone(self._sealer.open(found.phone_sealed, _aad(IdentifierKind.PHONE, found.phone_index)).decode())
        elif found.contact_index is not None and found.contact_sealed is not None:
            aad = row_aad("person_contacts", "sealed", found.standing.person_id.bytes + found.contact_index)
            phone = Phone(self._sealer.open(found.contact_sealed, aad).decode())
        return KnownPerson(found.standing, phone, found.phone_seen_at, found.must_change, found.password_changed_at, found.passkeys)

    def _index_phone(self, phone: Phone) -> Sequence[bytes]:
        return self._index.index_all(IdentifierKind.PHONE.value, phone.value)


def _aad(kind: IdentifierKind, index_value: bytes) -> bytes:
    return row_aad("person_identifiers", "sealed", kind.value.encode() + b"\0" + index_value)
