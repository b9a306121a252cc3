"""Decides whether a password is right, at the same cost for people who do not exist, and renews verifiers that are due."""

from datetime import datetime
from uuid import UUID

from idp.authenticators.rules.password_policy import LONGEST, SHORTEST, UNKNOWN, PasswordSlip, Personal, check_password
from idp.authenticators.rules.proof_of_work import Proof
from idp.authenticators.rules.refusals import PasswordCommon, PasswordLength, PasswordPersonal, ProofWanted
from idp.authenticators.rules.throttling import name_origin
from idp.authenticators.services.common_passwords import CommonPasswords, load_common_passwords
from idp.authenticators.services.proofs_of_work import ProofsOfWork
from idp.authenticators.stores import passwords
from idp.platform.database import Database, Transaction
from idp.platform.password_hashing import Overloaded, PasswordHashing

NOBODY = UUID(int=0)
"""Whose verifier is looked for when the identifier is unknown: both cases cost one read and one hash."""


class Passwords:
    """Passwords of people."""

    def __init__(
        self, database: Database, hashing: PasswordHashing, common: CommonPasswords | None = None, proofs: ProofsOfWork | None = None
    ) -> None:
        self._database = database
        self._hashing = hashing
        self._proofs = proofs
        self._common = load_common_passwords() if common is None else common

    def find_slip(self, password: str, personal: Personal) -> PasswordSlip | None:
        """Return why a password may not be chosen, None when it may: what the rules say, else whether it is a common one."""
        slip = check_password(password, personal)
        return PasswordSlip.COMMON if slip is None and self._common.holds(password) else slip

    async def choose(self, password: str, personal: Personal) -> str:
        """Return the verifier of a password that a person chose: the one way in for what is typed on a page.

        Raises PasswordLength, PasswordPersonal, PasswordCommon; Overloaded.
        """
        match self.find_slip(password, personal):
            case PasswordSlip.LENGTH:
                raise PasswordLength(shortest=SHORTEST, longest=LONGEST)
            case PasswordSlip.PERSONAL:
                raise PasswordPersonal
            case PasswordSlip.COMMON:
                raise PasswordCommon
            case None:
                return await self._hashing.hash(password)

    async def verify(
        self,
        person_id: UUID | None,
        password: str,
        *,
        known_device: bool = False,
        address: str = "",
        flow: str = "",
        proof: Proof | None = None,
    ) -> bool:
        """Tell whether ``password`` is this person's; ``None`` is an unknown identifier. Raises Overloaded, ProofWanted.

        A device that this person is known by has a part of the queue that strangers at ``address`` cannot fill. Of strangers in a sign-in
        (``flow``) work is wanted while many wait; ``proof`` is what the browser sent of it.
        """
        worked = True
        if not known_device and flow and self._proofs is not None and self._proofs.wanted and self._hashing.wants_work:
            worked = proof is not None and await self._proofs.spend(flow, proof)
            if not worked:
                # Said by the load alone, before anything of a person is read.
                self._hashing.note_refusal("work")
                raise ProofWanted(self._proofs.make(flow))
        verifier = await passwords.find_verifier(self._database, person_id or NOBODY)
        verification = await self._hashing.verify(verifier, password, known=known_device, network=name_origin(address))
        if verification.fits and verification.due and person_id is not None and verifier is not None:
            await self._upgrade(person_id, verifier, password)
        return verification.fits

    async def hash(self, password: str) -> str:
        """Return the verifier of a password that nobody typed on a page. Raises Overloaded; ValueError when it is too long."""
        return await self._hashing.hash(password)

    async def set(self, tx: Transaction, person_id: UUID, verifier: str, now: datetime) -> None:
        """Store the verifier of a new password in the caller's transaction."""
        await passwords.set_verifier(tx, person_id, verifier, now)

    def is_known_to_all(self, password: str) -> bool:
        """Tell whether a password that was right is one that anybody tries, or too short to count as one (S06)."""
        return self.find_slip(password, UNKNOWN) is not None

    async def demand_change(self, tx: Transaction, person_id: UUID, now: datetime) -> None:
        """Note in the caller's transaction that the password just proved has to be replaced."""
        await passwords.demand_change(tx, person_id, now)

    async def _upgrade(self, person_id: UUID, old: str, password: str) -> None:
        try:
            new = await self._hashing.hash(password)
        except Overloaded:
            return  # the next sign-in renews it
        async with self._database.transaction() as tx:
            await passwords.upgrade_verifier(tx, person_id, old, new)
