"""The account's rules: devices, networks, keys of pages, words of events, what a message carries."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from idp.http.languages import LANGUAGES
from idp.http.messages import load_messages
from idp.kernel.audit_events import Kind
from idp.kernel.ids import encode_base64url
from idp.sign_in.rules.account_device import BROWSERS, SYSTEMS, Device, recognize_device
from idp.sign_in.rules.account_history import ALERTING, ENDS, KINDS, PLAIN, Happening, describe
from idp.sign_in.rules.account_notice import shorten_name, write_time
from idp.sign_in.rules.account_paging import RowKey, find_newest, read_key, write_key
from idp.sign_in.rules.account_place import mask_address
from tests.support.account import COMPUTER, PHONE

NOW = datetime(2026, 3, 1, 16, 5, 7, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "system", "browser"),
    [
        (PHONE, "iphone", "wechat"),
        (COMPUTER, "windows", "edge"),
        ("Mozilla/5.0 (Linux; Android 12; HarmonyOS; NOH-AN00) AppleWebKit/537.36 Chrome/114.0 HuaweiBrowser/15.0", "harmony", "huawei"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36", "android", "chrome"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1.15 Version/17.0 Safari/605.1.15", "mac", "safari"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "linux", "firefox"),
        ("curl/8.0", "", ""),
        ("", "", ""),
        ("x" * 200 + "Windows Firefox/1", "", ""),
    ],
)
def test_devices(text: str, system: str, browser: str) -> None:
    assert recognize_device(text) == Device(system, browser)


def test_every_device_and_event_has_words_in_both_languages() -> None:
    messages = load_messages()
    words = set(PLAIN.values()) | set(ENDS.values()) | ALERTING | {"session_ended"}
    keys = {f"history_{word}" for word in words} | {f"system_{word}" for _, word in SYSTEMS} | {f"browser_{word}" for _, word in BROWSERS}
    for language in LANGUAGES:
        assert {key for key in keys if not messages.has(language, key)} == set()


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("192.0.2.77", "192.0.2.*"),
        ("2001:db8:12:3:4::5", "2001:db8:12:*"),
        ("::ffff:192.0.2.77", "192.0.2.*"),
        ("::1", "0:0:0:*"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_a_place_is_its_network(address: str, masked: str) -> None:
    assert mask_address(address) == masked


def test_a_key_is_read_as_it_was_written() -> None:
    key = RowKey(NOW, UUID(int=7))
    assert read_key(write_key(key)) == key
    newest = find_newest(NOW)
    assert newest.at > NOW
    assert newest.id == UUID(int=2**128 - 1)


@pytest.mark.parametrize("text", ["", "x", "=" * 32, "A" * 31 + "!", encode_base64url(b"\xff" * 24), "A" * 33])
def test_another_text_is_no_key(text: str) -> None:
    assert read_key(text) is None


@pytest.mark.parametrize(
    ("kind", "details", "word"),
    [
        (Kind.SIGN_IN_FAILED, {"way": "password", "reason": "wrong"}, "wrong_password"),
        (Kind.SIGN_IN_FAILED, {"way": "password", "reason": "wrong", "purpose": "password_change"}, "wrong_current_password"),
        (Kind.SIGN_IN_FAILED, {"way": "password", "reason": "delayed"}, "turned_away"),
        (Kind.SIGN_IN_FAILED, {"way": "code", "reason": "dead"}, "wrong_code"),
        (Kind.SIGN_IN_FAILED, {"way": "code", "reason": "wrong", "purpose": "profile_change"}, "wrong_profile_code"),
        (Kind.PROFILE_CHANGED, {"datum": "email", "change": "added"}, "email_added"),
        (Kind.PROFILE_CHANGED, {"datum": "address", "change": "removed"}, "address_removed"),
        (Kind.PROFILE_CHANGED, {"datum": "of a later release"}, "profile_changed"),
        (Kind.SIGN_IN_FAILED, {"reason": "account_banned"}, "refused"),
        (Kind.SIGN_IN_LOCKED, {"way": "password"}, "locked"),
        (Kind.SIGN_IN_LOCKED, {"way": "code"}, "code_locked"),
        (Kind.SESSION_ENDED, {"reason": "signed out"}, "signed_out"),
        (Kind.SESSION_ENDED, {"reason": "a reason of tomorrow"}, "session_ended"),
        (Kind.ACCOUNT_FROZEN, {}, "account_frozen"),
    ],
)
def test_events_have_words(kind: Kind, details: dict, word: str) -> None:
    assert describe(kind.value, details).word == word


def test_details_are_told_as_far_as_they_are_known() -> None:
    assert describe("sign_in_succeeded", {"amr": "pwd sms", "new_device": True}) == Happening("signed_in", ("pwd", "sms"), True)
    assert describe("step_up_succeeded", {"amr": None, "new_device": 1}) == Happening("stepped_up")
    assert describe("session_ended", {"reason": "password changed", "sessions": 3}).number == 3
    assert describe("session_ended", {"sessions": None}).number == 1
    assert {Happening(word).alerts for word in ("locked", "signed_in")} == {True, False}
    for kind in KINDS:
        assert describe(kind.value, {}).word


def test_a_message_says_the_name_short_and_the_time_as_in_shanghai() -> None:
    assert shorten_name("*小明") == "*小明"
    assert shorten_name("*" * 60 + "曼") == "*曼"
    assert write_time(NOW) == "3月2日00:05"
    assert write_time(NOW + timedelta(hours=12)) == "3月2日12:05"


def test_a_refused_passkey_is_told_and_alerts() -> None:
    happening = describe("sign_in_failed", {"way": "passkey", "reason": "copied"})
    assert happening == Happening("wrong_passkey")
    assert happening.alerts
