"""Where a person begins again at a department: an address that is registered and that a browser can open."""

from dataclasses import replace

import pytest

from idp.protocol.rules.client import ApplicationType, find_home
from tests.support.protocol_samples import make_client


@pytest.mark.parametrize(
    ("after_sign_out", "redirect", "kind", "home"),
    [
        (("https://land.example/bye?x=1",), ("https://other.example/cb",), ApplicationType.WEB, "https://land.example/"),
        ((), ("https://land.example:8443/cb",), ApplicationType.WEB, "https://land.example:8443/"),
        ((), ("http://127.0.0.1:8001/cb",), ApplicationType.WEB, "http://127.0.0.1:8001/"),
        ((), ("http://127.0.0.1/cb", "cn.example.app:/cb"), ApplicationType.NATIVE, ""),
        ((), ("cn.example.app:/cb", "https://app.example/cb"), ApplicationType.NATIVE, "https://app.example/"),
        ((), (), ApplicationType.WEB, ""),
    ],
)
def test_home_is_the_origin_of_the_first_web_address(
    after_sign_out: tuple[str, ...], redirect: tuple[str, ...], kind: ApplicationType, home: str
) -> None:
    client = make_client(post_logout_redirect_uris=after_sign_out, redirect_uris=redirect, application_type=kind)
    assert find_home(client) == home
    assert find_home(replace(client, status="suspended")) == find_home(replace(client, status="retired")) == "", "nobody is led there"
