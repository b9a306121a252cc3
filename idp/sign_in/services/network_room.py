"""Decides how much one network may have us keep in a minute, so that nobody fills the store by asking."""

from idp.authenticators.rules.throttling import name_origin
from idp.kernel.clock import Clock
from idp.platform.transients import Transients
from idp.sign_in.rules.refusals import TooManyFlows

MINUTE = 60.0


async def require_room(transients: Transients, clock: Clock, kind: str, address: str, limit: int, by: int = 1) -> None:
    """Count ``by`` for the network of ``address``; raise TooManyFlows when that is more than ``limit`` within the minute."""
    counted = await transients.count(kind, name_origin(address), MINUTE, by)
    if counted.number > limit:
        seconds = -int((clock() - counted.expires_at).total_seconds() // 1)
        raise TooManyFlows(seconds=min(max(1, seconds), int(MINUTE)))
