"""A device cookie is 256 bits in base64url; only its hash is kept."""

import hashlib

import pytest

from idp.sign_in.rules.device import hash_device, is_device_cookie

COOKIE = "a1_-" * 10 + "abc"


def test_what_is_kept_is_a_hash_for_this_use_alone() -> None:
    assert is_device_cookie(COOKIE)
    assert hash_device(COOKIE) == hashlib.sha256(b"device:" + COOKIE.encode()).digest()
    assert hash_device(COOKIE) != hashlib.sha256(COOKIE.encode()).digest()
    assert hash_device(COOKIE[:-1] + "d") != hash_device(COOKIE)


@pytest.mark.parametrize("text", [None, "", COOKIE[:-1], COOKIE + "a", COOKIE[:-1] + "=", COOKIE[:-1] + "\n", "ａ" + COOKIE[1:]])
def test_anything_else_is_no_device(text: str | None) -> None:
    assert not is_device_cookie(text)
    assert hash_device(text) is None
