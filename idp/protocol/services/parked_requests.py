"""Decides how a request that another site posted waits for our own GET of it, which has our cookies and tells nothing in its address."""

from collections.abc import Mapping
from urllib.parse import urlencode

from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id
from idp.platform.transients import Transients
from idp.protocol.rules.client import find_home
from idp.protocol.services.clients import ClientDirectory
from idp.sign_in.rules.refusals import InteractionExpired
from idp.sign_in.services.network_room import require_room

PARKED = "parked"
"""The parameter that names a request that waits; whoever sends it gets what was posted, and nothing else of the address counts."""

KIND = "parked_request"
LIFE = 300.0
"""Seconds; within them the address may be asked for again, by a reload or by Back."""

PARKINGS = "parked_by_network"
USUAL_SIZE = 8_192
"""Bytes; a longer request counts as several."""

SHOWN = ("client_id", "ui_locales")
"""What the address tells as well, no secret: whose pages follow a request that is gone, and in which language."""
MAX_SHOWN = 200
MAX_NAME = 64


class ParkedRequests:
    """Keeps what was posted to ``path`` as it came: at most what a transient holds, 64 KiB."""

    def __init__(self, transients: Transients, directory: ClientDirectory, clock: Clock, random: Random, per_network: int = 300) -> None:
        self._transients = transients
        self._directory = directory
        self._clock = clock
        self._random = random
        self._per_network = per_network

    async def park(self, path: str, raw: bytes, parameters: Mapping[str, str], address: str) -> str:
        """Keep a posted body whose ``parameters`` can be read; return the address that stands for it. Raises TooManyFlows.

        ``address``: who posts. One network has no more kept in a minute than it may begin flows.
        """
        await require_room(self._transients, self._clock, PARKINGS, address, self._per_network, 1 + len(raw) // USUAL_SIZE)
        name = make_outward_id(self._random)
        await self._transients.put(KIND, f"{path} {name}", raw, LIFE)
        shown = {key: parameters[key] for key in SHOWN if 0 < len(parameters.get(key, "")) <= MAX_SHOWN}
        return f"{path}?{urlencode({**shown, PARKED: name})}"

    async def find(self, path: str, name: str) -> bytes | None:
        """Return what was posted to this path, None for what is gone or never was."""
        kept = await self._transients.get(KIND, f"{path} {name}") if len(name) <= MAX_NAME else None
        return kept.value if kept is not None else None

    async def explain_end(self, client_id: str | None) -> InteractionExpired:
        """Return the refusal of a request that is gone: the person begins again, at the department that the address names."""
        client = await self._directory.find(client_id)
        if client is None:
            return InteractionExpired()
        return InteractionExpired(department=client.name, department_en=client.name_en, home_url=find_home(client))
