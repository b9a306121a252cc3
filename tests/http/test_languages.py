"""Which language a page answers in (S17)."""

import pytest

from idp.http.languages import choose_language


@pytest.mark.parametrize(
    ("parameter", "cookie", "accept", "chosen"),
    [
        ("en", "zh-CN", "zh-CN", "en"),
        ("fr en", "zh-CN", None, "en"),
        ("fr", "en", "zh-CN", "en"),
        (None, "en", "zh-CN", "en"),
        (None, "xx", "en", "en"),
        (None, None, "en-GB,zh;q=0.5", "en"),
        (None, None, "fr, zh-TW;q=0.4, en;q=0.6", "en"),
        (None, None, "en;q=0, zh;q=0.1", "zh-CN"),
        (None, None, "en;q=many, zh;q=0.1", "zh-CN"),
        (None, None, "fr", "zh-CN"),
        (None, None, "", "zh-CN"),
        (None, None, None, "zh-CN"),
        ("", "", "*", "zh-CN"),
    ],
)
def test_s17_parameter_then_cookie_then_request_then_default(
    parameter: str | None, cookie: str | None, accept: str | None, chosen: str
) -> None:
    assert choose_language(parameter, cookie, accept) == chosen
