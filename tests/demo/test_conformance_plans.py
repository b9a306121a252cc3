"""What a conformance run changes in the demo, without starting it: settings that may be, configurations that can be pasted."""

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from idp.authenticators.rules.sms_code import CodeRight, CodeWrong
from idp.authenticators.rules.sms_limits import Send
from idp.authenticators.services.codes import CodeRequest
from idp.cli import main
from idp.demo import conformance
from idp.demo.certificates import CertificateFolder
from idp.demo.client_keys import PRIVATE_PARTS, hide_private_parts
from idp.demo.conformance import ConformanceTarget, SuiteAddress, add_settings
from idp.demo.conformance_clients import PLANS, Plan, find_credentials, make_registration
from idp.demo.conformance_plans import write_configuration, write_dynamic
from idp.demo.decisions import Decisions, NotForConformance
from idp.protocol.rules.client import Basis
from idp.settings import Settings, SettingsError, load_settings
from tests.support.provider import Provider, run_provider
from tests.support.suite import SuiteBrowser

BASE = 'environment = "{environment}"\n[server]\nissuer = "{issuer}"\nport = 8000\n[sms]\ngateway = "none"\n'


def make_target(folder: Path, host: str = "localhost", listen: str = "127.0.0.1", suite: SuiteAddress | None = None) -> ConformanceTarget:
    target = ConformanceTarget(folder, host, listen, 8000, suite or SuiteAddress())
    target.prepare()
    return target


def load(target: ConformanceTarget, folder: Path, environment: str = "demo") -> Settings:
    path = folder / "idp.toml"
    path.write_text(add_settings(BASE.format(environment=environment, issuer=target.issuer), target.write_settings()), encoding="utf-8")
    return load_settings(path, {})


@pytest.mark.parametrize(("host", "listen"), [("localhost", "127.0.0.1"), ("suite.example", "0.0.0.0"), ("suite.example", "127.0.0.1")])
def test_the_settings_are_a_trials(tmp_path: Path, host: str, listen: str) -> None:
    given = tmp_path / "suite.pem"
    given.write_bytes(CertificateFolder(tmp_path / "other").authority.read_bytes())
    target = make_target(tmp_path, host, listen, SuiteAddress("https://suite.example", given, ("172.17.0.0/16",)))
    settings = load(target, tmp_path)
    assert (settings.server.issuer, settings.server.host) == (f"https://{host}:8000", listen)
    assert settings.server.trial_host == ("" if host == "localhost" else host)
    assert (settings.sms.fixed_code, settings.sign_in.proof_bits) == (conformance.FIXED_CODE, 0)
    assert (settings.client_registration.mode, settings.client_registration.requires_pkce) == ("open", False)
    assert settings.protocol.session_management
    assert settings.fetching.allowed_networks == ["172.17.0.0/16"]
    assert Path(settings.fetching.ca_file).read_text().count("BEGIN CERTIFICATE") == 2
    with pytest.raises(SettingsError):
        load(target, tmp_path, "production")


def test_the_socket_has_a_short_name_in_a_closed_folder(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / ("deep" * 25)):
        target = make_target(folder)
        socket = Path(load(target, tmp_path).mtls.socket)
        assert len(str(socket)) <= 100
        assert socket.parent.stat().st_mode & 0o077 == 0
        socket.touch()
        target.clean_up()
        assert not socket.exists()
        assert socket.parent.exists() is (socket.parent == folder)


@pytest.mark.parametrize(("listen", "near"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")])
def test_where_this_machine_reaches_it(tmp_path: Path, listen: str, near: str) -> None:
    assert ConformanceTarget(tmp_path, "suite.example", listen, 8000, SuiteAddress()).near_address == f"https://{near}:8000"


def test_without_nginx_it_goes_on_without_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "find_nginx", lambda: None)
    target = make_target(tmp_path)
    assert load(target, tmp_path).mtls.origin == ""
    said: list[str] = []
    target.announce(said.append)
    assert any("nginx is not installed" in line for line in said)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_a_configuration_of_every_plan(tmp_path: Path, plan: Plan) -> None:
    certificates = CertificateFolder(tmp_path)
    clients = {place: find_credentials(plan, place, tmp_path, certificates) for place in (1, 2)}
    written = json.loads(json.dumps(write_configuration(plan, "https://a", "https://a:1", clients, {1: "s", 2: "s"}, "123456")))
    for place, name in ((1, "client"), (2, "client2")):
        registration = make_registration(plan, place, clients[place], "https://suite.example")
        assert written[name]["client_id"] == registration.client_id
        if plan.has_keys:
            registered = json.loads(registration.keys.jwks or "")
            assert registered == hide_private_parts(written[name]["jwks"])
            assert not set(PRIVATE_PARTS) & registered["keys"][0].keys()
    assert ("mtls" in written, "mtls2" in written) == (plan.mtls, plan.mtls)
    assert written["resource"]["resourceUrl"] == f"https://a{':1' if plan.mtls else ''}/userinfo"
    assert ("automated_ciba_approval_url" in written) is bool(plan.delivery)
    asked = "urn:yizheng:acr:substantial" if plan.delivery else None
    assert [written[name].get("acr_value") for name in ("client", "client2")] == [asked] * 2
    assert ("browser" in written) is not bool(plan.delivery)
    assert clients == {place: find_credentials(plan, place, tmp_path, certificates) for place in (1, 2)}, "what was made is kept"


def test_every_module_has_its_own_commands_in_full() -> None:
    configuration = write_dynamic("https://a", "123456")
    for module in ("", *configuration["override"]):
        SuiteBrowser(configuration, module, ssl.create_default_context())
    for block in (*configuration["browser"], *(block for own in configuration["override"].values() for block in own["browser"])):
        assert block["match"] in ("https://a/authorize*", "https://a/sign-out*")
        for task in block["tasks"]:
            assert task["task"]
            assert all(command[0] in ("text", "click", "wait") and command[1] in ("id", "css") for command in task["commands"])


@pytest.mark.parametrize(
    "words",
    [
        ("--host", "id.example"),
        ("--listen", "0.0.0.0"),
        ("--suite", "https://suite.example"),
        ("--suite-network", "10.0.0.0/8"),
        ("--conformance", "--host", "Id.Example:1"),
        ("--conformance", "--suite", "http://suite.example"),
        ("--conformance", "--suite", "https://suite.example/path"),
        ("--conformance", "--suite-network", "10.0.0.1/8"),
        ("--conformance", "--listen", "everywhere"),
        ("--conformance", "--suite-ca", "/nowhere"),
        ("--conformance", "--with-app"),
    ],
    ids="-".join,
)
def test_words_that_do_not_go_together(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["demo", *words])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "证书"], ids=["empty", "broken", "words"])
def test_a_suites_certificate_must_be_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "suite.pem"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["demo", "--conformance", "--suite-ca", str(file), "--data", str(tmp_path / "data")])
    assert (result.exit_code, result.output.startswith(f"idp: --suite-ca: {file} holds no certificate")) == (2, True), result.output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the keys of this module's database lie."""
    return tmp_path_factory.mktemp("provider")


@pytest.fixture(scope="module")
async def provider(service_dsn: str, home: Path) -> AsyncIterator[Provider]:
    async with run_provider(service_dsn, home) as provider:
        yield provider


async def test_nobody_is_answered_for_outside_a_conformance_run(provider: Provider) -> None:
    with pytest.raises(NotForConformance):
        Decisions(provider.services)
    for method in ("GET", "POST"):
        assert (await provider.browser.request(method, "/demo/ciba?auth_req_id=x&action=allow")).status_code == 404


async def test_nobody_is_answered_for_in_a_sandbox_whose_code_is_known(provider: Provider) -> None:
    platform = provider.services.platform
    known = msgspec.structs.replace(platform.settings.sms, fixed_code="135790")
    for environment in ("sandbox", "production"):
        settings = msgspec.structs.replace(platform.settings, environment=environment, sms=known)
        with pytest.raises(NotForConformance):
            Decisions(replace(provider.services, platform=replace(platform, settings=settings)))


async def test_a_trial_knows_its_codes_and_lets_clients_ask_for_consent(service_dsn: str, home: Path) -> None:
    settings = {"IDP_SMS__FIXED_CODE": "135790", "IDP_CLIENT_REGISTRATION__MODE": "open"}
    settings["IDP_CLIENT_REGISTRATION__TRIAL_CLAIMS"] = "name,email"
    async with run_provider(service_dsn, home, **settings) as trial:
        document = {"client_name": "trial", "redirect_uris": ["https://suite.example/callback"]}
        registered = (await trial.browser.post("/connect/register", json=document)).json()
        client = await trial.services.directory.find(registered["client_id"])
        assert client is not None
        assert [(each.basis, each.claims) for each in client.entitlements] == [(Basis.CONSENT, ("name", "email"))]
        asked = CodeRequest("sign_in", "flow", "+8613912345678", "*", None, "192.0.2.1")
        assert await trial.services.codes.send(asked) == Send()
        assert await trial.services.codes.check(asked.purpose, asked.binding, asked.phone, "135791") == CodeWrong(4)
        assert await trial.services.codes.check(asked.purpose, asked.binding, asked.phone, "135790") == CodeRight()
