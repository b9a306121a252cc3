"""The demo as a process: what it refuses, what it keeps, how it ends, and that nothing of it is in the product."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from starlette.routing import Route

from idp.demo.population import SIZE, make_person
from idp.demo.site import DemoSite, NotLoopback
from idp.kernel.clock import read_system_clock
from idp.people.rules.identifiers import DOCUMENT_KINDS, IdentifierKind, IdNumber, parse_document, parse_id_number, parse_phone
from idp.people.rules.names import RealName, check_name
from tests.support.demo import ROOT, DemoProcess, RunningDemo, find_three_ports
from tests.support.forms import FormsBrowser, enter_department, sign_in
from tests.support.provider import run_provider

pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.timeout(300)]


def start_demo(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a demo that is expected to refuse."""
    return subprocess.run([sys.executable, "-m", "idp", "demo", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_busy_port_and_a_busy_folder_are_one_sentence(tmp_path: Path) -> None:
    port = find_three_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        refused = start_demo("--port", str(port), "--data", str(tmp_path / "a"))
    assert refused.returncode == 1
    assert refused.stderr == f"idp: The port {port + 1} is in use; stop what uses it or choose another one with --port.\n"
    with DemoProcess(port, "--data", str(tmp_path / "b")) as demo:
        assert demo.lines[-1].startswith("ready: ")
        refused = start_demo("--port", str(port + 10), "--data", str(tmp_path / "b"))
        assert refused.returncode == 1
        assert "already running" in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_it_keeps_its_data_forgets_them_on_reset_and_leaves_nothing_running(tmp_path: Path) -> None:
    port, data = find_three_ports(), str(tmp_path / "data")
    browser = FormsBrowser()
    with DemoProcess(port, "--data", data) as demo:
        enter_department(browser, demo.departments[0])
        first = sign_in(browser, demo.issuer, demo.identifier, demo.password, demo.phone).texts["sub"]
    assert list_processes(data, demo) == []
    with DemoProcess(port, "--data", data) as demo:
        again = enter_department(browser, demo.departments[0])
        assert again.texts["sub"] == first, "the session and the subject were kept"
    with DemoProcess(port, "--data", data, "--reset") as demo:
        page = enter_department(browser, demo.departments[0])
        assert page.url.startswith(demo.issuer + "/sign-in")


@pytest.mark.parametrize("part", ["worker", "postgres"])
def test_the_death_of_a_part_stops_everything_and_says_so(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Settings of another installation in the caller's shell are not the demo's.
    monkeypatch.setenv("IDP_SERVER__ISSUER", "https://elsewhere.example")
    monkeypatch.setenv("IDP_UNKNOWN__SETTING", "1")
    data = str(tmp_path / "data")
    with DemoProcess(find_three_ports(), "--data", data) as demo:
        pattern = "idp worker" if part == "worker" else "bin/postgres -D"
        (victim,) = [pid for pid, line in list_commands() if pattern in line and is_descendant(pid, demo.process.pid)]
        os.kill(victim, signal.SIGKILL)
        assert demo.process.wait(40) == 1
    assert list_processes(data, demo) == []
    said = capfd.readouterr().err
    if part == "worker":
        assert said == "idp: The part worker ended unexpectedly (-9); everything was stopped. It wrote nothing.\n"
    else:
        assert "ended unexpectedly" in said


def test_killing_the_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with DemoProcess(find_three_ports(), "--data", data) as demo:
        os.kill(demo.process.pid, signal.SIGKILL)
        demo.process.wait(30)
        end = time.monotonic() + 40
        while list_processes(data, demo) and time.monotonic() < end:
            time.sleep(0.2)
        assert list_processes(data, demo) == []


def list_commands() -> list[tuple[int, str]]:
    """Return every process with its command line and its settings file."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                environ = (folder / "environ").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            settings = environ.partition("IDP_SETTINGS=")[2].partition(" ")[0]
            found.append((int(folder.name), f"{command} {settings}"))
    return found


def list_processes(data: str, demo: RunningDemo) -> list[str]:
    """Return the processes that work on a demo's data, also where its database had to live elsewhere."""
    places = [data, *(line.removeprefix("data: ") for line in demo.lines if line.startswith("data: "))]
    return [line for pid, line in list_commands() if any(place in line for place in places) and pid != os.getpid()]


def is_descendant(pid: int, ancestor: int) -> bool:
    """Tell whether one process was started, directly or not, by another."""
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def test_the_population_is_valid_distinct_and_the_same_everywhere() -> None:
    people = [make_person(number) for number in range(0, SIZE, 3)]
    today = read_system_clock().date()
    assert all(parse_id_number(p.id_number, today) is not None for p in people)
    for person in (make_person(number) for number in range(9_800, 9_900)):
        document = parse_document(IdentifierKind(person.document_kind), person.id_number, today)
        assert isinstance(document, IdNumber), (person.document_kind, document)
        assert not document.doubtful
        assert isinstance(check_name(person.name), RealName)
    assert {make_person(number).document_kind for number in range(9_800, 9_900)} == set(DOCUMENT_KINDS) - {"resident_id"}
    assert {make_person(number).document_kind for number in (*range(9_800), *range(9_900, SIZE))} == {"resident_id"}
    assert all(parse_phone(p.phone) is not None for p in people)
    for field in ("id_number", "phone", "bank_card", "social_security_card", "housing_fund_account", "driver_license_file_number"):
        assert len({getattr(p, field) for p in people}) == len(people)
    assert make_person(0).id_number == "350102194001010005"


async def test_the_product_has_none_of_the_demos_addresses(service_dsn: str, tmp_path: Path) -> None:
    async with run_provider(service_dsn, tmp_path) as provider:
        for path in ("/demo", "/demo/people", "/demo/outbox", "/demo/authorities"):
            assert (await provider.browser.get(path)).status_code == 404
        routes = DemoSite(provider.services).routes()
        assert {r.path for r in routes if isinstance(r, Route)} == {"/demo", "/demo/people", "/demo/outbox", "/demo/authorities"}
        platform = provider.services.platform
        for changed in (
            {"environment": "production"},
            {"server": msgspec.structs.replace(platform.settings.server, issuer="https://id.example")},
        ):
            settings = msgspec.structs.replace(platform.settings, **changed)
            with pytest.raises(NotLoopback):
                DemoSite(replace(provider.services, platform=replace(platform, settings=settings)))
