"""What an operator does to clients: every command, the same rules as the API, and the second person on a live client."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from idp.kernel.ids import encode_base64url
from idp.platform.migrations import migrate
from tests.commands.test_cli import URI, Operator, assert_one_sentence
from tests.support.clusters import SharedCluster

BASE = ("--name", "样例", "--sector", "s", "--redirect-uri", URI)


def write_settings(folder: Path, dsn: str, environment: str) -> Operator:
    settings = folder / f"{environment}.toml"
    issuer = 'issuer = "https://id.example"' if environment == "production" else ""
    settings.write_text(
        f'environment = "{environment}"\n[server]\n{issuer}\n[database]\ndsn = "{dsn}"\n'
        f'[keys]\nkey_encryption_key_file = "{folder}/kek"\n[audit]\ncheckpoint_file = "{folder}/checkpoints.jsonl"\n',
        encoding="utf-8",
    )
    return Operator(settings)


@pytest.fixture(scope="module")
def operator(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """An operator of this module's database."""
    return write_settings(tmp_path_factory.mktemp("operator"), service_dsn, "demo")


def find_change(output: str) -> str:
    return output.split("change: ")[1].split()[0]


def read_value(output: str, name: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ")


def test_every_metadata_value_travels_by_file(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "client.json"
    file.write_text(json.dumps({"client_name": "文件", "sector": "f", "redirect_uris": [URI], "default_max_age": 60, "isolated": True}))
    added = operator.type("clients", "add", "by-file", "--metadata", str(file), "--name", "选项")
    assert added.exit_code == 0, added.output
    shown = operator.type("clients", "show", "by-file")
    told = json.loads(shown.output[shown.output.index("{") :])
    assert (told["client_name"], told["default_max_age"], told["isolated"]) == ("选项", 60, True)
    file.write_text(json.dumps(told))
    assert read_value(operator.type("clients", "change", "by-file", "--metadata", str(file)).output, "status") == "sandbox"
    assert operator.type("clients", "change", "by-file", "--unset", "default_max_age").exit_code == 0
    assert "default_max_age" not in operator.type("clients", "show", "by-file").output


@pytest.mark.parametrize("text", ["[]", "{", '{"a":1,"a":2}', "x" * 60_000])
def test_a_file_that_is_no_object_is_one_sentence(operator: Operator, tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    assert_one_sentence(operator.type("clients", "add", "x", "--metadata", str(tmp_path / "bad.json")), 2, "--metadata")


def test_what_is_wrong_is_named_as_it_was_typed(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"logo_uri": "ftp://x.example/"}')
    assert_one_sentence(operator.type("clients", "add", "odd", *BASE, "--metadata", str(tmp_path / "odd.json")), 2, "logo_uri")
    assert_one_sentence(operator.type("clients", "add", "odd", "--name", "x", "--redirect-uri", URI), 2, "--sector")
    assert_one_sentence(operator.type("clients", "add", "odd", *BASE, "--scope", "everything"), 2, "--scope")
    (tmp_path / "odd.json").write_text('{"scope": "everything"}')
    assert_one_sentence(operator.type("clients", "add", "odd", *BASE, "--metadata", str(tmp_path / "odd.json")), 2, "idp: scope: ")
    assert_one_sentence(operator.type("clients", "add", "odd", "--name", "x", "--metadata", str(tmp_path / "odd.json")), 2, "idp: sector: ")
    assert_one_sentence(operator.type("clients", "add", "odd", *BASE, "--actor", "a:b"), 2, "--actor")
    assert_one_sentence(operator.type("clients", "change", "odd", "--name", "x"), 1, "no such client")
    assert_one_sentence(operator.type("clients", "change", "odd"), 2, "nothing to change")
    assert_one_sentence(operator.type("clients", "approve", "odd", "--actor", "operator-1"), 1, "no such change")


def test_on_a_live_client_another_operator_approves(operator: Operator) -> None:
    assert read_value(operator.type("clients", "add", "served", *BASE, "--live").output, "status") == "live"
    moved = operator.type("clients", "change", "served", "--redirect-uri", "https://other.example/cb", "--actor", "operator-1")
    assert moved.exit_code == 0, moved.output
    change = find_change(moved.output)
    assert "other.example" not in operator.type("clients", "show", "served").output
    waiting = operator.type("clients", "changes").output
    assert f"{change}  served  change  pending" in waiting
    assert 'redirect_uris: ["https://other.example/cb"]' in waiting
    assert_one_sentence(operator.type("clients", "approve", change, "--actor", "operator-1"), 1, "Somebody else")
    assert operator.type("clients", "approve", change, "--actor", "operator-2").exit_code == 0
    assert "other.example" in operator.type("clients", "show", "served").output
    assert_one_sentence(operator.type("clients", "approve", change, "--actor", "operator-2"), 1, "approved")
    assert "by operator:operator-2" in operator.type("clients", "changes", "--state", "approved", "--client", "served").output
    assert operator.type("clients", "changes", "--client", "served").output == "no change is pending\n"
    assert_one_sentence(operator.type("clients", "changes", "--client", "nobody"), 1, "no such client")


def test_a_change_is_refused(operator: Operator) -> None:
    operator.type("clients", "add", "kept", *BASE, "--live")
    change = find_change(operator.type("clients", "change", "kept", "--scope", "profile", "--actor", "operator-1").output)
    assert operator.type("clients", "refuse", change, "--reason", "case 7", "--actor", "operator-2").exit_code == 0
    assert "refused" in operator.type("clients", "changes", "--state", "refused").output
    assert_one_sentence(operator.type("clients", "refuse", change, "--reason", "\x07", "--actor", "operator-2"), 2, "--reason")


def test_a_client_is_suspended_resumed_and_retired(operator: Operator) -> None:
    operator.type("clients", "add", "moving", *BASE)
    for word, status in (("suspend", "suspended"), ("resume", "sandbox"), ("go-live", "reviewing"), ("retire", "retired")):
        assert read_value(operator.type("clients", word, "moving").output, "status") == status
    assert_one_sentence(operator.type("clients", "resume", "moving"), 1, "retired")


def test_a_secret_is_rotated(operator: Operator) -> None:
    first = read_value(operator.type("clients", "add", "secretive", *BASE).output, "client_secret")
    second = read_value(operator.type("clients", "rotate-secret", "secretive", "--overlap", "60").output, "client_secret")
    assert len(second) == 43
    assert first != second


def test_a_live_clients_secret_takes_two_operators(operator: Operator) -> None:
    operator.type("clients", "add", "guarded", *BASE, "--live")
    change = find_change(operator.type("clients", "rotate-secret", "guarded", "--overlap", "60", "--actor", "operator-1").output)
    assert_one_sentence(operator.type("clients", "take-secret", change, "--actor", "operator-1"), 1, "no secret")
    approved = operator.type("clients", "approve", change, "--actor", "operator-2")
    assert (approved.exit_code, "client_secret" in approved.output) == (0, False)
    assert_one_sentence(operator.type("clients", "take-secret", change, "--actor", "operator-2"), 1, "who asked")
    assert len(read_value(operator.type("clients", "take-secret", change, "--actor", "operator-1").output, "client_secret")) == 43


def test_an_operator_appoints_who_administers(operator: Operator) -> None:
    words = ("clients", "add", "staff", "--name", "x", "--sector", "s", "--grant-type", "client_credentials", "--scope", "clients:read")
    assert operator.type(*words, "--live").exit_code == 0
    assert_one_sentence(operator.type("clients", "add", "mixed", *BASE, "--scope", "clients:read"), 2, "--scope")


def test_clients_are_listed_in_columns(operator: Operator) -> None:
    for client_id in ("short", "one-with-a-much-longer-id"):
        operator.type("clients", "add", client_id, *BASE)
    lines = operator.type("clients", "list").output.splitlines()
    assert len({re.split(" {2,}", line)[0] for line in lines}) == len(lines) > 1
    assert len({line.index(line.split()[2]) for line in lines}) == 1


def test_an_initial_token_is_printed_where_somebody_can_register(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_one_sentence(operator.type("clients", "initial-token", "--label", "dept 7"), 1, "client_registration.mode")
    monkeypatch.setenv("IDP_CLIENT_REGISTRATION__MODE", "token")
    assert len(read_value(operator.type("clients", "initial-token", "--label", "dept 7").output, "initial_access_token")) == 43
    assert_one_sentence(operator.type("clients", "initial-token", "--label", "张三"), 2, "--label")
    assert operator.type("clients", "initial-token", "--label", "x", "--uses", "0").exit_code == 2


async def test_in_production_nobody_sets_a_client_live_alone(cluster: SharedCluster, tmp_path: Path) -> None:
    name = await cluster.empty()
    try:
        await migrate(cluster.owner_dsn(name), "production")
        (tmp_path / "kek").write_text(encode_base64url(b"k" * 32))
        (tmp_path / "kek").chmod(0o600)
        operator = write_settings(tmp_path, cluster.service_dsn(name), "production")
        added = await asyncio.to_thread(operator.type, "clients", "add", "land", *BASE, "--live", "--actor", "operator-1")
        assert added.exit_code == 0, added.output
        assert read_value(added.output, "status") == "reviewing"
        assert len(read_value(added.output, "client_secret")) == 43
        change = find_change(added.output)
        alone = await asyncio.to_thread(operator.type, "clients", "approve", change, "--actor", "operator-1")
        assert_one_sentence(alone, 1, "Somebody else")
        approved = await asyncio.to_thread(operator.type, "clients", "approve", change, "--actor", "operator-2")
        assert read_value(approved.output, "status") == "live"
    finally:
        await cluster.drop(name)
