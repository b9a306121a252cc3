"""Decides what a passkey opens in a flow: whose it is, and that it is the person's whom the flow is about."""

from dataclasses import replace

from idp.authenticators.services.passkeys import CopiedPasskey, ForgedPasskey, Passkeys
from idp.kernel.audit_events import Detail, Kind
from idp.people.services.directory import KnownPerson, People
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.refusals import PasskeyOfAnother
from idp.sign_in.rules.steps import count_fresh
from idp.sign_in.services.flow_states import FlowState
from idp.sign_in.services.interactions import Held
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import AskPasskey, Visit

WAY = "passkey"
"""What the audit calls this way."""


class PasskeySteps:
    """Asks for passkeys and takes what browsers answer."""

    def __init__(self, passkeys: Passkeys, people: People, records: SignInRecords) -> None:
        self._passkeys = passkeys
        self._people = people
        self._records = records

    def ask(self, interaction: Interaction) -> str:
        """Return what the button on a page with other ways asks the browser, as JSON; "" where there are no passkeys."""
        return self._passkeys.ask(interaction.id)

    async def look(self, held: Held, state: FlowState) -> AskPasskey:
        """Return the page on which nothing else leads on."""
        known = _find_known(held.interaction, state)
        allowed = await self._passkeys.list(known.standing.person_id) if known is not None else []
        options = self._passkeys.ask(held.interaction.id, allowed)
        return AskPasskey(held, options, known is not None, held.interaction.essential)

    async def prove(self, held: Held, state: FlowState, response: str, visit: Visit) -> tuple[Held, KnownPerson]:
        """Return whose passkey signed, and the flow that remembers which it was.

        Raises PasskeyRefused; PasskeyOfAnother when the flow is about somebody else.
        """
        interaction = held.interaction
        try:
            used = await self._passkeys.read_use(interaction.id, response)
            passkey = used.passkey
            known = _find_known(interaction, state) if interaction.resistant else None
            if known is not None and known.standing.person_id != passkey.person_id:
                raise PasskeyOfAnother
            await self._passkeys.note_use(used)
        except (ForgedPasskey, CopiedPasskey) as refusal:
            reason = "copied" if isinstance(refusal, CopiedPasskey) else "wrong"
            details: dict[str, Detail] = {"way": WAY, "reason": reason, "passkey": str(refusal.passkey.id)}
            await self._records.refuse(Kind.SIGN_IN_FAILED, refusal.passkey.person_id, interaction, visit, details)
            raise
        owner = await self._people.find_by_id(passkey.person_id)
        assert owner is not None  # noqa: S101 - a passkey hangs on its person
        return replace(held, interaction=replace(interaction, passkey_of=passkey.id)), owner


def _find_known(interaction: Interaction, state: FlowState) -> KnownPerson | None:
    """Return whom the flow is about; None where whoever is signed in has to begin anew, and so may be somebody else."""
    counts = state.session is not None and not interaction.isolated and count_fresh(state.session.proved, interaction.fresh_after)
    return state.known if state.in_flow or counts else None
