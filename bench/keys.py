"""Measures what the operations of ``keys`` cost: microseconds per call, the best of five rounds, on one core.

Run it as ``python bench/keys.py``. The budgets are those of docs/adr/0002; the machine's noise is 5 to 15 %."""

import os
import sys
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

# Run as a script, this directory comes first on the path and this file would hide the package of the same name.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from keys import (  # noqa: E402 - the path is set above
    BearerSealer,
    BlindIndex,
    KeyEncryptionKey,
    KeyState,
    Mac,
    Sealer,
    SigningRing,
    generate_signing_key,
    row_aad,
)

CLAIMS = (
    b'{"iss":"https://id.example.gov.cn","sub":"x1f9Qm2JtWc0eVb7ZrL5Yg","aud":"office-one","exp":1790000600,"iat":1790000000,'
    b'"auth_time":1789999990,"nonce":"n-0S6_WzA2Mj","acr":"urn:yizheng:acr:substantial","amr":["pwd","sms"],"sid":"0a1b2c3d4e5f"}'
)


def measure(call: Callable[[], object]) -> float:
    """Return microseconds per call."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    rounds = max(1, number // 4)
    return min(timer.repeat(repeat=5, number=rounds)) / rounds * 1e6


def main() -> None:
    """Print one line per operation: name, measured, budget."""
    now = datetime.now(UTC)
    key, payload, aad = os.urandom(32), os.urandom(120), row_aad("people", "profile", os.urandom(16))
    sealer, bearer = Sealer({"k1": key}, "k1"), BearerSealer({"k1": key}, "k1", os.urandom)
    mac, index, kek = Mac({"k1": key}, "k1"), BlindIndex({"k1": key}, "k1"), KeyEncryptionKey(key)
    ring = SigningRing([generate_signing_key(algorithm, now, KeyState.ACTIVE) for algorithm in ("ES256", "RS256")])
    envelope, text = sealer.seal(payload, aad, os.urandom), bearer.seal("code", payload)
    es256, rs256 = ring.sign("ES256", CLAIMS), ring.sign("RS256", CLAIMS)
    wrapped = kek.wrap("k1", key)
    table: list[tuple[str, float | None, Callable[[], object]]] = [
        ("seal, 120 bytes", None, lambda: sealer.seal(payload, aad, os.urandom)),
        ("open", None, lambda: sealer.open(envelope, aad)),
        ("bearer seal, 120 bytes", 8, lambda: bearer.seal("code", payload)),
        ("bearer open", 8, lambda: bearer.open("code", text)),
        ("mac, 120 bytes", 3, lambda: mac.compute(payload)),
        ("blind index", None, lambda: index.index("phone", "+8613800138000")),
        ("ES256 sign", 53, lambda: ring.sign("ES256", CLAIMS)),
        ("RS256 sign (in a thread)", 500, lambda: ring.sign("RS256", CLAIMS)),
        ("ES256 verify", None, lambda: ring.verify(es256)),
        ("RS256 verify", None, lambda: ring.verify(rs256)),
        ("unwrap a data key", None, lambda: kek.unwrap("k1", wrapped)),
    ]
    print(f"{'operation':<26}{'µs':>9}{'budget':>9}")
    for name, budget, call in table:
        print(f"{name:<26}{measure(call):>9.1f}{budget if budget else '':>9}")


if __name__ == "__main__":
    main()
