"""The header in which a proxy tells a client's certificate: RFC 9440's example, nginx's escaped PEM, and nothing else."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.http.client_certificate import drop_forgeable, is_forgeable, read_told_certificate
from tests.support.certificates import RFC_9440

DER = base64.b64decode(RFC_9440)
PLAIN = f":{RFC_9440}:".encode()
PEM = (
    "-----BEGIN CERTIFICATE-----\n" + "\n".join(RFC_9440[i : i + 64] for i in range(0, len(RFC_9440), 64)) + "\n-----END CERTIFICATE-----\n"
)
ESCAPED = quote(PEM, safe="").encode()
VERIFIED = (b"x-client-cert-verify", b"SUCCESS")


def test_the_example_of_rfc_9440() -> None:
    told = read_told_certificate([(b"client-cert", PLAIN), VERIFIED], escaped_pem=False)
    assert told is not None
    assert (told.der, told.verified) == (DER, True)


def test_escaped_pem() -> None:
    told = read_told_certificate([(b"client-cert", ESCAPED)], escaped_pem=True)
    assert told is not None
    assert (told.der, told.verified) == (DER, False)


@pytest.mark.parametrize("word", [b"", b"success", b"NONE", b"FAILED:unable to verify", b"SUCCESS "])
def test_only_one_word_says_that_the_chain_holds(word: bytes) -> None:
    told = read_told_certificate([(b"client-cert", PLAIN), (b"x-client-cert-verify", word)], escaped_pem=False)
    assert told is not None
    assert not told.verified
    twice = read_told_certificate([(b"client-cert", PLAIN), VERIFIED, VERIFIED], escaped_pem=False)
    assert twice is not None
    assert not twice.verified


def test_no_certificate() -> None:
    assert read_told_certificate([VERIFIED], escaped_pem=False) is None
    assert read_told_certificate([(b"client-cert", b"")], escaped_pem=True) is None


@pytest.mark.parametrize(
    "value, escaped",
    [
        (ESCAPED, False),
        (PLAIN, True),
        (b":", False),
        (RFC_9440.encode(), False),
        (PLAIN[:-1], False),
        (b":" + RFC_9440[:-2].encode() + b"!:", False),
        (b":" + b"A" * 25_000 + b":", False),
        (b"-----BEGIN%20CERTIFICATE-----", True),
        (PEM.encode().replace(b"\n", b"%0A").replace(b"MII", b"M!I"), True),
    ],
)
def test_values_that_hold_none(value: bytes, escaped: bool) -> None:
    with pytest.raises(ValueError, match=r"certificate|byte sequence|PEM|base64"):
        read_told_certificate([(b"client-cert", value)], escaped_pem=escaped)
    with pytest.raises(ValueError, match="one certificate"):
        read_told_certificate([(b"client-cert", PLAIN), (b"client-cert", PLAIN)], escaped_pem=False)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(value: bytes, escaped: bool) -> None:
    try:
        told = read_told_certificate([(b"client-cert", value)], escaped)
    except ValueError:
        return
    assert told is None or isinstance(told.der, bytes)


def test_what_only_a_proxy_may_say() -> None:
    headers = [
        (b"host", b"id.example"),
        (b"client-cert", PLAIN),
        (b"client-cert-chain", PLAIN),
        VERIFIED,
        (b"forwarded", b"for=10.0.0.1"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x-forwarded-host", b"inside"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded", b"kept"),
    ]
    assert drop_forgeable(headers, 0) == [headers[0], headers[-1]]
    assert drop_forgeable(headers, 1) == [headers[0], headers[5], headers[-1]]
    assert is_forgeable(b"x-forwarded-for", 0)
    assert not is_forgeable(b"x-forwarded-for", 2)
