"""Decides how an authorization response reaches the client: by redirect or by a posted form, signed where it asked for that (JARM)."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from idp.kernel.clock import Random
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import make_outward_id
from idp.platform.transients import Transients
from idp.protocol.rules.client import Client
from idp.protocol.rules.response_mode import ResponseMode
from idp.protocol.rules.response_url import build_response_url
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.protection import Protection
from idp.protocol.services.request_origins import UnusableRequest

RESPOND = "/respond"
"""Where the button of an error page leads when the client's answer has to be posted."""

HELD = "held_response"
HELD_LIFE = 600.0
Fields = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """The browser goes to this address, at the client, with a code or with an error; it posts the ``fields`` if there are any."""

    url: str
    client: Client
    fields: Fields = ()


class Responding:
    """Writes authorization responses in the mode that was asked for."""

    def __init__(self, protection: Protection, transients: Transients, directory: ClientDirectory, issuer: str, random: Random) -> None:
        self._protection = protection
        self._transients = transients
        self._directory = directory
        self._issuer = issuer
        self._random = random

    async def prepare(self, client: Client, mode: ResponseMode) -> None:
        """Raise UnusableRequest when an answer in this mode could not be encrypted: to be asked before a code is made."""
        if mode.is_signed:
            try:
                await self._protection.find_response_recipient(client)
            except ProtocolError as error:
                raise _refuse(client) from error

    async def answer(self, client: Client, redirect_uri: str, mode: ResponseMode, parameters: Mapping[str, str | None]) -> Answer:
        """Return the answer that carries ``parameters``, and who answers (RFC 9207)."""
        if mode is ResponseMode.QUERY:
            return Answer(build_response_url(redirect_uri, {**parameters, "iss": self._issuer}), client)
        if mode.is_signed:
            try:
                whole: Mapping[str, str | None] = {"response": await self._protection.sign_response(client, parameters)}
            except ProtocolError as error:
                # What must be signed or encrypted is not sent in clear, and there is no other way to tell the client.
                raise _refuse(client) from error
        else:
            whole = {**parameters, "iss": self._issuer}
        if mode.is_posted:
            return Answer(redirect_uri, client, tuple((name, value) for name, value in whole.items() if value is not None))
        return Answer(build_response_url(redirect_uri, whole), client)

    async def hold(self, answer: Answer) -> str:
        """Return an address that gives this answer, for a page that shows something first."""
        if not answer.fields:
            return answer.url
        name = make_outward_id(self._random)
        held = json.dumps([answer.url, answer.client.client_id, answer.fields], ensure_ascii=False)
        await self._transients.put(HELD, name, held.encode(), HELD_LIFE)
        return f"{RESPOND}?r={name}"

    async def find_held(self, name: str) -> Answer | None:
        """Return an answer that was held, None for one that is gone; it is an error, so it may be given twice."""
        held = await self._transients.get(HELD, name) if 0 < len(name) <= 64 else None
        if held is None:
            return None
        url, client_id, fields = json.loads(held.value)
        client = await self._directory.find(client_id)
        return Answer(url, client, tuple((str(name), str(value)) for name, value in fields)) if client is not None else None


def _refuse(client: Client) -> UnusableRequest:
    return UnusableRequest(department=client.name, department_en=client.name_en)
