"""Decides how requests that wait for another device are kept: sealed, short, found by their secret or by the code a person types."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id
from idp.platform.transients import Transients
from idp.protocol.rules.decoupled_request import (
    USER_CODE_LENGTH,
    Answer,
    Approval,
    DecoupledRequest,
    Kind,
    Poll,
    decide_poll,
    make_user_code,
    read_decoupled_request,
    write_decoupled_request,
)

REQUESTS = "decoupled_request"
AFTERWARDS = 60
"""Seconds that a request is kept beyond its end, to say what became of it."""

USER_CODES = "device_user_code"
MAX_ID = 64
MAX_TRIES = 5


@dataclass(frozen=True)
class HeldRequest:
    """A request as it was read, and the version to replace."""

    request: DecoupledRequest
    version: int


class DecoupledRequests:
    """Requests on their way; they may be lost, then the other device asks again."""

    def __init__(self, transients: Transients, clock: Clock, random: Random) -> None:
        self._transients = transients
        self._clock = clock
        self._random = random

    async def begin(
        self,
        kind: Kind,
        client_id: str,
        scope: tuple[str, ...],
        life: int,
        interval: int,
        *,
        message: str = "",
        wanted: str = "",
        notify: str = "",
        terms: str | None = None,
    ) -> DecoupledRequest:
        """Begin a request of ``life`` seconds; a device's gets a code that nobody else has at the moment."""
        now = self._clock()
        user_code = await self._reserve_user_code(life) if kind is Kind.DEVICE else ""
        request = DecoupledRequest(
            id=make_outward_id(self._random, 32),
            kind=kind,
            client_id=client_id,
            scope=scope,
            created_at=now,
            expires_at=now + timedelta(seconds=life),
            interval=interval,
            message=message,
            user_code=user_code,
            wanted=wanted,
            notify=notify,
            terms=terms,
        )
        # A minute longer than it lives, so that the end can be told from never.
        await self._transients.put(REQUESTS, request.id, write_decoupled_request(request), life + AFTERWARDS)
        if user_code:
            await self._transients.put(USER_CODES, user_code, request.id.encode(), life)
        return request

    async def address(self, request_id: str, person_id: UUID) -> bool:
        """Say whom a request is for, and change nothing else: what was noted of polls stays, so they tell nobody that it was done.

        False when it is over.
        """
        for _ in range(MAX_TRIES):
            held = await self.find(request_id)
            if held is None:
                return False
            addressed = write_decoupled_request(replace(held.request, person_id=person_id))
            if await self._transients.replace(REQUESTS, request_id, addressed, held.version):
                return True
        return False

    async def find_by_user_code(self, code: str) -> HeldRequest | None:
        """Return the device's request of a typed code, None when there is none (any more)."""
        stored = await self._transients.get(USER_CODES, code)
        return None if stored is None else await self.find(stored.value.decode())

    async def find(self, request_id: str) -> HeldRequest | None:
        """Return a request that still waits or was just answered, None when it is over or never was."""
        if not 0 < len(request_id) <= MAX_ID:
            return None
        stored = await self._transients.get(REQUESTS, request_id)
        if stored is None:
            return None
        return HeldRequest(read_decoupled_request(request_id, stored.value), stored.version)

    async def answer(self, held: HeldRequest, answer: Answer, approval: Approval | None = None) -> bool:
        """Record what the person decided; False when it had been decided, or the other device gave up meanwhile."""
        for _ in range(MAX_TRIES):
            after = held.request.after(answer, approval)
            if after is None or self._clock() >= held.request.expires_at:
                return False
            if await self._transients.replace(REQUESTS, after.id, write_decoupled_request(after), held.version):
                return True
            # A poll came between: it changed nothing that the answer rests on.
            again = await self.find(held.request.id)
            if again is None:
                return False
            held = again
        return False

    async def poll(self, request_id: str, client_id: str, kind: Kind) -> Poll | None:
        """Return what to answer; None when this client has no such request. Whoever answers an approved one takes it first."""
        for _ in range(MAX_TRIES):
            held = await self.find(request_id)
            if held is None or held.request.client_id != client_id or held.request.kind is not kind:
                return None
            poll = decide_poll(held.request, self._clock())
            if not poll.error or await self._transients.replace(REQUESTS, request_id, write_decoupled_request(poll.request), held.version):
                return poll
        return Poll("slow_down", held.request) if held is not None else None

    async def take(self, request: DecoupledRequest) -> bool:
        """Hand out an approved request; False when that was done."""
        return await self._transients.take(REQUESTS, request.id) is not None

    async def put_back(self, request: DecoupledRequest) -> None:
        """Undo ``take``: nothing could be handed out."""
        life = (request.expires_at - self._clock()).total_seconds() + AFTERWARDS
        await self._transients.put(REQUESTS, request.id, write_decoupled_request(request), life)

    async def _reserve_user_code(self, life: int) -> str:
        for _ in range(MAX_TRIES):
            code = make_user_code(self._random(USER_CODE_LENGTH * 8))
            if await self._transients.add_once(f"{USER_CODES}_taken", code, life):
                return code
        raise RuntimeError("no free user code: the generator repeats itself")


def is_over(request: DecoupledRequest, now: datetime) -> bool:
    """Tell whether nobody can answer it any more."""
    return now >= request.expires_at
