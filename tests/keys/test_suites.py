"""Both cipher suites: published vectors, envelopes side by side, and a key that stays in its suite."""

import hashlib
import hmac
import os
import shutil
import subprocess

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from keys import (
    DATA_KEY_PURPOSES,
    BearerSealer,
    BlindIndex,
    DataKey,
    DataKeys,
    Mac,
    MissingKey,
    Sealer,
    SelfTestFailed,
    Suite,
    Unsealable,
    hash_bytes,
    run_self_test,
)
from keys.mac import prepare_hmac
from keys.suite import LibrarySm3, Sm4Gcm, make_cipher, start_hash

INTERNATIONAL, NATIONAL = bytes(range(32)), bytes(range(16))
SUITES = {"sm": Suite.NATIONAL}
AAD = b"people\0profile\0" + bytes(16)

# GM/T 0042-2015 D.3, of which the keys are long enough for us.
HMAC_SM3 = [
    (
        bytes(range(1, 33)),
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2,
        "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a",
    ),
    (bytes(range(1, 38)), b"\xcd" * 50, "220bf579ded555393f0159f66c99877822a3ecf610d1552154b41d44b94db3ae"),
    (b"\x0b" * 32, b"Hi There", "c0ba18c68b90c88bc07de794bfc7d2c8d19ec31ed8773bc2b390c9604e0be11e"),
]


@pytest.mark.parametrize("key, message, expected", HMAC_SM3)
def test_hmac_sm3_reproduces_the_standards_examples(key: bytes, message: bytes, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare_hmac(key, Suite.NATIONAL)(message).hex() == expected
    assert Mac({"sm": key}, "sm", SUITES).compute(message).hex() == expected
    monkeypatch.setattr("hashlib.algorithms_available", {"sha256"})
    assert prepare_hmac(key, Suite.NATIONAL)(message).hex() == expected, "by the other library"


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_three_implementations_of_sm3_agree(first: bytes, second: bytes) -> None:
    expected = hashlib.new("sm3", first + second).digest()
    assert hash_bytes(Suite.NATIONAL, first + second) == expected
    running = LibrarySm3(first)
    branch = running.copy()
    running.update(second)
    assert running.digest() == running.digest() == expected
    assert branch.digest() == hash_bytes(Suite.NATIONAL, first), "a copy goes its own way"
    key = first.ljust(16, b"k")
    assert prepare_hmac(key, Suite.NATIONAL)(second) == hmac.digest(key, second, "sm3")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
def test_the_openssl_command_computes_the_same() -> None:
    message, key = b"yizheng" * 20, bytes(range(32))
    for options, ours in (
        (["-sm3"], hash_bytes(Suite.NATIONAL, message)),
        (["-sm3", "-mac", "hmac", "-macopt", f"hexkey:{key.hex()}"], prepare_hmac(key, Suite.NATIONAL)(message)),
        (["-sha256", "-mac", "hmac", "-macopt", f"hexkey:{key.hex()}"], prepare_hmac(key)(message)),
    ):
        answer = subprocess.run(["openssl", "dgst", *options], input=message, capture_output=True, check=True)
        assert answer.stdout.decode().split()[-1] == ours.hex()


def test_sm4_gcm_reproduces_rfc_8998_and_refuses_every_altered_byte() -> None:
    # RFC 8998 A.1.
    cipher = Sm4Gcm(bytes.fromhex("0123456789abcdeffedcba9876543210"))
    iv, aad = bytes.fromhex("00001234567800000000abcd"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = b"".join(bytes((byte,)) * 8 for byte in b"\xaa\xbb\xcc\xdd\xee\xff\xee\xaa")
    sealed = bytes.fromhex(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"
    )
    assert cipher.encrypt(iv, plaintext, aad) == sealed
    assert cipher.decrypt(iv, sealed, aad) == plaintext
    for position in range(len(sealed)):
        wrong = bytearray(sealed)
        wrong[position] ^= 1
        with pytest.raises(InvalidTag):
            cipher.decrypt(iv, bytes(wrong), aad)
    with pytest.raises(InvalidTag):
        cipher.decrypt(iv, sealed, aad[:-1])


@given(st.binary(max_size=400), st.binary(max_size=100))
def test_envelopes_of_both_suites_open_side_by_side(plaintext: bytes, aad: bytes) -> None:
    keys = {"intl": INTERNATIONAL, "sm": NATIONAL}
    before, after = Sealer(keys, "intl", SUITES), Sealer(keys, "sm", SUITES)
    old, new = before.seal(plaintext, aad, os.urandom), after.seal(plaintext, aad, os.urandom)
    assert old.startswith(b"\x01\x04intl")
    assert new.startswith(b"\x02\x02sm")
    assert after.current_header == b"\x02\x02sm"
    assert len(old) - len("intl") == len(new) - len("sm") == len(plaintext) + 2 + 12 + 16
    for sealer in (before, after):
        assert sealer.open(old, aad) == sealer.open(new, aad) == plaintext
    assert Sm4Gcm(NATIONAL).decrypt(new[4:16], new[16:], aad) == plaintext


def test_the_version_of_an_envelope_is_its_keys_suite_and_nothing_else() -> None:
    sealer = Sealer({"intl": INTERNATIONAL, "sm": NATIONAL}, "sm", SUITES)
    envelope = sealer.seal(b"x", AAD, os.urandom)
    for version in (0, 1, 3):
        with pytest.raises(Unsealable):
            sealer.open(bytes((version,)) + envelope[1:], AAD)
    for cut in range(len(envelope)):
        with pytest.raises(Unsealable):
            sealer.open(envelope[:cut], AAD)
    with pytest.raises(Unsealable):
        sealer.open(envelope, AAD + b"\0")


def test_a_key_has_the_length_of_its_suite() -> None:
    with pytest.raises(ValueError, match="national suite is 16 bytes"):
        make_cipher(Suite.NATIONAL, INTERNATIONAL)
    with pytest.raises(ValueError, match="international suite is 32 bytes"):
        make_cipher(Suite.INTERNATIONAL, NATIONAL)


def test_indexes_and_macs_of_both_suites_stand_side_by_side() -> None:
    keys = {"intl": INTERNATIONAL, "sm": INTERNATIONAL}
    index = BlindIndex(keys, "sm", SUITES)
    assert index.index("phone", "x") == hmac.digest(INTERNATIONAL, b"phone\0x", "sm3")
    assert index.index_all("phone", "x") == [index.index("phone", "x"), hmac.digest(INTERNATIONAL, b"phone\0x", "sha256")]
    mac = Mac(keys, "intl", SUITES)
    assert mac.current_suite is Suite.INTERNATIONAL
    assert mac.find_suite("sm") is Suite.NATIONAL
    assert mac.verify(b"row", hmac.digest(INTERNATIONAL, b"row", "sm3"), "sm")
    assert not mac.verify(b"row", hmac.digest(INTERNATIONAL, b"row", "sm3"), "intl")
    assert mac.verify(b"row", hmac.digest(INTERNATIONAL, b"row", "sm3"))
    with pytest.raises(MissingKey):
        mac.find_suite("gone")


def make(*further: DataKey) -> list[DataKey]:
    first = [DataKey(f"{purpose}-1", purpose, hashlib.sha256(purpose.encode()).digest()) for purpose in DATA_KEY_PURPOSES]
    return [*first, *further]


def test_the_same_material_gives_each_suite_another_key() -> None:
    one, other = (DataKeys([DataKey("k", "people", INTERNATIONAL, suite)]) for suite in Suite)
    assert one.mac("people").compute(b"m") != other.mac("people").compute(b"m")
    assert [sorted(keys.suites) for keys in (one, other)] == [[Suite.INTERNATIONAL], [Suite.NATIONAL]]
    # Whoever changes the suite of a row in the database makes nothing open, and nothing open otherwise.
    with pytest.raises(Unsealable):
        other.sealer("people").open(one.sealer("people").seal(b"x", AAD, os.urandom), AAD)


def test_what_was_handed_out_takes_up_new_keys() -> None:
    keys = DataKeys(make())
    people, index, bearer, mac = keys.sealer("people"), keys.index("index"), keys.bearer("bearer", os.urandom), keys.mac("audit")
    before = people.seal(b"x", AAD, os.urandom), index.index("phone", "x"), bearer.seal("code", b"x"), mac.compute(b"x")
    coming = [
        DataKey(f"{purpose}-2", purpose, os.urandom(32), Suite.NATIONAL, pending=True) for purpose in ("people", "index", "bearer", "audit")
    ]
    keys.replace(make(*coming))
    assert (people.current_id, index.current_id, bearer.current_id, mac.current_id) == ("people-1", "index-1", "bearer-1", "audit-1")
    assert keys.list_ids("people") == ("people-1", "people-2"), "pending ones too"
    assert keys.list_ids("elsewhere") == ()
    assert index.index_all("phone", "x")[0] == before[1]
    assert len(index.index_all("phone", "x")) == 2, "what others write with it is found before we do"
    keys.replace(make(*(DataKey(key.id, key.purpose, key.material, key.suite) for key in coming)))
    assert (people.current_id, index.current_id, bearer.current_id, mac.current_id) == ("people-2", "index-2", "bearer-2", "audit-2")
    assert people.seal(b"x", AAD, os.urandom)[0] == 2
    assert people.open(before[0], AAD) == bearer.open("code", before[2]) == b"x"
    assert before[1] == index.index_all("phone", "x")[1] != index.index("phone", "x")
    assert mac.verify(b"x", before[3], "audit-1")
    assert keys.sealer("people").current_id == "people-2"
    keys.replace([key for key in make(*(DataKey(key.id, key.purpose, key.material, key.suite) for key in coming)) if key.id != "people-1"])
    with pytest.raises(Unsealable):
        people.open(before[0], AAD)


def test_a_purpose_never_loses_its_last_key() -> None:
    keys = DataKeys(make())
    people, audit = keys.sealer("people"), keys.mac("audit")
    mended = [DataKey("audit-2", "audit", INTERNATIONAL), *(key for key in make() if key.purpose not in ("people", "audit"))]
    for wrong in (mended, [*mended, DataKey("people-2", "people", INTERNATIONAL, pending=True)]):
        with pytest.raises(MissingKey):
            keys.replace(wrong)
        assert (people.current_id, audit.current_id) == ("people-1", "audit-1"), "nothing changed, not even what came first"
    with pytest.raises(MissingKey):
        DataKeys([DataKey("people-1", "people", INTERNATIONAL, pending=True)]).sealer("people")


def test_a_bearer_value_of_the_national_suite() -> None:
    keys = {"intl": INTERNATIONAL, "sm": NATIONAL}
    old, new = BearerSealer(keys, "intl", os.urandom, SUITES), BearerSealer(keys, "sm", os.urandom, SUITES)
    assert old.open("code", new.seal("code", b"x")) == new.open("code", old.seal("code", b"x")) == b"x"


@pytest.mark.parametrize("missing", ["_check_sm3", "_check_sm4", "_check_sm4_gcm", "_check_hmac_sm3"])
def test_the_national_suite_needs_its_algorithms(missing: str) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm

    from keys import self_test

    def absent() -> bool:
        raise UnsupportedAlgorithm(missing)

    checks = [
        check if check.run is not getattr(self_test, missing) else self_test.Check(check.name, absent, check.required, check.national)
        for check in self_test.CHECKS
    ]
    assert len(run_self_test(checks).unavailable) >= 1
    with pytest.raises(SelfTestFailed, match="is not available on this machine"):
        run_self_test(checks, national=True)


def test_a_python_without_sm3_takes_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashlib.algorithms_available", {"sha256"})
    assert isinstance(start_hash(Suite.NATIONAL), LibrarySm3)
    report = run_self_test(national=True)
    assert "SM3 (hashlib)" in report.unavailable
    assert {"SM3", "HMAC-SM3", "SM4", "SM4-GCM"} <= set(report.passed)
