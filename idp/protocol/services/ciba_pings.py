"""Decides how a client is told that its request was answered: the ping says which, never what (CIBA §10.2)."""

import msgspec

from idp.kernel.ids import MessageId
from idp.platform.fetching import Fetcher, FetchFailed
from idp.platform.outbox import DeliveryRefused, Payload
from idp.protocol.services.clients import ClientDirectory


class CibaPings:
    """Delivers pings from the outbox."""

    def __init__(self, directory: ClientDirectory, fetcher: Fetcher) -> None:
        self._directory = directory
        self._fetcher = fetcher

    async def deliver(self, payload: Payload, _: MessageId) -> str:
        """Ping the address that the client has now; return the status.

        Raises DeliveryRefused when there is none or it says no, FetchFailed when another try may help.
        """
        client = await self._directory.find(payload["client_id"])
        address = client.ciba.backchannel_client_notification_endpoint if client is not None else None
        if address is None:
            raise DeliveryRefused("no_address")
        headers = {"authorization": f"Bearer {payload['token']}", "content-type": "application/json"}
        body = msgspec.json.encode({"auth_req_id": payload["auth_req_id"]})
        try:
            status = (await self._fetcher.send("POST", address, headers=headers, content=body)).status
        except FetchFailed as failed:
            # A redirect is an answer like any other, and it is not followed (§10.2).
            if failed.by_rule or failed.reason == "redirect":
                raise DeliveryRefused(failed.reason) from None
            raise
        if status >= 500:
            raise FetchFailed(f"status_{status}")
        if status >= 400:
            raise DeliveryRefused(f"status_{status}")
        return str(status)
