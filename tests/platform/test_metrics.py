"""Measurements come out in Prometheus' text format, and two processes' worth never share state by accident."""

import asyncio

import pytest

from idp.platform import metrics as metrics_module
from idp.platform.metrics import CONTENT_TYPE, Metrics


def test_what_was_counted_is_exposed() -> None:
    metrics = Metrics()
    metrics.count_request("GET", "authorize", 303, 0.004)
    metrics.count_request("GET", "authorize", 303, 0.03)
    metrics.count_flush(7, 0.0015)
    metrics.count_flush(1, 0.5, failed=True)
    metrics.count_question("operators", "phone", "unavailable", "timeout", 3.0)
    metrics.count_breaker_opening("operators")
    text = metrics.write_exposition().decode()
    assert 'idp_http_requests_total{method="GET",route="authorize",status="303"} 2.0' in text
    assert 'idp_http_request_seconds_bucket{le="0.005",route="authorize"} 1.0' in text
    assert 'idp_ledger_flushes_total{result="failed"} 1.0' in text
    assert "idp_ledger_flush_rows_sum 8.0" in text
    assert 'idp_source_questions_total{kind="phone",reason="timeout",result="unavailable",source="operators"} 1.0' in text
    assert 'idp_source_seconds_sum{source="operators"} 3.0' in text
    assert 'idp_source_breaker_openings_total{source="operators"} 1.0' in text
    assert CONTENT_TYPE.startswith("text/plain")


def test_two_metrics_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.count_request("GET", "/token", 200, 0.1)
    assert "/token" not in second.write_exposition().decode()


async def test_requests_and_flushes_are_kept_for_a_second_and_counted_as_the_library_would() -> None:
    ours, theirs = Metrics(), Metrics()

    def count() -> None:
        for seconds in (0.001, 0.002, 0.0021, 0.3, 9.0):
            ours.count_request("GET", "/userinfo", 200, seconds)
            theirs.requests.labels("GET", "/userinfo", "200").inc()
            theirs.request_seconds.labels("/userinfo").observe(seconds)
        for rows, seconds, failed in ((1, 0.0004, False), (8, 0.01, False), (300, 9.0, True)):
            ours.count_flush(rows, seconds, failed=failed)
            theirs.flushes.labels("failed" if failed else "written").inc()
            theirs.flush_rows.observe(rows)
            theirs.flush_seconds.observe(seconds)

    def read(metrics: Metrics) -> list[str]:
        lines = metrics.write_exposition().decode().splitlines()
        return [line for line in lines if line.startswith(("idp_http", "idp_ledger")) and "created" not in line]

    count()
    assert read(ours) == read(theirs)
    assert read(ours) == read(theirs), "what was put away is not counted twice"
    count()
    assert read(ours) == read(theirs), "what was put away is not counted twice"


async def test_nobody_has_to_ask_for_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "KEPT_SECONDS", 0.01)
    metrics = Metrics()
    metrics.count_request("GET", "/token", 200, 0.001)
    assert metrics.requests.labels("GET", "/token", "200")._value.get() == 0
    await asyncio.sleep(0.05)
    assert metrics.requests.labels("GET", "/token", "200")._value.get() == 1
    metrics.count_request("GET", "/token", 200, 0.001)
    await asyncio.sleep(0.05)
    assert metrics.requests.labels("GET", "/token", "200")._value.get() == 2
    metrics.count_flush(3, 0.001)
    await asyncio.sleep(0.05)
    assert metrics.flush_rows._sum.get() == 3
