"""The start-up self-test: all vectors pass here, and a wrong or absent algorithm stops the start."""

from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm

from keys import SelfTestFailed, run_self_test, self_test
from keys.self_test import CHECKS, Check


def test_every_algorithm_reproduces_its_vector() -> None:
    report = run_self_test()
    assert {check.name for check in CHECKS if check.required} <= set(report.passed)
    assert set(report.passed) | set(report.unavailable) == {check.name for check in CHECKS}


def _raise(error: Exception) -> Callable[[], bool]:
    def run() -> bool:
        raise error

    return run


@pytest.mark.parametrize("run", [lambda: False, _raise(InvalidSignature()), _raise(InvalidTag())])
@pytest.mark.parametrize("required", [True, False])
def test_a_wrong_result_stops_the_start(run: Callable[[], bool], required: bool) -> None:
    with pytest.raises(SelfTestFailed, match="Rot13 does not reproduce"):
        run_self_test([Check("Rot13", run, required)])


def test_an_absent_algorithm_stops_the_start_only_when_it_is_needed() -> None:
    absent = _raise(UnsupportedAlgorithm("no"))
    assert run_self_test([Check("Rot13", absent, required=False), Check("fine", lambda: True)]).unavailable == ("Rot13",)
    with pytest.raises(SelfTestFailed, match="Rot13 is not available"):
        run_self_test([Check("Rot13", absent)])


def test_a_libcrypto_without_sm3_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashlib.algorithms_available", {"sha256"})
    assert "SM3 (hashlib)" in run_self_test().unavailable


def test_a_wrong_sm3_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    if "SM3" in run_self_test().unavailable:
        pytest.skip("the library has no SM3")
    monkeypatch.setattr(self_test, "_SM3_VECTORS", ((b"abd", self_test._SM3_VECTORS[0][1]),))
    with pytest.raises(SelfTestFailed, match="SM3"):
        run_self_test()


def test_a_broken_hmac_and_a_broken_signature_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(self_test, "prepare_hmac", lambda key: lambda message: bytes(32))
        with pytest.raises(SelfTestFailed, match="HMAC"):
            run_self_test()
    with monkeypatch.context() as patch:
        patch.setattr(self_test, "to_raw_signature", lambda der: bytes(31) + b"\1" + bytes(31) + b"\1")
        with pytest.raises(SelfTestFailed, match="ES256"):
            run_self_test()
