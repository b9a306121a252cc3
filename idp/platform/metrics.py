"""Decides what is measured: a closed list of counters and histograms, whose labels never name a person and stay few."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of the exposition (Prometheus text format)."""

REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FLUSH_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)
FLUSH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The measurements of one process. Labels are route names, not paths: an unknown path is ``other``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter("idp_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry)
        self.request_seconds = Histogram(
            "idp_http_request_seconds", "Seconds until the answer was sent.", ("route",), buckets=REQUEST_SECONDS, registry=self.registry
        )
        self.flushes = Counter("idp_ledger_flushes", "Flushes of the ledger.", ("result",), registry=self.registry)
        self.flush_rows = Histogram("idp_ledger_flush_rows", "Rows in a flush.", buckets=FLUSH_ROWS, registry=self.registry)
        self.flush_seconds = Histogram("idp_ledger_flush_seconds", "Seconds of a flush.", buckets=FLUSH_SECONDS, registry=self.registry)
        questions = ("source", "kind", "result", "reason")
        self.questions = Counter("idp_source_questions", "Questions to authorities.", questions, registry=self.registry)
        self.question_seconds = Histogram(
            "idp_source_seconds", "Seconds of a question.", ("source",), buckets=REQUEST_SECONDS, registry=self.registry
        )
        self.openings = Counter("idp_source_breaker_openings", "Authorities left alone.", ("source",), registry=self.registry)
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record one answered request; ``route`` is a name of the routing table."""
        # Looking labels up costs five times as much as counting.
        bound = self._bound.get((method, route, status))
        if bound is None:
            bound = self.requests.labels(method, route, str(status)), self.request_seconds.labels(route)
            self._bound[method, route, status] = bound
        bound[0].inc()
        bound[1].observe(seconds)

    def count_flush(self, rows: int, seconds: float, *, failed: bool = False) -> None:
        """Record one flush of the ledger."""
        self.flushes.labels("failed" if failed else "written").inc()
        self.flush_rows.observe(rows)
        self.flush_seconds.observe(seconds)

    def count_question(self, source: str, kind: str, result: str, reason: str, seconds: float) -> None:
        """Record one question to an authority; ``reason`` says why it was unavailable."""
        self.questions.labels(source, kind, result, reason).inc()
        self.question_seconds.labels(source).observe(seconds)

    def count_breaker_opening(self, source: str) -> None:
        """Record that an authority is left alone for a while."""
        self.openings.labels(source).inc()

    def write_exposition(self, shared_folder: Path | None = None) -> bytes:
        """Return the exposition: of this process, or of every worker that shares ``shared_folder`` (PROMETHEUS_MULTIPROC_DIR)."""
        if shared_folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(shared_folder))  # type: ignore[no-untyped-call, unused-ignore]
        return generate_latest(registry)
