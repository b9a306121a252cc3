"""Decides how a recovery is kept between two requests: with the flow it belongs to, moved on by one request at a time, used once."""

from dataclasses import dataclass
from datetime import timedelta

from idp.kernel.clock import Clock
from idp.people.rules.recovery import Recovery, RecoveryStep, read_recovery, write_recovery
from idp.people.rules.refusals import RecoveryGone
from idp.platform.transients import Transients
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.refusals import StepRepeated

KIND = "recovery"
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class HeldRecovery:
    """A recovery as it was read. ``token`` is what its forms carry: it changes with every move."""

    recovery: Recovery
    version: int

    @property
    def token(self) -> str:
        """Return the text of the hidden field ``step``."""
        return f"{self.version:x}"

    @property
    def step(self) -> RecoveryStep:
        """Return what is asked next."""
        return self.recovery.step


class Recoveries:
    """Recoveries on their way; a flow belongs to one browser, and so does its recovery."""

    def __init__(self, transients: Transients, clock: Clock) -> None:
        self._transients = transients
        self._clock = clock

    async def find(self, interaction: Interaction) -> HeldRecovery | None:
        """Return the recovery of a flow, None when none was begun or it is over."""
        stored = await self._transients.get(KIND, interaction.id)
        recovery = read_recovery(stored.value) if stored is not None else None
        if stored is None or recovery is None or self._clock() - recovery.started_at >= LIFE:
            return None
        return HeldRecovery(recovery, stored.version)

    async def require(self, interaction: Interaction, step: RecoveryStep, token: str) -> HeldRecovery:
        """Return the recovery of a flow that waits for ``step``. Raises RecoveryGone, StepRepeated for a form of another step."""
        held = await self.find(interaction)
        if held is None:
            raise RecoveryGone(**interaction.way_back)
        if held.step is not step or held.token != token:
            raise StepRepeated
        return held

    async def begin(self, interaction: Interaction, recovery: Recovery) -> None:
        """Keep a new recovery, over whatever the flow had before."""
        await self._transients.put(KIND, interaction.id, write_recovery(recovery), LIFE.total_seconds())

    async def move(self, interaction: Interaction, held: HeldRecovery, recovery: Recovery) -> HeldRecovery:
        """Move a recovery on; of any number of simultaneous requests one does. Raises StepRepeated for the others."""
        if not await self._transients.replace(KIND, interaction.id, write_recovery(recovery), held.version):
            raise StepRepeated
        return HeldRecovery(recovery, held.version + 1)

    async def end(self, interaction: Interaction) -> bool:
        """Forget the recovery of a flow; of any number of simultaneous requests one is told True."""
        return await self._transients.take(KIND, interaction.id) is not None
