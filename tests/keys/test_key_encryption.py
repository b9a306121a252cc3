"""The key-encryption key: its file, and what it wraps."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import KeyEncryptionKey, Unsealable, UnusableKeyFile, make_key_encryption_key

KEK = KeyEncryptionKey(bytes(range(32)))


@given(st.text(max_size=20), st.binary(max_size=2000))
def test_wraps_and_unwraps(key_id: str, material: bytes) -> None:
    assert KEK.unwrap(key_id, KEK.wrap(key_id, material)) == material


def test_a_wrapped_key_does_not_open_for_another_id_or_another_owner() -> None:
    wrapped = KEK.wrap("a", b"material")
    assert b"material" not in wrapped
    for key, key_id in ((KEK, "b"), (KEK, ""), (KeyEncryptionKey(bytes(32)), "a")):
        with pytest.raises(Unsealable):
            key.unwrap(key_id, wrapped)


def test_the_previous_key_opens_and_wraps_nothing_any_more() -> None:
    new = KeyEncryptionKey(bytes(32))
    new.accept(KEK)
    assert new.unwrap("a", KEK.wrap("a", b"material")) == new.unwrap("a", new.wrap("a", b"material")) == b"material"
    for wrapped in (KEK.wrap("b", b"material"), KeyEncryptionKey(b"x" * 32).wrap("a", b"material"), b"", b"\x02"):
        with pytest.raises(Unsealable):
            new.unwrap("a", wrapped)
    with pytest.raises(Unsealable):
        KEK.unwrap("a", new.wrap("a", b"material"))


def test_every_bit_of_a_wrapped_key() -> None:
    wrapped = KEK.wrap("a", os.urandom(32))
    for position in range(len(wrapped) * 8):
        altered = bytearray(wrapped)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(Unsealable):
            KEK.unwrap("a", bytes(altered))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x01" + tail))
def test_arbitrary_bytes_are_unsealable(wrapped: bytes) -> None:
    with pytest.raises(Unsealable):
        KEK.unwrap("a", wrapped)


def test_over_long_is_refused_unread() -> None:
    with pytest.raises(Unsealable):
        KEK.unwrap("a", KEK.wrap("a", bytes(8192)))


def test_a_new_file_is_private_and_gives_the_same_key_back(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    made = make_key_encryption_key(path, os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text()) == 44
    assert KeyEncryptionKey.from_file(path).unwrap("a", made.wrap("a", b"x")) == b"x"
    assert KeyEncryptionKey.from_file(str(path)).unwrap("a", made.wrap("a", b"x")) == b"x"


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    make_key_encryption_key(path, os.urandom)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        make_key_encryption_key(path, os.urandom)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode, usable", [(0o400, True), (0o440, True), (0o600, True), (0o604, False), (0o620, False), (0o644, False)])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int, usable: bool) -> None:
    path = tmp_path / "kek"
    make_key_encryption_key(path, os.urandom)
    path.chmod(mode)
    if usable:
        assert KeyEncryptionKey.from_file(path)
    else:
        with pytest.raises(UnusableKeyFile, match="0600"):
            KeyEncryptionKey.from_file(path)


@pytest.mark.parametrize("content", [b"", b"short", b"A" * 42, b"A" * 44, b"A" * 5000, b"\xff" * 43, bytes(32), b"A" * 42 + b"="])
def test_a_file_of_anything_else_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kek"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UnusableKeyFile) as caught:
        KeyEncryptionKey.from_file(path)
    assert str(caught.value) == f"{path}: not 32 bytes in base64url"


def test_an_absent_file_and_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UnusableKeyFile, match=str(path)):
            KeyEncryptionKey.from_file(path)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyEncryptionKey(bytes(16))
