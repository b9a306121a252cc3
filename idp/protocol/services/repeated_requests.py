"""Decides what a repeated request gets: the answer of the first one, word for word, for a day."""

from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec

from idp.platform.transients import Transients

ANSWERS, BEGUN = "admin_answers", "admin_begun"
LIFE = 86_400.0
WORK = 30.0
"""Seconds that a request may take before another one with its key may begin."""


class KeyReused(Exception):
    """The key was given to another request before."""


class KeyInUse(Exception):
    """The first request with the key is not finished."""


class Answer(msgspec.Struct, frozen=True):
    """An answer as it was sent: status, body and the entity tag of its client."""

    status: int
    body: bytes
    tag: str = ""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    digest: bytes
    answer: Answer


class RepeatedRequests:
    """Keeps answers by (actor, key); the store seals them, for some hold a secret."""

    def __init__(self, transients: Transients) -> None:
        self._transients = transients

    async def run(self, actor: str, key: str, request: bytes, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what ``work`` answers, or what it answered before. Raises KeyReused, KeyInUse; what work raises is not kept."""
        name, digest = f"{actor}\0{key}", sha256(request).digest()
        known = await self._find(name, digest)
        if known is not None:
            return known
        if not await self._transients.add_once(BEGUN, name, WORK):
            raise KeyInUse()
        known = await self._find(name, digest)  # the first may have finished between the two looks
        if known is not None:
            return known
        answer = await work()
        await self._transients.put(ANSWERS, name, msgspec.msgpack.encode(_Kept(digest, answer)), LIFE)
        return answer

    async def _find(self, name: str, digest: bytes) -> Answer | None:
        found = await self._transients.get(ANSWERS, name)
        if found is None:
            return None
        kept = msgspec.msgpack.decode(found.value, type=_Kept)
        if kept.digest != digest:
            raise KeyReused()
        return kept.answer
