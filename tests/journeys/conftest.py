"""One demo for all journeys of a run, and one headless browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.demo import DemoProcess, RunningDemo, find_ports
from tests.support.discipline import find_program

# As long as Playwright waits for a page: on a busy machine five seconds, its default for expectations, say nothing about a page.
expect.set_options(timeout=30_000)

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A running demo with data of its own."""
    folder = tmp_path_factory.mktemp("demo")
    with DemoProcess(find_ports(4), "--data", str(folder), "--with-app") as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless. One per module without asynchronous tests: Playwright keeps an event loop running meanwhile."""
    program = find_program("browser")
    if program is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
