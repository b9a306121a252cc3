"""Sealed fields and bearer values: what opens, and that everything else is Unsealable and nothing but."""

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys import MAX_BEARER, MAX_PLAINTEXT, BearerSealer, MissingKey, Sealer, Unsealable, row_aad
from keys.base64url import decode_base64url, encode_base64url

OLD, NEW, OTHER = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
SEALER = Sealer({"old": OLD, "new": NEW}, "new")
BEARER = BearerSealer({"old": OLD, "new": NEW}, "new", os.urandom)
AAD = row_aad("people", "profile", b"\x01" * 16)


@given(st.binary(max_size=500), st.binary(max_size=60))
def test_a_sealed_value_opens_under_its_place(plaintext: bytes, aad: bytes) -> None:
    assert SEALER.open(SEALER.seal(plaintext, aad, os.urandom), aad) == plaintext


def test_the_envelope_is_version_key_id_iv_ciphertext_tag() -> None:
    envelope = SEALER.seal(b"synthetic", AAD, lambda size: b"\x07" * size)
    assert envelope == b"\x01\x03new" + b"\x07" * 12 + AESGCM(NEW).encrypt(b"\x07" * 12, b"synthetic", AAD)
    assert SEALER.current_id == "new"


def test_the_random_source_gives_the_iv() -> None:
    asked = []

    def random(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    assert SEALER.seal(b"x", AAD, random) != SEALER.seal(b"x", AAD, random)
    assert BearerSealer({"k": OLD}, "k", random).seal("code", b"x")
    assert asked == [12, 12, 12]


def test_an_older_key_still_opens_and_a_withdrawn_one_does_not() -> None:
    envelope = Sealer({"old": OLD}, "old").seal(b"x", AAD, os.urandom)
    assert SEALER.open(envelope, AAD) == b"x"
    with pytest.raises(Unsealable):
        Sealer({"new": NEW}, "new").open(envelope, AAD)


def test_the_same_key_id_with_other_material_does_not_open() -> None:
    with pytest.raises(Unsealable):
        Sealer({"new": OTHER}, "new").open(SEALER.seal(b"x", AAD, os.urandom), AAD)


@pytest.mark.parametrize(
    "place", [("people", "profile", b"\x02" * 16), ("people", "sealed", b"\x01" * 16), ("outbox", "profile", b"\x01" * 16)]
)
def test_a_value_moved_to_another_row_column_or_table_does_not_open(place: tuple[str, str, bytes]) -> None:
    with pytest.raises(Unsealable):
        SEALER.open(SEALER.seal(b"x", AAD, os.urandom), row_aad(*place))


def test_row_aad_tells_places_apart() -> None:
    assert row_aad("people", "profile", "1") == row_aad("people", "profile", b"1") == b"people\0profile\x001"
    with pytest.raises(ValueError, match="NUL"):
        row_aad("people\0profile", "x", "1")


@given(st.data())
def test_every_altered_byte_every_cut_and_every_addition_is_unsealable(data: st.DataObject) -> None:
    envelope = SEALER.seal(data.draw(st.binary(max_size=40)), AAD, os.urandom)
    position = data.draw(st.integers(0, len(envelope) - 1))
    flip = data.draw(st.integers(1, 255))
    altered = bytearray(envelope)
    altered[position] ^= flip
    for wrong in (bytes(altered), envelope[:position], envelope + b"\0", b"\0" + envelope):
        with pytest.raises(Unsealable):
            SEALER.open(wrong, AAD)


def test_every_bit_of_one_envelope() -> None:
    envelope = SEALER.seal(b"synthetic", AAD, os.urandom)
    for position in range(len(envelope) * 8):
        altered = bytearray(envelope)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(Unsealable):
            SEALER.open(bytes(altered), AAD)


@given(st.binary(max_size=100) | st.binary(max_size=80).map(lambda tail: b"\x01\x03new" + tail))
def test_arbitrary_bytes_are_unsealable(envelope: bytes) -> None:
    with pytest.raises(Unsealable):
        SEALER.open(envelope, AAD)


def test_an_unknown_version_is_unsealable_even_when_the_rest_is_right() -> None:
    with pytest.raises(Unsealable):
        SEALER.open(b"\x02" + SEALER.seal(b"x", AAD, os.urandom)[1:], AAD)


def test_bounds_of_a_field() -> None:
    assert len(SEALER.open(SEALER.seal(bytes(MAX_PLAINTEXT), AAD, os.urandom), AAD)) == MAX_PLAINTEXT
    with pytest.raises(ValueError, match="too long"):
        SEALER.seal(bytes(MAX_PLAINTEXT + 1), AAD, os.urandom)
    with pytest.raises(Unsealable):
        SEALER.open(b"\x01\x03new" + bytes(MAX_PLAINTEXT + 200), AAD)


@pytest.mark.parametrize("make", [Sealer, lambda keys, current: BearerSealer(keys, current, os.urandom)])
def test_unusable_keys_are_refused_at_once(make: Callable[[dict[str, bytes], str], object]) -> None:
    with pytest.raises(MissingKey):
        make({"a": OLD}, "b")
    with pytest.raises(ValueError, match="32 bytes"):
        make({"a": OLD, "b": OLD[:16]}, "a")
    for bad in ("", "x" * 65, "钥"):
        with pytest.raises(ValueError, match=r"key id|ascii"):
            make({bad: OLD}, bad)


@given(st.sampled_from(["code", "access", "refresh"]), st.binary(max_size=500))
def test_a_bearer_value_opens_as_its_kind(kind: str, payload: bytes) -> None:
    text = BEARER.seal(kind, payload)
    assert BEARER.open(kind, text) == payload
    assert text.isascii()
    assert not set(text) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_bearer_value_is_base64url_of_an_envelope_with_its_kind_as_associated_data() -> None:
    text = BEARER.seal("code", b"payload")
    envelope = decode_base64url(text)
    assert envelope.startswith(b"\x01\x03new")
    assert AESGCM(NEW).decrypt(envelope[5:17], envelope[17:], b"code") == b"payload"
    assert BEARER.current_id == "new"


@pytest.mark.parametrize("kind", ["refresh", "cod", "codes", "", "CODE"])
def test_a_code_is_nothing_else(kind: str) -> None:
    text = BEARER.seal("code", b"payload")
    with pytest.raises(Unsealable):
        BEARER.open(kind, text)


def test_an_older_key_opens_a_bearer_value() -> None:
    assert BEARER.open("code", BearerSealer({"old": OLD}, "old", os.urandom).seal("code", b"x")) == b"x"
    with pytest.raises(Unsealable):
        BearerSealer({"new": NEW}, "new", os.urandom).open("code", BearerSealer({"old": OLD}, "old", os.urandom).seal("code", b"x"))


@given(st.data())
def test_every_altered_letter_and_every_cut_of_a_bearer_value_is_unsealable(data: st.DataObject) -> None:
    text = BEARER.seal("code", data.draw(st.binary(max_size=40)))
    position = data.draw(st.integers(0, len(text) - 1))
    drawn = data.draw(st.characters())
    letter = drawn if drawn != text[position] else "!"
    for wrong in (text[:position] + letter + text[position + 1 :], text[:position], text + letter, text + "=", text + "\n", " " + text):
        with pytest.raises(Unsealable):
            BEARER.open("code", wrong)


def test_every_letter_of_one_bearer_value_has_no_other_spelling() -> None:
    for size in (8, 9, 10):
        text = BEARER.seal("code", bytes(size))
        for position in range(len(text)):
            for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=":
                if letter != text[position]:
                    with pytest.raises(Unsealable):
                        BEARER.open("code", text[:position] + letter + text[position + 1 :])


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: encode_base64url(b"\x01\x03new" + raw).decode()))
def test_arbitrary_text_is_unsealable(text: str) -> None:
    with pytest.raises(Unsealable):
        BEARER.open("code", text)


def test_bounds_of_a_bearer_value() -> None:
    longest = (MAX_BEARER * 3) // 4 - 5 - 12 - 16
    assert BEARER.open("code", BEARER.seal("code", bytes(longest))) == bytes(longest)
    with pytest.raises(ValueError, match="too long"):
        BEARER.seal("code", bytes(longest + 1))
    with pytest.raises(Unsealable):
        BEARER.open("code", encode_base64url(SEALER.seal(bytes(longest + 1), b"code", os.urandom)).decode())
