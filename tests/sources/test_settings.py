"""An authority is settings: by file or environment, refused in one sentence when it makes no sense, and asked as soon as it is there."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from idp.composition import SettingRefused, StartRefused, open_platform
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Random
from idp.settings import DatabaseSettings, Settings, SettingsError, describe_settings, load_settings
from idp.sources.source import Check
from tests.support.authorities import simulate_authorities
from tests.support.clocks import ManualClock
from tests.support.provider import run_provider

GOOD: dict[str, Any] = {
    "kinds": ["identity", "phone"],
    "endpoint": "https://verify.example.gov.cn/identity",
    "app_key": "province-idp",
    "secret_file": "/nowhere/secret",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that belong to this module's database."""
    return tmp_path_factory.mktemp("provider")


def load(environment: str = "production", table: object = None, name: str = "police", **changes: Any) -> Settings:
    given = {name: {key: value for key, value in {**GOOD, **changes}.items() if value is not None}} if table is None else table
    return load_settings(
        None,
        {
            "IDP_ENVIRONMENT": environment,
            "IDP_SERVER__ISSUER": "https://id.example.gov.cn" if environment == "production" else "http://127.0.0.1:8000",
            "IDP_SOURCES__AUTHORITIES": json.dumps(given),
        },
    )


def test_an_authority_of_the_file_and_of_the_environment_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "idp.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in GOOD.items()]
    file.write_text('[server]\nissuer = "https://id.example.gov.cn"\n[sources.authorities.police]\n' + "\n".join(lines), encoding="utf-8")
    table = tmp_path / "authorities.json"
    table.write_text(json.dumps({"police": GOOD}), encoding="utf-8")
    named = load_settings(None, {"IDP_SERVER__ISSUER": "https://id.example.gov.cn", "IDP_SOURCES__AUTHORITIES_FILE": str(table)})
    assert load_settings(file, {}).sources == named.sources == load().sources
    authority = named.sources.authorities["police"]
    assert authority.kinds == [CheckKind.IDENTITY, CheckKind.PHONE]
    assert (authority.time_limit_seconds, authority.connect_seconds) == (0, 1)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"name": "Police Station"}, "small letters"),
        ({"kinds": []}, "kinds is empty"),
        ({"kinds": ["identity", "identity"]}, "answers already"),
        ({"kinds": ["dna"]}, "dna"),
        ({"kinds": None}, "kinds"),
        ({"endpoint": "http://verify.example.gov.cn/identity"}, "https://"),
        ({"endpoint": "verify.example.gov.cn"}, "is not an address"),
        ({"endpoint": ""}, "is not an address"),
        ({"endpoint": "https://[::1"}, "is not an address"),
        ({"endpoint": "https://host/a b"}, "is not an address"),
        ({"endpoint": "https://user:word@host/a"}, "no user and no password"),
        ({"endpoint": "https://host:/a"}, "no user and no password"),
        ({"endpoint": "https://host/a/"}, "no slash"),
        ({"endpoint": "https://host/a?b"}, "no query"),
        ({"endpoint": "https://host/a#b"}, "no query"),
        ({"endpoint": "ftp://host/a"}, "https://"),
        ({"page": "https://host/face"}, "real_person"),
        ({"page": "http://host/face", "kinds": ["real_person"]}, "page must begin with https://"),
        ({"app_key": "a b"}, "app_key"),
        ({"secret_file": ""}, "secret_file is empty"),
        ({"time_limit_seconds": 31}, "time_limit_seconds"),
        ({"connect_seconds": 0}, "connect_seconds"),
        ({"secret": "word"}, "secret"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**changes)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_kind_has_two_authorities() -> None:
    with pytest.raises(
        SettingsError, match=r"sources\.authorities\.second\.kinds names phone, which sources\.authorities\.first answers already"
    ):
        load(table={"first": GOOD, "second": {**GOOD, "kinds": ["phone"]}})


@pytest.mark.parametrize("environment", ["demo", "sandbox"])
def test_synthetic_people_are_never_sent_to_a_real_authority(environment: str) -> None:
    with pytest.raises(SettingsError, match="loopback address outside production"):
        load(environment)
    for endpoint in ("http://127.0.0.1:9000/police", "http://localhost:9000/police", "https://[::1]/police"):
        assert load(environment, endpoint=endpoint).sources.authorities["police"].endpoint == endpoint
    assert load("production", endpoint="http://127.0.0.1:9000").sources.authorities


@pytest.mark.parametrize("value", ["", "[]", "police", "{", '{"police": 1}', '"\ud800"'])
def test_a_table_in_a_variable_is_json(value: str) -> None:
    with pytest.raises(SettingsError):
        load_settings(None, {"IDP_SOURCES__AUTHORITIES": value})


def test_single_entries_have_no_variable_and_it_says_so() -> None:
    with pytest.raises(SettingsError, match="IDP_SOURCES__AUTHORITIES takes the whole table as JSON"):
        load_settings(None, {"IDP_SOURCES__AUTHORITIES__POLICE__ENDPOINT": "https://host"})


def test_an_unknown_key_of_an_authority_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "idp.toml"
    file.write_text('[sources.authorities.police]\nendpiont = "x"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"did you mean sources\.authorities\.police\.endpoint\?"):
        load_settings(file, {})
    file.write_text("[sources.authorities]\npolice = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="must be a table"):
        load_settings(file, {})


def test_the_settings_can_be_shown() -> None:
    (line,) = [line for line in describe_settings(load()) if line.startswith("sources.authorities")]
    assert "verify.example.gov.cn" in line


@pytest.mark.parametrize("secret, said", [(None, "cannot be read"), (b"short", "at least 32 bytes"), (b" " * 40, "at least 32 bytes")])
async def test_a_secret_that_cannot_be_used_refuses_to_start(
    clock: ManualClock, random: Random, tmp_path: Path, secret: bytes | None, said: str
) -> None:
    if secret is not None:
        (tmp_path / "secret").write_bytes(secret)
    settings = load("demo", endpoint="http://127.0.0.1:9000/a", secret_file=str(tmp_path / "secret"))
    settings = msgspec.structs.replace(settings, database=DatabaseSettings(dsn="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(SettingRefused, match=said) as refused:
        await open_platform(settings, clock, random)
    assert "short" not in str(refused.value)
    with pytest.raises(StartRefused, match="cannot be reached"):
        await open_platform(settings, clock, random, with_sources=False)


async def test_a_provider_asks_its_authorities(service_dsn: str, folder: Path) -> None:
    async with run_provider(service_dsn, folder) as provider:
        sources = provider.services.platform.sources
        assert sources.kinds == frozenset(CheckKind)
        page = sources.find_page(CheckKind.REAL_PERSON)
        assert page is not None
        assert page.endswith("/face")
        subject = {"name": "无此人", "document_kind": "resident_id", "id_number": "350102199003079999"}
        check = Check("question-1", CheckKind.IDENTITY, subject, "registration")
        assert (await sources.check(check, 3)).result is CheckResult.NOT_FOUND
        assert provider.authorities.count_calls("identity") == 1
        provider.authorities.set_fault("identity", "error_500", times=1)
        assert (await sources.check(check, 3)).reason == "status_500"
        exposition = provider.services.metrics.write_exposition().decode()
        asked = 'idp_source_questions_total{kind="identity",reason="status_500",result="unavailable",source="public-security"} 1.0'
        assert asked in exposition
        assert "350102" not in exposition


async def test_a_provider_without_authorities_answers_unavailable(service_dsn: str, folder: Path) -> None:
    async with run_provider(service_dsn, folder, IDP_SOURCES__AUTHORITIES="{}") as provider:
        outcome = await provider.services.platform.sources.check(Check("question-1", CheckKind.PHONE, {}, "registration"), 3)
        assert (outcome.result, outcome.reason) == (CheckResult.UNAVAILABLE, "nobody")


async def test_the_settings_of_breaker_and_bulkhead_reach_it(service_dsn: str, folder: Path, clock: ManualClock) -> None:
    authorities = simulate_authorities(clock)
    changes = {"IDP_SOURCES__BREAKER_CALLS": "3", "IDP_SOURCES__BREAKER_REST_SECONDS": "2"}
    async with run_provider(service_dsn, folder, **authorities.write_settings(folder), **changes) as provider:
        sources = provider.services.platform.sources
        provider.authorities.set_fault("phone", "error_500")
        checks = [Check(f"question-{n}", CheckKind.PHONE, {"phone": "+8613800138000"}, "registration") for n in range(4)]
        reasons = [(await sources.check(check, 3)).reason for check in checks]
        assert reasons == ["status_500"] * 3 + ["breaker"]
        provider.authorities.clear_faults()
        provider.clock.advance(2)
        assert (await sources.check(checks[0], 3)).result is CheckResult.INVALID_INPUT
