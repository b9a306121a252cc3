"""npm openid-client, unchanged, does what each feature of the protocol is for."""

import asyncio
from collections.abc import Iterator

import pytest
from playwright.sync_api import sync_playwright

from tests.journeys.conftest import CHROMIUM_ARGUMENTS
from tests.relying_parties.features import FEATURES, Walk, register, start_library
from tests.support.discipline import find_program
from tests.support.forms import FormsBrowser
from tests.support.real_provider import run_real_provider

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def walk() -> Iterator[Walk]:
    """One provider, one library, one person who is signed in by the first flow."""
    with asyncio.Runner() as runner, start_library() as (library, callback):
        running = run_real_provider(IDP_SERVER__TRUSTED_PROXY_HOPS="0")
        provider = runner.run(running.__aenter__())
        try:
            (citizen,) = runner.run(provider.add_citizens(["测试甲"]))
            runner.run(register(provider, library.ask(do="keys"), callback.url))
            provider.serve()
            provider.work()
            yield Walk(provider, library, callback, citizen, FormsBrowser())
        finally:
            runner.run(running.__aexit__(None, None, None))


@pytest.mark.parametrize("feature", FEATURES)
def test_openid_client_uses_it(walk: Walk, feature: str) -> None:
    found = walk.walk(feature)
    assert "failed" not in found, found["failed"]
    assert found["ok"], found


@pytest.mark.browser
def test_a_browser_posts_the_answer_by_itself_or_by_the_button(walk: Walk) -> None:
    walk.walk("client_secret_basic")  # somebody is signed in
    name = walk.provider.cookie_names.session
    [session] = [cookie.value for cookie in walk.browser.jar if cookie.name == name]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_program("browser"), headless=True, args=CHROMIUM_ARGUMENTS)
        for scripts in (True, False):
            context = chromium.new_context(java_script_enabled=scripts)
            context.add_cookies([{"name": name, "value": session or "", "url": walk.provider.issuer}])
            page = context.new_page()
            begun = walk.begin("form_post")["url"]
            if scripts:
                with page.expect_request(walk.callback.url):
                    page.goto(begun, wait_until="commit")
            else:
                page.goto(begun)
                page.click("#continue")
            page.wait_for_url(walk.callback.url)
            came = walk.callback.take()
            assert "code=" in came.body
            assert walk.library.ask(do="finish", feature="form_post", url=came.url, body=came.body)["ok"]
        chromium.close()
