"""base64url: one spelling per value."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.base64url import decode_base64url, encode_base64url


@given(st.binary(max_size=200))
def test_spells_as_the_standard_library_does_and_reads_it_back(raw: bytes) -> None:
    text = encode_base64url(raw)
    assert text == base64.urlsafe_b64encode(raw).rstrip(b"=")
    assert decode_base64url(text) == raw == decode_base64url(text.decode())


def test_rfc_7515_appendix_c() -> None:
    assert encode_base64url(bytes([3, 236, 255, 224, 193])) == b"A-z_4ME"


@pytest.mark.parametrize(
    "text", ["A", "AAAAA", "AB", "AAB", "AA==", "AA=", "A+A/", "AAAA\n", " AAAA", "AA AA", "AAé", "A\ud800AA", "AAA\0", "=", "AAAA=AAA"]
)
def test_refuses_every_other_spelling(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - binascii, unicode and our own are all ValueErrors
        decode_base64url(text)


@given(st.text(alphabet="ABQgwz019-_+/= \n", max_size=12))
def test_what_it_reads_it_would_spell_the_same(text: str) -> None:
    try:
        raw = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(raw).decode() == text
