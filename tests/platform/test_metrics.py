"""Measurements come out in Prometheus' text format, and two processes' worth never share state by accident."""

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
