"""The demo's authorities: a page that chooses faults, a process for synthetic people only, nothing of it in the product."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from idp.demo.authorities import PECULIAR
from idp.demo.authorities_page import PATH, AuthoritiesPage, find_address
from idp.kernel.checks import CheckKind
from idp.sources.simulated import SimulatorRefused, run_authorities
from tests.support import documents
from tests.support.authorities import Authorities, serve_authorities, write_settings
from tests.support.clocks import ManualClock
from tests.support.demo import ROOT
from tests.support.provider import run_provider

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def served() -> Iterator[Authorities]:
    with serve_authorities(ManualClock()) as authorities:
        yield authorities


@pytest.fixture
async def browser(served: Authorities) -> AsyncIterator[httpx2.AsyncClient]:
    application = Starlette(routes=AuthoritiesPage(find_address([f"{served.address}/operators"])).routes())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://127.0.0.1:8000") as client:
        yield client
    served.clear_faults()


async def test_the_page_shows_and_chooses(browser: httpx2.AsyncClient, served: Authorities) -> None:
    page = await browser.get(PATH, headers=HTML)
    assert page.headers["content-type"].startswith("text/html")
    for kind in CheckKind:
        assert f">{kind}<br>" in page.text
    chosen = await browser.post(PATH, data={"kind": "phone", "fault": "silent", "times": "3", "seconds": ""})
    assert (chosen.status_code, chosen.headers["location"]) == (303, PATH)
    assert "不回答 silent ×3" in (await browser.get(PATH, headers=HTML)).text
    await browser.post(PATH, data={"kind": "*", "fault": "", "times": ""})
    assert "×3" not in (await browser.get(PATH, headers=HTML)).text


async def test_programs_get_and_send_json(browser: httpx2.AsyncClient) -> None:
    answer = await browser.post(PATH, json={"kind": "bank_card", "fault": "slow", "seconds": 1.5})
    assert answer.status_code == 200
    rows = {row["kind"]: row for row in (await browser.get(PATH)).json()}
    assert (rows["bank_card"]["fault"], rows["bank_card"]["times"], rows["bank_card"]["authority"]) == ("slow", None, "bank-cards")


@pytest.mark.parametrize("choice", [{"kind": "dna", "fault": "slow"}, {"kind": "phone", "fault": "fire"}, {"kind": "phone"}, {}])
async def test_odd_choices_are_refused(browser: httpx2.AsyncClient, choice: dict[str, str]) -> None:
    assert (await browser.post(PATH, json=choice)).status_code == 400


async def test_a_page_of_another_site_cannot_choose(browser: httpx2.AsyncClient, served: Authorities) -> None:
    form = {"kind": "phone", "fault": "silent"}
    for site in ("cross-site", "same-site"):
        assert (await browser.post(PATH, data=form, headers={"sec-fetch-site": site})).status_code == 403
    assert all(row["fault"] == "" for row in served.simulated.describe())


async def test_authorities_that_are_down_are_said_to_be(clock: ManualClock) -> None:
    application = Starlette(routes=AuthoritiesPage("http://127.0.0.1:1").routes())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://127.0.0.1:8000") as client:
        assert (await client.get(PATH, headers=HTML)).status_code == 502
        assert (await client.post(PATH, data={"kind": "*", "fault": ""})).status_code == 502


def test_the_table_of_peculiar_people_is_the_codes() -> None:
    rows = documents.read_table(documents.read(ROOT / "docs/simulated-authorities.md"), "peculiar")
    assert rows == [[f"{numbers.start}–{numbers.stop - 1}", what] for numbers, (what, _) in PECULIAR.items()]


def start(folder: Path, environment: str, *words: str) -> subprocess.CompletedProcess[str]:
    issuer = "https://id.example.gov.cn" if environment == "production" else "http://127.0.0.1:8000"
    environ = {"IDP_ENVIRONMENT": environment, "IDP_SERVER__ISSUER": issuer, **write_settings(folder)}
    command = [sys.executable, "-m", "idp.demo.processes", "authorities", "--port", "1", *words]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_it_never_starts_in_production(tmp_path: Path) -> None:
    done = start(tmp_path, "production")
    assert done.returncode == 1
    assert "in the demo and in a sandbox only" in done.stderr


def test_it_never_listens_beyond_this_machine(tmp_path: Path) -> None:
    done = start(tmp_path, "demo", "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "127.0.0.1 or ::1 only" in done.stderr
    for host in ("192.0.2.1", "::", "example.org", ""):
        with pytest.raises(SimulatorRefused):
            run_authorities(Starlette(), host, 0)


def test_what_serves_for_real_does_not_hold_it() -> None:
    found = "[name for name in sys.modules if 'simulated' in name or name.startswith('idp.demo')]"
    program = f"import sys, idp.cli, idp.serving, idp.worker; print({found})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "method, path", [("GET", PATH), ("POST", PATH), ("GET", "/face"), ("GET", "/faults"), ("POST", "/operators/checks")]
)
async def test_the_product_serves_none_of_its_addresses(provider_browser: httpx2.AsyncClient, method: str, path: str) -> None:
    assert (await provider_browser.request(method, path)).status_code == 404


@pytest.fixture(scope="module")
async def provider_browser(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    async with run_provider(service_dsn, tmp_path_factory.mktemp("provider")) as provider:
        yield provider.browser
