"""Decides in which words a person recognises a device: system and browser, read from what the browser says of itself."""

from dataclasses import dataclass

BROWSERS = (
    ("MicroMessenger", "wechat"),
    ("AlipayClient", "alipay"),
    ("DingTalk", "dingtalk"),
    ("Edg", "edge"),
    ("HuaweiBrowser", "huawei"),
    ("MiuiBrowser", "xiaomi"),
    ("HeyTapBrowser", "oppo"),
    ("VivoBrowser", "vivo"),
    ("SamsungBrowser", "samsung"),
    ("QQBrowser", "qq"),
    ("UCBrowser", "uc"),
    ("Quark", "quark"),
    ("OPR/", "opera"),
    ("Firefox/", "firefox"),
    ("FxiOS", "firefox"),
    ("CriOS", "chrome"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
)
"""What a User-Agent contains → browser; the first that fits, since nearly all of them also claim to be Chrome or Safari."""

SYSTEMS = (
    ("HarmonyOS", "harmony"),
    ("OpenHarmony", "harmony"),
    ("iPhone", "iphone"),
    ("iPad", "ipad"),
    ("Android", "android"),
    ("Windows", "windows"),
    ("Macintosh", "mac"),
    ("Linux", "linux"),
)
"""The same for the system."""

MAX_TEXT = 200
"""Characters of a User-Agent that are looked at."""


@dataclass(frozen=True)
class Device:
    """A device as its owner knows it: words of the two tables, "" for what they do not hold."""

    system: str = ""
    browser: str = ""


def recognize_device(text: str) -> Device:
    """Return the device of a User-Agent (RFC 9110 §10.1.5), which anybody may choose freely: it explains and proves nothing."""
    text = text[:MAX_TEXT]
    return Device(_find(SYSTEMS, text), _find(BROWSERS, text))


def _find(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((word for token, word in table if token in text), "")
