"""Decides which authority answers which question, and that a question nobody answers is UNAVAILABLE and not an error."""

from collections.abc import Iterable, Mapping

import httpx2

from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.sources.breaker import BreakerLimits, BreakerState
from idp.sources.guard import IN_FLIGHT, BreakerChange, GuardedSource, NamedSource, Observation, Observer
from idp.sources.http import Authority, HttpSource, make_client
from idp.sources.source import Check, Outcome


class Sources:
    """Every source of an installation, each behind its guard. Raises ValueError when two serve one kind.

    ``pages`` are addresses at an authority to which a person's browser is sent (``real_person``: before the camera).
    """

    def __init__(
        self,
        sources: Iterable[NamedSource] = (),
        *,
        clock: Clock,
        limits: BreakerLimits | None = None,
        in_flight: int = IN_FLIGHT,
        pages: Mapping[CheckKind, str] | None = None,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._guarded: dict[CheckKind, GuardedSource] = {}
        self._observers: list[Observer] = []
        self._pages = dict(pages or {})
        self._client = client
        for source in sources:
            guarded = GuardedSource(source, clock, self._tell, limits, in_flight)
            for kind in source.kinds:
                if kind in self._guarded:
                    raise ValueError(f"{kind.value} is served by {self._guarded[kind].name} and by {source.name}")
                self._guarded[kind] = guarded

    @property
    def kinds(self) -> frozenset[CheckKind]:
        """What can be asked here."""
        return frozenset(self._guarded)

    def add_observer(self, observer: Observer) -> None:
        """Have every call and every change of a breaker told to ``observer``, which must not raise and is told nothing of people."""
        self._observers.append(observer)

    def find_name(self, kind: CheckKind) -> str:
        """Return the name of the source that answers a kind; empty when nobody does."""
        return self._guarded[kind].name if kind in self._guarded else ""

    def find_page(self, kind: CheckKind) -> str | None:
        """Return the address at the authority to which a person goes first, or None when there is none."""
        return self._pages.get(kind)

    def find_state(self, kind: CheckKind) -> BreakerState | None:
        """Return the state of the breaker before a kind's source, or None when nobody answers it."""
        return self._guarded[kind].state if kind in self._guarded else None

    async def check(self, check: Check, timeout: float) -> Outcome:
        """Ask the source of the question's kind, within ``timeout`` seconds. Only cancelling raises."""
        guarded = self._guarded.get(check.kind)
        if guarded is None:
            self._tell(Observation("", check.kind, CheckResult.UNAVAILABLE, "nobody", 0.0))
            return Outcome(CheckResult.UNAVAILABLE, reason="nobody")
        return await guarded.check(check, timeout)

    async def probe(self, kind: CheckKind) -> bool:
        """Tell whether the source of a kind answers at the moment, without asking about anybody."""
        return kind in self._guarded and await self._guarded[kind].probe(kind)

    async def close(self) -> None:
        """Close the connections to the authorities."""
        if self._client is not None:
            await self._client.aclose()

    def _tell(self, seen: Observation | BreakerChange) -> None:
        for observer in self._observers:
            observer(seen)


def open_sources(
    authorities: Iterable[Authority],
    *,
    clock: Clock,
    random: Random,
    limits: BreakerLimits | None = None,
    in_flight: int = IN_FLIGHT,
    pages: Mapping[CheckKind, str] | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> Sources:
    """Return the sources of these authorities over one shared HTTP client; ``transport`` replaces the network in tests."""
    known = list(authorities)
    if not known:
        return Sources(clock=clock)  # a client costs a store of certificates
    client = make_client(transport)
    sources = [HttpSource(authority, client, clock, random) for authority in known]
    return Sources(sources, clock=clock, limits=limits, in_flight=in_flight, pages=pages, client=client)
