"""Decides what a use case knows of the request that asks for it: where it comes from and how it is named in the audit."""

from dataclasses import dataclass

from idp.kernel.audit_events import Place


@dataclass(frozen=True, repr=False)
class Requester:
    """One request: network address, the browser's own description, the hash of its device cookie, its id, and for which client."""

    address: str = ""
    device: str = ""
    device_hash: bytes | None = None
    request_id: str = ""
    client_id: str | None = None

    @property
    def place(self) -> Place:
        """Return where it happens, for the audit."""
        return Place(self.address, self.device)
