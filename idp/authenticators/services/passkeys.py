"""Decides what a browser is asked to sign, and whether the answer proves a passkey (WebAuthn Level 3 §7.1, §7.2)."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from idp.authenticators.rules.passkey import (
    CHALLENGE_LIFE,
    MAX_RESPONSE,
    MOST,
    Passkey,
    RelyingParty,
    is_copied,
    keep_transports,
)
from idp.authenticators.rules.refusals import PasskeyRefused, PasskeysFull
from idp.authenticators.stores import passkeys
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import decode_base64url, make_uuid7
from idp.platform.database import Database, Transaction
from idp.platform.transients import Transients
from keys import Mac, Sealer, Unsealable, row_aad

if TYPE_CHECKING:
    from idp.authenticators.services.ceremonies import Ceremonies

USED = "passkey_challenge"
"""The kind of mark that a challenge leaves when an answer to it was looked at."""

REGISTRATION = b"register"
USE = b"use"

_NONCE = 16
_INSTANT = 8
_MAC = 24
_HANDLE = 32


@dataclass(frozen=True)
class Used:
    """An answer that proves a passkey. ``sign_count`` and ``backed_up`` are what it said of itself."""

    passkey: Passkey
    sign_count: int
    backed_up: bool


class CopiedPasskey(PasskeyRefused):
    """The counter went backwards: somebody else counts too. The person is told as of any other answer that proves nothing."""

    def __init__(self, passkey: Passkey) -> None:
        super().__init__()
        self.passkey = passkey


class ForgedPasskey(PasskeyRefused):
    """The answer names a passkey that we know, and is not signed by it as we asked."""

    def __init__(self, passkey: Passkey) -> None:
        super().__init__()
        self.passkey = passkey


class Passkeys:
    """Passkeys of people. A challenge is made of nothing that is kept: it says itself for what and since when it is good.

    Each is answered once. ``party`` is None where browsers make no passkeys; then nothing is asked.
    """

    def __init__(
        self,
        database: Database,
        transients: Transients,
        mac: Mac,
        sealer: Sealer,
        clock: Clock,
        random: Random,
        party: RelyingParty | None,
        service_name: str,
    ) -> None:
        self._database = database
        self._transients = transients
        self._mac = mac
        self._sealer = sealer
        self._clock = clock
        self._random = random
        self._ceremonies: Ceremonies | None = None
        if party is not None:
            # Why here: the parsers of WebAuthn are 5 MiB of every process, and where browsers make no passkeys nobody needs them.
            from idp.authenticators.services import ceremonies

            self._ceremonies = ceremonies.Ceremonies(party, service_name)

    @property
    def is_offered(self) -> bool:
        """Tell whether passkeys can be made for this issuer."""
        return self._ceremonies is not None

    def ask(self, binding: str, allowed: Sequence[Passkey] = ()) -> str:
        """Return what the browser is asked, as JSON (WebAuthn §5.5), "" where there are no passkeys.

        ``binding`` names the flow that the answer is good for; without ``allowed`` the person chooses among all of theirs.
        """
        return "" if self._ceremonies is None else self._ceremonies.ask(self._make_challenge(USE, binding), allowed)

    async def ask_for_new(self, binding: str, person_id: UUID, masked_name: str) -> str:
        """Return what a browser is asked that shall make a passkey, as JSON (WebAuthn §5.4); "" where there are none.

        ``masked_name`` is what the person's device shows, and perhaps copies elsewhere: nothing more goes there.
        """
        if self._ceremonies is None:
            return ""
        known = [stored.passkey for stored in await passkeys.list_of_person(self._database, person_id)]
        # The same person has one handle, so that a device replaces and does not pile up.
        handle = known[0].user_handle if known else self._make_handle(person_id)
        return self._ceremonies.ask_for_new(self._make_challenge(REGISTRATION, binding), handle, masked_name, known)

    async def read_new(self, binding: str, person_id: UUID, response: str) -> Passkey:
        """Return the passkey that a browser made, not stored yet and without a name. Raises PasskeyRefused."""
        ceremonies = self._require_ceremonies()
        answer = _read_json(response)
        challenge = await self._take_challenge(ceremonies, REGISTRATION, binding, answer)
        try:
            made = ceremonies.read_new(answer, challenge)
        except Exception:  # whatever the parsers raise on what a browser sent: it proves nothing
            raise PasskeyRefused from None
        now = self._clock()
        known = [stored.passkey for stored in await passkeys.list_of_person(self._database, person_id)]
        return Passkey(
            id=make_uuid7(self._clock, self._random),
            person_id=person_id,
            credential_id=made.credential_id,
            user_handle=known[0].user_handle if known else self._make_handle(person_id),
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=keep_transports(answer["response"].get("transports")),
            backup_eligible=made.backup_eligible,
            backed_up=made.backed_up,
            created_at=now,
        )

    async def read_use(self, binding: str, response: str) -> Used:
        """Return whose passkey signed what was asked. Raises PasskeyRefused, ForgedPasskey and CopiedPasskey among it."""
        ceremonies = self._require_ceremonies()
        answer = _read_json(response)
        challenge = await self._take_challenge(ceremonies, USE, binding, answer)
        try:
            passkey = await passkeys.find(self._database, decode_base64url(answer["id"]))
            handle = answer["response"].get("userHandle")
            handle = None if handle is None else decode_base64url(handle)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise PasskeyRefused from None
        if passkey is None:
            raise PasskeyRefused
        if handle is not None and not hmac.compare_digest(handle, passkey.user_handle):
            raise ForgedPasskey(passkey)
        try:
            sign_count, backed_up = ceremonies.read_use(answer, challenge, passkey.public_key)
        except Exception:  # as above
            raise ForgedPasskey(passkey) from None
        if is_copied(passkey.sign_count, sign_count):
            raise CopiedPasskey(passkey)
        return Used(passkey, sign_count, backed_up)

    async def note_use(self, used: Used) -> None:
        """Count a use. Raises CopiedPasskey when another answer with the same counter was quicker, or the passkey is gone."""
        async with self._database.transaction() as tx:
            if not await passkeys.note_use(tx, used.passkey, used.sign_count, used.backed_up, self._clock()):
                raise CopiedPasskey(used.passkey)

    async def list(self, person_id: UUID) -> list[Passkey]:
        """Return a person's passkeys with their names, the oldest first."""
        return [replace(s.passkey, name=self._open_name(s)) for s in await passkeys.list_of_person(self._database, person_id)]

    async def add(self, tx: Transaction, passkey: Passkey) -> int:
        """Add a passkey in the caller's transaction, which holds the person alone; return how many there are now.

        Raises PasskeysFull; PasskeyRefused for one that is registered already.
        """
        if await passkeys.count(tx, passkey.person_id) >= MOST:
            raise PasskeysFull
        sealed_name = self._sealer.seal(passkey.name.encode(), _aad(passkey.id), self._random)
        if not await passkeys.add(tx, passkey, sealed_name):
            raise PasskeyRefused
        return await passkeys.count(tx, passkey.person_id)

    async def remove(self, tx: Transaction, person_id: UUID, passkey_id: UUID) -> int | None:
        """Remove a passkey in the caller's transaction, which holds the person alone; return how many are left, None when it was gone."""
        return await passkeys.count(tx, person_id) if await passkeys.remove(tx, person_id, passkey_id) else None

    async def keep(self, tx: Transaction, person_id: UUID, passkey_id: UUID) -> bool:
        """Keep a passkey from being removed until the caller's transaction ends; False when it is gone."""
        return await passkeys.keep(tx, person_id, passkey_id)

    def _require_ceremonies(self) -> "Ceremonies":
        if self._ceremonies is None:
            raise PasskeyRefused
        return self._ceremonies

    def _make_challenge(self, purpose: bytes, binding: str) -> bytes:
        said = self._random(_NONCE) + int(self._clock().timestamp() * 1000).to_bytes(_INSTANT, "big")
        return said + self._mark(said, purpose, binding)

    def _mark(self, said: bytes, purpose: bytes, binding: str) -> bytes:
        return self._mac.compute(b"passkey\0" + purpose + b"\0" + said + binding.encode())[:_MAC]

    async def _take_challenge(self, ceremonies: "Ceremonies", purpose: bytes, binding: str, answer: dict[str, Any]) -> bytes:
        """Return the challenge that was signed, when we made it for this and nobody answered it before. Raises PasskeyRefused."""
        try:
            response = answer["response"]
            assert isinstance(response, dict)  # noqa: S101 - the except below says what follows
            challenge, is_framed = ceremonies.read_client_data(decode_base64url(response["clientDataJSON"]))
        except Exception:  # as above
            raise PasskeyRefused from None
        said, mark = challenge[: _NONCE + _INSTANT], challenge[_NONCE + _INSTANT :]
        # A page of another origin that shows ours in a frame is nobody's sign-in (WebAuthn §7.2 step 14).
        if is_framed or not hmac.compare_digest(mark, self._mark(said, purpose, binding)):
            raise PasskeyRefused
        made_at = datetime.fromtimestamp(int.from_bytes(said[_NONCE:], "big") / 1000, UTC)
        age = self._clock() - made_at
        if not timedelta(0) <= age < CHALLENGE_LIFE or made_at < await self._transients.born_at():
            raise PasskeyRefused
        if not await self._transients.add_once(USED, challenge.hex(), CHALLENGE_LIFE.total_seconds()):
            raise PasskeyRefused
        return challenge

    def _make_handle(self, person_id: UUID) -> bytes:
        """Return what a device shall know the person by: nothing that anybody else can make or read."""
        return self._mac.compute(b"passkey\0handle\0" + person_id.bytes)[:_HANDLE]

    def _open_name(self, stored: passkeys.StoredPasskey) -> str:
        try:
            return self._sealer.open(stored.sealed_name, _aad(stored.passkey.id)).decode()
        except Unsealable:
            return ""  # a name that cannot be read must not hide the passkey itself


def _aad(passkey_id: UUID) -> bytes:
    return row_aad("passkeys", "sealed_name", passkey_id.bytes)


def _read_json(response: str) -> dict[str, Any]:
    try:
        answer = json.loads(response) if len(response) <= MAX_RESPONSE else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise PasskeyRefused
    return answer
