"""The published vectors are what this code computes, and what the openssl command and a GHASH by hand compute from the same text."""

import hmac
import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from idp.platform.audit_chain import FIRST_PREVIOUS, compute_link
from idp.platform.audit_log import encode_row, verify_row
from keys import BearerSealer, DataKey, DataKeys, Mac, Suite, hash_bytes
from keys.base64url import decode_base64url

FOLDER = Path(__file__).parents[2] / "docs" / "vectors"
DIGESTS = {"international": "sha256", "national": "sm3"}
CIPHERS = {"international": "aes-256", "national": "sm4"}
OPENSSL = shutil.which("openssl")

Case = dict[str, Any]


def read(name: str) -> list[Case]:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    (cases,) = [value for key, value in document.items() if key != "about"]
    assert {case["suite"] for case in cases} == {suite.value for suite in Suite}
    return list(cases)


def keys_of(case: Case) -> DataKeys:
    material = bytes.fromhex(case["data_key"])
    return DataKeys([DataKey(f"{case['purpose']}-1", case["purpose"], material, Suite(case["suite"]))])


def expand(case: Case, purpose: str, use: str) -> bytes:
    """HKDF-Expand of RFC 5869 §2.3, one block, by the standard library."""
    info = f"yizheng data key 1\0{purpose}\0{use}".encode()
    return hmac.digest(bytes.fromhex(case["data_key"]), info + b"\1", DIGESTS[case["suite"]])


def call_openssl(*words: str, given: bytes) -> bytes:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *words], input=given, capture_output=True, check=True).stdout


def seal_by_hand(suite: str, key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """GCM of NIST SP 800-38D §7.1 from the cipher in counter mode and ECB, which the openssl command has for SM4 too."""

    def encrypt(mode: str, given: bytes, *words: str) -> bytes:
        return call_openssl("enc", f"-{CIPHERS[suite]}-{mode}", "-K", key.hex(), "-nosalt", "-nopad", *words, given=given)

    def multiply(x: int, y: int) -> int:
        product, factor = 0, y
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                product ^= factor
            factor = factor >> 1 ^ (0xE1 << 120 if factor & 1 else 0)
        return product

    def pad(given: bytes) -> bytes:
        return given + bytes(-len(given) % 16)

    subkey = int.from_bytes(encrypt("ecb", bytes(16)), "big")
    ciphertext = encrypt("ctr", plaintext, "-iv", (iv + bytes((0, 0, 0, 2))).hex()) if plaintext else b""
    hashed, lengths = 0, (8 * len(aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    blocks = pad(aad) + pad(ciphertext) + lengths
    for start in range(0, len(blocks), 16):
        hashed = multiply(hashed ^ int.from_bytes(blocks[start : start + 16], "big"), subkey)
    mask = int.from_bytes(encrypt("ecb", iv + bytes((0, 0, 0, 1))), "big")
    return ciphertext + (hashed ^ mask).to_bytes(16, "big")


def has_sm4() -> bool:
    return OPENSSL is not None and b"sm4-ctr" in call_openssl("enc", "-list", given=b"").lower()


@pytest.mark.parametrize("case", read("envelopes"), ids=lambda case: f"{case['suite']}-{case['purpose']}")
def test_envelopes(case: Case) -> None:
    key_id, use, envelope = case["key_id"], case["use"], bytes.fromhex(case["envelope"])
    plaintext, aad, iv = (bytes.fromhex(case[name]) for name in ("plaintext", "aad", "iv"))
    key = bytes.fromhex(case["derived_key"])
    assert key == expand(case, case["purpose"], use)[: len(key)]
    version = {"international": 1, "national": 2}[case["suite"]]
    assert envelope.startswith(bytes((version, len(key_id))) + key_id.encode() + iv)
    if use == "bearer":
        keys, suites = {key_id: key}, {key_id: Suite(case["suite"])}
        assert decode_base64url(case["text"]) == envelope
        assert keys_of(case).bearer("bearer", lambda _: iv).seal(aad.decode(), plaintext) == case["text"]
        assert BearerSealer(keys, key_id, lambda _: iv, suites).open(aad.decode(), case["text"]) == plaintext
    else:
        sealer = keys_of(case).sealer(case["purpose"])
        assert sealer.seal(plaintext, aad, lambda _: iv) == envelope
        assert sealer.open(envelope, aad) == plaintext
    if has_sm4():
        assert envelope[2 + len(key_id) + 12 :] == seal_by_hand(case["suite"], key, iv, plaintext, aad)


@pytest.mark.parametrize("case", read("blind-index"), ids=lambda case: f"{case['suite']}-{case['kind']}")
def test_blind_indexes(case: Case) -> None:
    key, message = bytes.fromhex(case["derived_key"]), f"{case['kind']}\0{case['value']}".encode()
    assert keys_of(case).index("index").index(case["kind"], case["value"]).hex() == case["index"]
    assert key == expand(case, "index", "index")
    check_hmac(case["suite"], key, message, case["index"])


@pytest.mark.parametrize("case", read("mac"), ids=lambda case: f"{case['suite']}-{case['purpose']}")
def test_macs(case: Case) -> None:
    key, message = bytes.fromhex(case["derived_key"]), bytes.fromhex(case["message"])
    assert keys_of(case).mac(case["purpose"]).compute(message).hex() == case["mac"]
    assert key == expand(case, case["purpose"], "mac")
    check_hmac(case["suite"], key, message, case["mac"])


def check_hmac(suite: str, key: bytes, message: bytes, expected: str) -> None:
    assert hmac.digest(key, message, DIGESTS[suite]).hex() == expected
    if OPENSSL is not None:
        words = ("dgst", f"-{DIGESTS[suite]}", "-mac", "hmac", "-macopt", f"hexkey:{key.hex()}")
        assert call_openssl(*words, given=message).decode().split()[-1] == expected


def test_audit_rows_and_links() -> None:
    previous = FIRST_PREVIOUS
    for seq, case in enumerate(read("audit-chain"), start=1):
        suite, row, key = Suite(case["suite"]), case["row"], bytes.fromhex(case["derived_key"])
        assert key == expand(case, "audit", "mac")
        event_id, place_hash = UUID(row["id"]), bytes.fromhex(row["place_hash"])
        assert hash_bytes(suite, bytes.fromhex(case["sealed_place"])) == place_hash
        stored = {
            **row,
            "at": datetime.fromisoformat(row["at"]),
            "id": event_id,
            "person_id": UUID(row["person_id"]),
            "place_hash": place_hash,
        }
        assert encode_row(**{("event_id" if name == "id" else name): value for name, value in stored.items()}).decode() == case["encoded"]
        mac = Mac({row["key_id"]: key}, row["key_id"], {row["key_id"]: suite})
        stored = {**stored, "mac": bytes.fromhex(case["mac"]), "sealed_place": bytes.fromhex(case["sealed_place"])}
        assert verify_row(stored, mac) is None
        check_hmac(case["suite"], key, case["encoded"].encode(), case["mac"])
        assert (case["seq"], case["prev"]) == (seq, previous.hex())
        linked = previous + seq.to_bytes(8, "big") + event_id.bytes + stored["mac"]
        previous = compute_link(suite, previous, seq, event_id, stored["mac"])
        assert previous.hex() == case["hash"]
        if OPENSSL is not None:
            assert call_openssl("dgst", f"-{DIGESTS[case['suite']]}", given=linked).decode().split()[-1] == case["hash"]
