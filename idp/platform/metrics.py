"""Decides what is measured: a closed list of counters and histograms, whose labels never name a person and stay few."""

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of the exposition (Prometheus text format)."""

REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FLUSH_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)
FLUSH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)

KEPT_SECONDS = 1.0
"""Answered requests and flushes are kept as plain numbers for this long: counting one in the library costs a third of a short answer."""


class _Observed:
    """Observations of one histogram that the library does not know yet."""

    __slots__ = ("_bounds", "_buckets", "_histogram", "_sum", "count")

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = bounds
        self.count = 0
        self._sum = 0.0
        self._buckets = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Keep one."""
        self.count += 1
        self._sum += value
        self._buckets[bisect_left(self._bounds, value)] += 1

    def put_away(self) -> None:
        """Tell the library. Its histogram takes one observation at a time; what it does with each is done here with their sum."""
        if not self.count:
            return
        self._histogram._sum.inc(self._sum)
        for bucket, count in zip(self._histogram._buckets, self._buckets, strict=True):
            if count:
                bucket.inc(count)
        self.count, self._sum, self._buckets = 0, 0.0, [0] * len(self._buckets)


class _Answered(_Observed):
    """Requests of one method, route and status that the library does not know yet."""

    __slots__ = ("_requests",)

    def __init__(self, requests: Counter, of_route: Histogram) -> None:
        super().__init__(of_route, REQUEST_SECONDS)
        self._requests = requests

    def put_away(self) -> None:
        """Tell the library, the counter too."""
        if self.count:
            self._requests.inc(self.count)
            super().put_away()


class Metrics:
    """The measurements of one process. Labels are route names, not paths: an unknown path is ``other``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter("idp_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry)
        self.request_seconds = Histogram(
            "idp_http_request_seconds", "Seconds until the answer was sent.", ("route",), buckets=REQUEST_SECONDS, registry=self.registry
        )
        self.flushes = Counter("idp_ledger_flushes", "Flushes of the ledger.", ("result",), registry=self.registry)
        self.entries_refused = Counter("idp_ledger_refused", "Entries refused because too many waited.", registry=self.registry)
        self.passwords_refused = Counter(
            "idp_passwords_refused", "Passwords that were not compared for lack of time.", ("reason",), registry=self.registry
        )
        self.flush_rows = Histogram("idp_ledger_flush_rows", "Rows in a flush.", buckets=FLUSH_ROWS, registry=self.registry)
        self.flush_seconds = Histogram("idp_ledger_flush_seconds", "Seconds of a flush.", buckets=FLUSH_SECONDS, registry=self.registry)
        questions = ("source", "kind", "result", "reason")
        self.questions = Counter("idp_source_questions", "Questions to authorities.", questions, registry=self.registry)
        self.question_seconds = Histogram(
            "idp_source_seconds", "Seconds of a question.", ("source",), buckets=REQUEST_SECONDS, registry=self.registry
        )
        self.openings = Counter("idp_source_breaker_openings", "Authorities left alone.", ("source",), registry=self.registry)
        self._answered: dict[tuple[str, str, int], _Answered] = {}
        self._flush_rows = _Observed(self.flush_rows, FLUSH_ROWS)
        self._flush_seconds = _Observed(self.flush_seconds, FLUSH_SECONDS)
        self._flushes = {False: 0, True: 0}
        self._timer: asyncio.TimerHandle | None = None

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record one answered request; ``route`` is a name of the routing table. Whoever asks within KEPT_SECONDS may not see it yet."""
        key = (method, route, status)
        answered = self._answered.get(key)
        if answered is None:
            answered = _Answered(self.requests.labels(method, route, str(status)), self.request_seconds.labels(route))
            self._answered[key] = answered
        answered.observe(seconds)
        self._tell_soon()

    def _tell_soon(self) -> None:
        if self._timer is None:
            # Without a loop, as in a command, whoever reads the numbers puts them away.
            with contextlib.suppress(RuntimeError):
                self._timer = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._put_away)

    def _put_away(self) -> None:
        self._timer = None
        self._tell()

    def _tell(self) -> None:
        for kept in (*self._answered.values(), self._flush_rows, self._flush_seconds):
            kept.put_away()
        for failed, number in self._flushes.items():
            if number:
                self.flushes.labels("failed" if failed else "written").inc(number)
                self._flushes[failed] = 0

    def count_flush(self, rows: int, seconds: float, *, failed: bool = False) -> None:
        """Record one flush of the ledger, as ``count_request`` does."""
        self._flushes[failed] += 1
        self._flush_rows.observe(rows)
        self._flush_seconds.observe(seconds)
        self._tell_soon()

    def count_refused_entry(self) -> None:
        """Record that the ledger was full."""
        self.entries_refused.inc()

    def count_refused_password(self, reason: str) -> None:
        """Record that a password was not compared; ``reason`` is a word of the password queue."""
        self.passwords_refused.labels(reason).inc()

    def count_question(self, source: str, kind: str, result: str, reason: str, seconds: float) -> None:
        """Record one question to an authority; ``reason`` says why it was unavailable."""
        self.questions.labels(source, kind, result, reason).inc()
        self.question_seconds.labels(source).observe(seconds)

    def count_breaker_opening(self, source: str) -> None:
        """Record that an authority is left alone for a while."""
        self.openings.labels(source).inc()

    def write_exposition(self, shared_folder: Path | None = None) -> bytes:
        """Return the exposition: of this process, or of every worker that shares ``shared_folder`` (PROMETHEUS_MULTIPROC_DIR)."""
        self._tell()
        if shared_folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(shared_folder))  # type: ignore[no-untyped-call, unused-ignore]
        return generate_latest(registry)
