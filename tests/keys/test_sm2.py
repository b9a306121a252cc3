"""SM2 with SM3: the standard's own example, another implementation both ways, and everything that must not verify."""

import base64
import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import gmalg
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from keys import SM2_SIGNATURE, InvalidSignature, KeyState, SigningKey, SigningRing, generate_signing_key, run_self_test, sm2
from keys.algorithms import SoftwareProvider
from keys.sm2 import ORDER, SIGNER_ID, Sm2PrivateKey, Sm2PublicKey

# GB/T 32918.5-2017 A.2, the recommended curve; the nonce k is what makes the signature the published one.
D = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
X = bytes.fromhex("09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020")
Y = bytes.fromhex("CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13")
K = bytes.fromhex("59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21")
R = bytes.fromhex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3")
S = bytes.fromhex("B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")
MESSAGE = b"message digest"

VECTORS = Path(__file__).parents[2] / "docs" / "vectors" / "sm2-jws.json"


@pytest.fixture(scope="module")
def private() -> Sm2PrivateKey:
    return Sm2PrivateKey(D, X, Y)


@pytest.fixture(scope="module")
def public() -> Sm2PublicKey:
    return Sm2PublicKey(X, Y)


def make_oracle(x: bytes, y: bytes, d: bytes | None = None, k: bytes | None = None) -> Any:
    """The other implementation, in plain Python."""
    nonce = None if k is None else (lambda bits: int.from_bytes(k, "big"))
    return gmalg.SM2(d, SIGNER_ID, b"\4" + x + y, rnd_fn=nonce)


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_published_signature_verifies(public: Sm2PublicKey) -> None:
    assert public.verify(MESSAGE, R + S)
    # That it is the standard's: the other implementation makes it from the published nonce.
    assert make_oracle(X, Y, D, K).sign(MESSAGE) == (R, S)


def test_the_other_implementation_verifies_ours(private: Sm2PrivateKey) -> None:
    for message in (b"", MESSAGE, b"\0" * 100, "一证通".encode() * 300):
        signature = private.sign(message)
        assert len(signature) == 64
        assert make_oracle(X, Y).verify(message, signature[:32], signature[32:])
        assert not make_oracle(X, Y).verify(message + b".", signature[:32], signature[32:])


def test_we_verify_the_other_implementations(public: Sm2PublicKey) -> None:
    for message in (b"", MESSAGE, b"\0" * 100):
        r, s = make_oracle(X, Y, D).sign(message)
        assert public.verify(message, r.rjust(32, b"\0") + s.rjust(32, b"\0"))


def test_another_signers_id_is_another_signature(public: Sm2PublicKey, private: Sm2PrivateKey) -> None:
    for other in (b"", b"1234567812345679"):
        r, s = gmalg.SM2(D, other or b"\0", b"\4" + X + Y).sign(MESSAGE)
        assert not public.verify(MESSAGE, r.rjust(32, b"\0") + s.rjust(32, b"\0"))


def test_openssl_verifies_ours_when_it_is_told_the_signers_id(tmp_path: Path) -> None:
    key = Sm2PrivateKey.generate()
    (tmp_path / "key").write_bytes(key.to_pkcs8())
    (tmp_path / "message").write_bytes(MESSAGE)
    raw = key.sign(MESSAGE)
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    (tmp_path / "signature").write_bytes(encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")))

    def verify(*options: str) -> bool:
        command = ["openssl", "dgst", "-sm3", *options, "-keyform", "DER", "-prverify", "key", "-signature", "signature", "message"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=20, check=False).returncode == 0

    assert verify("-sigopt", "distid:1234567812345678")
    assert not verify(), "its own default is the empty id"


@given(st.integers(0, 63), st.integers(0, 7))
def test_every_altered_bit_is_refused(public: Sm2PublicKey, position: int, bit: int) -> None:
    altered = bytearray(R + S)
    altered[position] ^= 1 << bit
    assert not public.verify(MESSAGE, bytes(altered))


N = ORDER.to_bytes(32, "big")


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        b"\xff" * 64,
        R,
        R + S + b"\0",
        R + S[:-1],
        S + R,
        bytes(32) + S,
        R + bytes(32),
        N + S,
        R + N,
        R + (ORDER - 1).to_bytes(32, "big"),
        R + (int.from_bytes(S, "big") + ORDER).to_bytes(33, "big")[-32:],
        bytes.fromhex("30440220") + R + bytes.fromhex("0220") + S,
    ],
)
def test_malformed_signatures_are_refused(public: Sm2PublicKey, signature: bytes) -> None:
    assert not public.verify(MESSAGE, signature)


def test_a_number_has_one_spelling(private: Sm2PrivateKey, public: Sm2PublicKey) -> None:
    signature = next(made for made in (private.sign(MESSAGE) for _ in range(20_000)) if made[32] == 0)  # one of 256
    assert public.verify(MESSAGE, signature)
    assert not public.verify(MESSAGE, signature[:32] + signature[33:])


@pytest.mark.parametrize("x, y", [(X, X), (bytes(32), bytes(32)), (b"\xff" * 32, Y), (X[:31], Y), (X, Y + b"\0"), (Y, X)])
def test_points_off_the_curve_are_no_keys(x: bytes, y: bytes) -> None:
    with pytest.raises(ValueError, match="not an SM2 key"):
        Sm2PublicKey(x, y)


@pytest.mark.parametrize("d", [bytes(32), N, (ORDER - 1).to_bytes(32, "big"), b"\xff" * 32, D[:31], b""])
def test_numbers_out_of_range_are_no_private_keys(d: bytes) -> None:
    with pytest.raises(ValueError, match="not an SM2 key"):
        Sm2PrivateKey(d, X, Y)


def test_a_private_key_is_stored_as_pkcs8(private: Sm2PrivateKey) -> None:
    again = Sm2PrivateKey.from_pkcs8(private.to_pkcs8())
    assert (again.x, again.y, again.to_pkcs8()) == (X, Y, private.to_pkcs8())
    stored = private.to_pkcs8()
    for wrong in (b"", stored[:-1], stored + b"\0", stored[1:], stored.replace(b"\xa1\x44", b"\xa2\x44"), b"\x31" + stored[1:]):
        with pytest.raises(ValueError, match="not an SM2 key"):
            SoftwareProvider().load(SM2_SIGNATURE, wrong)


def test_a_token_of_ours_is_read_by_the_other_implementation_and_the_reverse(now: datetime) -> None:
    key = generate_signing_key(SM2_SIGNATURE, now, KeyState.ACTIVE)
    ring, jwk = SigningRing([key]), key.public_jwk
    token = ring.sign(SM2_SIGNATURE, b'{"sub":"synthetic"}')
    message, _, signature = token.rpartition(".")
    raw = unb64(signature)
    oracle = make_oracle(unb64(jwk["x"]), unb64(jwk["y"]))
    assert oracle.verify(message.encode(), raw[:32], raw[32:])
    assert json.loads(unb64(message.partition(".")[0])) == {"alg": "SGD_SM3_SM2", "kid": key.kid, "typ": "JWT"}
    assert ring.verify(token, "JWT") == {"sub": "synthetic"}


@pytest.mark.parametrize("algorithm", ["ES256", "none", "sm2", "SM3withSM2", "SGD_SM3_SM9"])
def test_no_other_name_is_taken_for_it(every_key: dict[str, SigningKey], algorithm: str) -> None:
    key = every_key[SM2_SIGNATURE]
    assert key.private is not None
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": key.kid, "typ": "JWT"}).encode()).rstrip(b"=")
    message = header + b".e30"
    token = message + b"." + base64.urlsafe_b64encode(key.private.sign(message)).rstrip(b"=")
    with pytest.raises(InvalidSignature, match="algorithm"):
        SigningRing([key]).verify(token.decode())


def test_the_published_vectors_are_true() -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    jwk, example = vectors["jwk"], vectors["signature_of_the_standard"]
    public = Sm2PublicKey(unb64(jwk["x"]), unb64(jwk["y"]))
    oracle = make_oracle(unb64(jwk["x"]), unb64(jwk["y"]))
    assert vectors["signer_id"].encode() == SIGNER_ID
    assert public.verify(example["message"].encode(), bytes.fromhex(example["r"] + example["s"]))
    for case in vectors["tokens"]:
        message, _, signature = case["token"].rpartition(".")
        raw = unb64(signature)
        assert public.verify(message.encode(), raw) is case["valid"], case["about"]
        assert (len(raw) == 64 and oracle.verify(message.encode(), raw[:32], raw[32:])) is case["valid"], case["about"]
    (valid,) = [case for case in vectors["tokens"] if case["valid"]]
    header, payload = (json.loads(unb64(part)) for part in valid["token"].split(".")[:2])
    assert header == valid["header"]
    assert payload == valid["claims"]
    assert (header["alg"], header["kid"]) == ("SGD_SM3_SM2", jwk["kid"])
    # ZA and e, step by step, for whoever has to write a verifier.
    a, b, gx, gy = (bytes.fromhex(vectors["curve"][name]) for name in ("a", "b", "gx", "gy"))
    identity = len(8 * SIGNER_ID).to_bytes(2, "big") + SIGNER_ID
    za = hash_sm3(identity + a + b + gx + gy + unb64(jwk["x"]) + unb64(jwk["y"]))
    assert za.hex() == vectors["za"]
    assert hash_sm3(za + valid["token"].rpartition(".")[0].encode()).hex() == valid["e"]


def hash_sm3(message: bytes) -> bytes:
    digest = gmalg.SM3()
    digest.update(message)
    value: bytes = digest.value()
    return value


class Lacking:
    """The machine's libcrypto, of which one function answers something else."""

    def __init__(self, name: str, answer: Any) -> None:
        self._lib, self._name, self._answer = sm2._load_library(), name, answer

    def __getattr__(self, name: str) -> Any:
        if name != self._name:
            return getattr(self._lib, name)
        if isinstance(self._answer, Exception):
            raise self._answer
        return lambda *_: self._answer


@pytest.mark.parametrize(
    "name, answer",
    [
        ("OpenSSL_version_num", 0x1010117F),
        ("EVP_PKEY_generate", AttributeError("1.1")),
        ("EVP_PKEY_CTX_new_from_name", None),
        ("EVP_PKEY_keygen_init", 0),
        ("EVP_PKEY_generate", 0),
        ("EVP_PKEY_CTX_set1_id", -2),
        ("EVP_DigestSignInit", 0),
        ("EVP_DigestSign", 0),
    ],
)
def test_a_libcrypto_that_lacks_something_is_found_out(monkeypatch: pytest.MonkeyPatch, name: str, answer: Any) -> None:
    lacking = Lacking(name, answer)

    monkeypatch.setattr(sm2, "_load_library", lambda: lacking)
    monkeypatch.setattr(sm2, "_FUNCTIONS", [row for row in sm2._FUNCTIONS if row[0] != name or isinstance(answer, Exception)])
    monkeypatch.setattr(sm2, "_open_libcrypto", sm2._open_libcrypto.__wrapped__)
    with pytest.raises(UnsupportedAlgorithm):
        Sm2PrivateKey.generate().sign(MESSAGE)


def test_a_machine_without_libcrypto_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(name: str) -> Any:
        asked.append(name)
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", refuse)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(UnsupportedAlgorithm):
        sm2._open_libcrypto.__wrapped__()
    assert asked == ["libcrypto.so.3", "libcrypto.so"]


def test_a_machine_without_it_says_so(monkeypatch: pytest.MonkeyPatch, private: Sm2PrivateKey) -> None:
    def refuse() -> Any:
        raise UnsupportedAlgorithm("no")

    monkeypatch.setattr(sm2, "_open_libcrypto", refuse)
    assert "SM2" in run_self_test().unavailable
    with pytest.raises(ValueError, match="not a key"):
        SoftwareProvider().load(SM2_SIGNATURE, private.to_pkcs8())
    with pytest.raises(UnsupportedAlgorithm):
        Sm2PrivateKey.generate()


def test_the_self_test_notices_a_broken_sm2(monkeypatch: pytest.MonkeyPatch) -> None:
    from keys import SelfTestFailed

    monkeypatch.setattr(Sm2PublicKey, "verify", lambda self, message, signature: True)
    with pytest.raises(SelfTestFailed, match="SM2"):
        run_self_test()
