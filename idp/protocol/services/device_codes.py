"""Decides how often the codes of terminals may be tried from one network: 20^8 of them, and few tries (RFC 8628 §5.1)."""

from idp.authenticators.rules.throttling import name_origin
from idp.platform.transients import Transients
from idp.protocol.rules.decoupled_refusals import DeviceTriesLimited
from idp.protocol.rules.decoupled_request import DecoupledRequest, Status
from idp.protocol.services.decoupled_requests import DecoupledRequests

TRIES = "device_tries"
WINDOW = 600.0
MINUTES = 10


class DeviceCodes:
    """Finds the terminal behind a typed code."""

    def __init__(self, transients: Transients, requests: DecoupledRequests, per_network: int) -> None:
        self._transients = transients
        self._requests = requests
        self._per_network = per_network

    async def find(self, code: str, address: str) -> DecoupledRequest | None:
        """Return the request that waits with this code, None when none does. Raises DeviceTriesLimited; a hit costs no try."""
        counted = await self._transients.count(TRIES, name_origin(address), WINDOW)
        if counted.number > self._per_network:
            raise DeviceTriesLimited(minutes=MINUTES)
        held = await self._requests.find_by_user_code(code)
        if held is None or held.request.status is not Status.PENDING:
            return None
        await self._transients.uncount(TRIES, name_origin(address), counted)
        return held.request
