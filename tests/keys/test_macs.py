"""HMAC, blind indexes and the data keys they come from."""

import hashlib
import hmac
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import DATA_KEY_PURPOSES, BlindIndex, DataKey, DataKeys, Mac, MissingKey, Unsealable
from keys.mac import prepare_hmac

KEY, OLDER = bytes(range(32)), bytes(range(32, 64))

# RFC 4231 §4.2 to §4.8 without §4.6 (truncated) and with those of §4.3 and §4.4 whose keys are long enough for us.
VECTORS = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize("key, message, expected", VECTORS)
def test_rfc_4231(key: bytes, message: bytes, expected: str) -> None:
    assert prepare_hmac(key)(message).hex() == expected
    assert Mac({"k": key}, "k").compute(message).hex() == expected


@given(st.binary(min_size=16, max_size=200), st.binary(max_size=300))
def test_equals_the_standard_library_and_repeats(key: bytes, message: bytes) -> None:
    compute = prepare_hmac(key)
    assert compute(message) == hmac.digest(key, message, "sha256") == compute(message)


def test_a_mac_verifies_with_its_key() -> None:
    mac = Mac({"older": OLDER, "k": KEY}, "k")
    assert mac.current_id == "k"
    assert mac.compute(b"row") == mac.compute(b"row", "k") == hmac.digest(KEY, b"row", "sha256")
    assert mac.compute(b"row", "older") == hmac.digest(OLDER, b"row", "sha256")
    assert mac.verify(b"row", mac.compute(b"row"), "k")
    assert not mac.verify(b"row", mac.compute(b"row"), "older")
    assert not mac.verify(b"other", mac.compute(b"row"), "k")
    assert not mac.verify(b"row", mac.compute(b"row")[:-1], "k")
    assert not mac.verify(b"row", b"", "k")


def test_without_a_key_id_every_key_verifies() -> None:
    mac = Mac({"older": OLDER, "k": KEY}, "k")
    assert mac.verify(b"row", mac.compute(b"row", "older"))
    assert mac.verify(b"row", mac.compute(b"row"))
    assert not mac.verify(b"row", bytes(32))


def test_unknown_and_short_keys() -> None:
    mac = Mac({"k": KEY}, "k")
    assert not mac.verify(b"row", mac.compute(b"row"), "gone")
    for missing in (lambda: Mac({"k": KEY}, "gone"), lambda: BlindIndex({"k": KEY}, "gone"), lambda: mac.compute(b"row", "gone")):
        with pytest.raises(MissingKey):
            missing()
    with pytest.raises(ValueError, match="16 bytes"):
        Mac({"k": b"short"}, "k")


def test_a_blind_index_covers_kind_and_value() -> None:
    index = BlindIndex({"k": KEY}, "k")
    assert index.current_id == "k"
    assert index.index("phone", "+8613800138000") == hmac.digest(KEY, b"phone\0+8613800138000", "sha256")
    assert index.index("phone", "x") != index.index("name", "x")
    assert index.index("a", "bc") != index.index("ab", "c")
    assert index.index("name", "张三") == hmac.digest(KEY, "name\0张三".encode(), "sha256")
    with pytest.raises(ValueError, match="NUL"):
        index.index("phone\0", "x")


def test_a_blind_index_under_every_key() -> None:
    index = BlindIndex({"older": OLDER, "k": KEY}, "k")
    assert index.index_all("phone", "x") == [index.index("phone", "x"), BlindIndex({"older": OLDER}, "older").index("phone", "x")]


def _make_all(**extra: bytes) -> DataKeys:
    keys = [DataKey(f"{purpose}-1", purpose, hashlib.sha256(purpose.encode()).digest()) for purpose in DATA_KEY_PURPOSES]
    return DataKeys([*keys, *(DataKey(key_id, "people", material) for key_id, material in extra.items())])


def test_the_newest_key_of_a_purpose_is_current_and_the_older_still_opens() -> None:
    before, after = _make_all(), _make_all(newer=KEY)
    envelope = before.sealer("people").seal(b"x", b"", os.urandom)
    assert after.sealer("people").open(envelope, b"") == b"x"
    assert after.sealer("people").current_id == "newer"
    with pytest.raises(Unsealable):
        before.sealer("people").open(after.sealer("people").seal(b"x", b"", os.urandom), b"")
    text = before.bearer("people", os.urandom).seal("code", b"x")
    assert after.bearer("people", os.urandom).open("code", text) == b"x"
    assert after.mac("people").verify(b"m", before.mac("people").compute(b"m"), "people-1")
    assert before.index("people").index("phone", "x") in after.index("people").index_all("phone", "x")
    assert after.mac("people").current_id == after.index("people").current_id == after.bearer("people", os.urandom).current_id == "newer"


def test_each_purpose_and_each_use_has_a_key_of_its_own() -> None:
    same = DataKeys([DataKey("k", purpose, KEY) for purpose in DATA_KEY_PURPOSES])
    values = {getattr(same, use)(purpose).current_id for use in ("mac", "index", "sealer") for purpose in DATA_KEY_PURPOSES}
    assert values == {"k"}
    macs = [same.mac(purpose).compute(b"phone\0x") for purpose in DATA_KEY_PURPOSES]
    indexes = [same.index(purpose).index("phone", "x") for purpose in DATA_KEY_PURPOSES]
    plain = hmac.digest(KEY, b"phone\0x", "sha256")
    assert len({*macs, *indexes, plain}) == 2 * len(DATA_KEY_PURPOSES) + 1
    envelope = same.sealer("people").seal(b"x", b"code", os.urandom)
    with pytest.raises(Unsealable):
        same.sealer("outbox").open(envelope, b"code")


def test_missing_purposes() -> None:
    assert _make_all().missing_purposes == ()
    few = DataKeys([DataKey("k", "audit", KEY)])
    assert few.missing_purposes == tuple(purpose for purpose in DATA_KEY_PURPOSES if purpose != "audit")
    for use in (few.sealer, few.index, few.mac, lambda purpose: few.bearer(purpose, os.urandom)):
        with pytest.raises(MissingKey, match="people"):
            use("people")


@pytest.mark.parametrize("key", [DataKey("k", "cooking", KEY), DataKey("k", "audit", KEY[:31])])
def test_a_data_key_that_cannot_be_right_is_refused(key: DataKey) -> None:
    with pytest.raises(ValueError, match="data key 'k'"):
        DataKeys([key])


def test_a_data_key_prints_no_material() -> None:
    assert "material" not in repr(DataKey("k", "audit", KEY))
