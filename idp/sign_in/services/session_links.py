"""Decides what is remembered of a browser's sign-in at one client: what was proved in that client's own flows, and that the person went on.

It may be lost: then the person signs in there again, or is asked once more whether to go on.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from idp.kernel.levels import Proved
from idp.platform.transients import Transients
from idp.sign_in.rules.session import read_factors, write_factors
from idp.sign_in.rules.steps import merge_proved

KIND = "session_link"
FORMAT = 1


@dataclass(frozen=True)
class SessionLink:
    """``proved`` are factors of the client's own flows; ``confirmed``: the person said there whose account it shall be."""

    proved: tuple[Proved, ...] = ()
    confirmed: bool = False


NO_LINK = SessionLink()


class SessionLinks:
    """Links by lineage and client; they live as long as a session may."""

    def __init__(self, transients: Transients, life: timedelta) -> None:
        self._transients = transients
        self._life = life.total_seconds()

    async def read(self, lineage: bytes, client_id: str) -> SessionLink:
        """Return what is remembered."""
        stored = await self._transients.get(KIND, _name(lineage, client_id))
        raw = json.loads(stored.value) if stored is not None else {}
        return SessionLink(read_factors(raw["proved"]), raw["confirmed"]) if raw.get("v") == FORMAT else NO_LINK

    async def note(self, lineage: bytes, client_id: str, proved: Iterable[Proved] = ()) -> None:
        """Note that the person is meant to be signed in at this client, with these factors of the client's own flow."""
        link = await self.read(lineage, client_id)
        link = replace(link, proved=merge_proved(link.proved, proved), confirmed=True)
        value = json.dumps({"v": FORMAT, "proved": write_factors(link.proved), "confirmed": link.confirmed}, separators=(",", ":"))
        await self._transients.put(KIND, _name(lineage, client_id), value.encode(), self._life)


def _name(lineage: bytes, client_id: str) -> str:
    return f"{lineage.hex()} {client_id}"
