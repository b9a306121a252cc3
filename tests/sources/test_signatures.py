"""Both directions of partner signing: what is signed is one exchange, and nothing else passes."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SM3, Hash
from hypothesis import given
from hypothesis import strategies as st

from idp.sources.signatures import (
    MOST_NONCES,
    NONCE_LIFE,
    Forged,
    NonceMemory,
    PartnerKey,
    write_milliseconds,
    write_reply,
    write_request,
)
from tests.support.clocks import ManualClock

KEY = PartnerKey("partner-1", b"s" * 32)
OTHER = PartnerKey("partner-1", b"t" * 32)
NONCE = "0123456789abcdef"
BODY = b'{"request_id":"12345678"}'

texts = st.text(max_size=40)
fields = st.tuples(
    st.from_regex(r"[A-Z]{1,10}", fullmatch=True),
    st.from_regex(r"/[\x21-\x7e]{0,60}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    st.from_regex(r"[0-9]{13}", fullmatch=True).filter(str.isascii),
    st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True),
    st.binary(max_size=40),
)


@given(fields, fields)
def test_two_requests_never_have_the_same_text(one: tuple, other: tuple) -> None:
    assert (write_request(*one) == write_request(*other)) == (one == other)


@given(fields, st.integers(100, 999))
def test_a_reply_never_has_the_text_of_a_request(request: tuple, status: int) -> None:
    method, target, app_key, timestamp, nonce, body = request
    assert write_reply(status, app_key, timestamp, nonce, body) != write_request(method, target, app_key, timestamp, nonce, body)


@given(texts, texts, texts, texts, texts)
def test_no_field_can_hold_a_line_of_another(method: str, target: str, app_key: str, timestamp: str, nonce: str) -> None:
    try:
        text = write_request(method, target, app_key, timestamp, nonce, b"")
    except ValueError:
        return
    assert text.split(b"\n")[1:6] == [field.encode("ascii") for field in (method, target, app_key, timestamp, nonce)]


def test_the_canonical_text_is_the_documented_one() -> None:
    text = write_request("POST", "/a/checks", "partner-1", "1767225600000", NONCE, b"abc").decode()
    # The digest is that of the standard's first example, SM3("abc").
    digest = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert text == f"yizheng-hmac-sm3 request 1\nPOST\n/a/checks\npartner-1\n1767225600000\n{NONCE}\n{digest}"


def hash_sm3(data: bytes) -> bytes:
    digest = Hash(SM3())
    digest.update(data)
    return digest.finalize()


def test_the_mac_is_hmac_sm3(clock: ManualClock) -> None:
    headers = KEY.sign_request("POST", "/checks", BODY, clock(), NONCE)
    text = write_request("POST", "/checks", "partner-1", headers["x-timestamp"], NONCE, BODY)
    block = KEY.secret.ljust(64, b"\0")  # RFC 2104 over blocks of 64 bytes
    inner = hash_sm3(bytes(byte ^ 0x36 for byte in block) + text)
    assert headers["x-signature"] == hash_sm3(bytes(byte ^ 0x5C for byte in block) + inner).hex()


def test_a_request_and_its_reply_verify(clock: ManualClock) -> None:
    headers = KEY.sign_request("POST", "/checks?a=1", BODY, clock(), NONCE)
    assert KEY.verify_request("POST", "/checks?a=1", BODY, headers, clock()) == NONCE
    reply = KEY.sign_reply(200, b"{}", clock(), NONCE)
    assert KEY.verify_reply(200, b"{}", reply, clock(), NONCE) == reply["x-signature"]


@pytest.mark.parametrize(
    "changed",
    [{"method": "GET"}, {"target": "/other"}, {"target": "/checks?x"}, {"target": "/checks\n"}, {"body": BODY + b" "}, {"key": OTHER}],
    ids=str,
)
def test_a_changed_request_is_forged(clock: ManualClock, changed: dict) -> None:
    headers = KEY.sign_request("POST", "/checks", BODY, clock(), NONCE)
    given_ = {"method": "POST", "target": "/checks", "body": BODY, "key": KEY, **changed}
    key = given_.pop("key")
    with pytest.raises(Forged):
        key.verify_request(given_["method"], given_["target"], given_["body"], headers, clock())


@pytest.mark.parametrize("name", ["x-app-key", "x-timestamp", "x-nonce", "x-signature"])
@pytest.mark.parametrize("value", [None, "", "1", "x" * 70, "é" * 20, "１７６７２２５６００００００"])
def test_every_header_counts(clock: ManualClock, name: str, value: str | None) -> None:
    request = {**KEY.sign_request("POST", "/checks", BODY, clock(), NONCE), name: value or ""}
    reply = {**KEY.sign_reply(200, BODY, clock(), NONCE), name: value or ""}
    if value is None:
        del request[name], reply[name]
    with pytest.raises(Forged):
        KEY.verify_request("POST", "/checks", BODY, request, clock())
    with pytest.raises(Forged):
        KEY.verify_reply(200, BODY, reply, clock(), NONCE)


@pytest.mark.parametrize("status, body, nonce", [(201, b"{}", NONCE), (200, b"{} ", NONCE), (200, b"{}", "fedcba9876543210")])
def test_a_reply_is_bound_to_status_body_and_request(clock: ManualClock, status: int, body: bytes, nonce: str) -> None:
    reply = KEY.sign_reply(200, b"{}", clock(), NONCE)
    with pytest.raises(Forged):
        KEY.verify_reply(status, body, reply, clock(), nonce)
    with pytest.raises(Forged):
        OTHER.verify_reply(200, b"{}", reply, clock(), NONCE)


@pytest.mark.parametrize("seconds, taken", [(-299, True), (299, True), (-301, False), (301, False)])
def test_clocks_may_be_five_minutes_apart(clock: ManualClock, seconds: int, taken: bool) -> None:
    request, reply = KEY.sign_request("POST", "/checks", BODY, clock(), NONCE), KEY.sign_reply(200, b"", clock(), NONCE)
    then = clock() + timedelta(seconds=seconds)
    if taken:
        KEY.verify_request("POST", "/checks", BODY, request, then)
        KEY.verify_reply(200, b"", reply, then, NONCE)
        return
    with pytest.raises(Forged, match="clock"):
        KEY.verify_request("POST", "/checks", BODY, request, then)
    with pytest.raises(Forged, match="clock"):
        KEY.verify_reply(200, b"", reply, then, NONCE)


def test_a_nonce_serves_once_in_ten_minutes(clock: ManualClock) -> None:
    memory = NonceMemory()
    memory.add(NONCE, clock())
    memory.add("another-nonce-123", clock())
    clock.advance(NONCE_LIFE.total_seconds())
    with pytest.raises(Forged, match="nonce"):
        memory.add(NONCE, clock())
    clock.advance(1)
    memory.add(NONCE, clock())


def test_a_full_memory_refuses_rather_than_forgets(clock: ManualClock) -> None:
    memory = NonceMemory()
    for number in range(MOST_NONCES):
        memory.add(str(number), clock())
    with pytest.raises(Forged):
        memory.add("one more", clock())


def test_a_secret_is_long_and_never_printed() -> None:
    assert "ssss" not in repr(KEY)
    for app_key, secret in (("a b", b"s" * 32), ("", b"s" * 32), ("a" * 65, b"s" * 32), ("a", b"s" * 31)):
        with pytest.raises(ValueError, match=r"app key|secret"):
            PartnerKey(app_key, secret)


def test_what_cannot_be_signed_is_refused(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="method"):
        KEY.sign_request("post", "/checks", b"", clock(), NONCE)
    with pytest.raises(ValueError, match="nonce"):
        KEY.sign_request("POST", "/checks", b"", clock(), "short")
    with pytest.raises(ValueError, match="three digits"):
        write_reply(99, "a", write_milliseconds(clock()), NONCE, b"")
