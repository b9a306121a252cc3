"""What a browser writes as the origin of an address."""

import pytest

from idp.protocol.rules.origins import find_origin


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://land.example/a?b", "https://land.example"),
        ("http://127.0.0.1:8001/x", "http://127.0.0.1:8001"),
        ("HTTPS://Land.Example:443/", "https://land.example"),
        ("https://land.example:/", "https://land.example"),
        ("https://land.example:0443/", "https://land.example"),
        ("https://land.example:80/", "https://land.example:80"),
        ("http://[::1]:80/", "http://[::1]"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_what_a_browser_writes(uri: str, origin: str) -> None:
    assert find_origin(uri) == origin
