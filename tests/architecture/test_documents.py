"""The documents are true where a machine can tell: links, commands, settings, scopes, errors, both languages, the samples in deploy/."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from bench.run import BUDGETS
from idp.cli import main
from idp.protocol.rules.scopes import SCOPES
from idp.settings import Settings, load_settings
from tests.support import documents
from tests.support.documents import ROOT

DOCUMENTS = documents.list_documents()
TRANSLATED = (
    "README",
    "CONTRIBUTING",
    "docs/admin-api",
    "docs/architecture",
    "docs/conformance",
    "docs/operations",
    "docs/performance",
    "docs/relying-party",
    "docs/integration/clients",
    "docs/integration/devices",
    "docs/integration/errors",
    "docs/integration/levels",
    "docs/integration/requests",
    "docs/integration/moving",
    "docs/integration/proving",
    "examples/app_entry/README",
    "examples/department/README",
    "tests/relying_parties/README",
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def list_settings() -> dict[str, object]:
    found: dict[str, object] = {}
    for section, value in msgspec.to_builtins(Settings()).items():
        if isinstance(value, dict):
            found.update({f"{section}.{key}": inner for key, inner in value.items()})
        else:
            found[section] = value
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    assert documents.find_broken_links(path) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_exist(path: Path) -> None:
    for words in documents.find_commands(documents.read(path)):
        command: click.Command = main
        group = click.Context(main)
        left = list(words)
        while isinstance(command, click.Group) and left:
            if left[0] == "--settings":
                left = left[2:]
                continue
            if "|" in left[0] or not re.fullmatch(r"[a-z][a-z-]*", left[0]):
                break
            found = command.get_command(group, left[0])
            assert found is not None, f"there is no command: idp {' '.join(words)}"
            command, left = found, left[1:]
        known = {option for parameter in (*command.params, *main.params) for option in parameter.opts} | {"--help", "--version"}
        given = {word.strip("`,.;)").partition("=")[0] for word in left if word.startswith("--")}
        assert given <= known, f"idp {' '.join(words)}: {given - known}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_scripts_exist(path: Path) -> None:
    missing = {script for script in documents.find_scripts(documents.read(path)) if not (ROOT / script).exists()}
    assert not missing - {"scripts/shows/NN-name"}


@pytest.mark.parametrize("stem", TRANSLATED)
def test_both_languages_exist_and_name_each_other(stem: str) -> None:
    english, chinese = ROOT / f"{stem}.md", ROOT / f"{stem}.zh-CN.md"
    assert chinese.name in documents.find_links(documents.read(english))
    assert english.name in documents.find_links(documents.read(chinese))


def test_no_translation_stands_alone() -> None:
    translated = {name(path).removesuffix(".zh-CN.md") for path in DOCUMENTS if path.name.endswith(".zh-CN.md")}
    assert translated == set(TRANSLATED)


@pytest.mark.parametrize("stem", ["README", "docs/admin-api", "docs/relying-party", "docs/operations"])
def test_both_languages_show_the_same_code(stem: str) -> None:
    english, chinese = (list(documents.find_blocks(documents.read(ROOT / f"{stem}{end}"))) for end in (".md", ".zh-CN.md"))
    kept = [[(language, strip_comments(body)) for language, body in blocks if language != "mermaid"] for blocks in (english, chinese)]
    assert kept[0] == kept[1]


def strip_comments(body: str) -> str:
    return "\n".join(re.sub(r"\s*# .*", "", line) for line in body.splitlines())


@pytest.mark.parametrize("file", ["docs/operations.md", "docs/operations.zh-CN.md"])
def test_every_setting_is_explained_with_its_default(file: str) -> None:
    rows = documents.read_table(documents.read(ROOT / file), "settings")
    written = {row[0].strip("`"): json.loads(row[1].strip("`")) for row in rows}
    assert written == list_settings()
    assert list(written) == list(list_settings()), "the order is the code's"
    assert all(row[2] for row in rows)


@pytest.mark.parametrize("file", ["docs/relying-party.md", "docs/relying-party.zh-CN.md"])
def test_the_table_of_scopes_is_the_codes(file: str) -> None:
    rows = documents.read_table(documents.read(ROOT / file), "scopes")
    written = {row[0].strip("`"): tuple(tuple(documents.CODE.findall(cell)) for cell in row[1:]) for row in rows}
    assert written == {scope.name: (scope.claims, scope.needs_entitlement) for scope in SCOPES.values()}


@pytest.mark.parametrize("file", ["docs/integration/errors.md", "docs/integration/errors.zh-CN.md"])
def test_every_oauth_error_is_explained(file: str) -> None:
    rows = documents.read_table(documents.read(ROOT / file), "errors")
    assert {row[0].strip("`") for row in rows} == documents.find_protocol_errors()
    assert all(all(row) for row in rows)


@pytest.mark.parametrize("file", ["docs/operations.md", "docs/operations.zh-CN.md"])
def test_every_command_is_listed(file: str) -> None:
    shown = {" ".join(words) for words in documents.find_commands(documents.read(ROOT / file))}
    assert set(list_commands(main)) <= shown


def list_commands(group: click.Group) -> Iterator[str]:
    """Yield every command as it is typed; a group is not one."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from (f"{word} {inner}" for inner in list_commands(command))
        else:
            yield word


def test_the_table_of_budgets_is_the_benchs() -> None:
    rows = documents.read_table(documents.read(ROOT / "docs/performance.md"), "budgets")
    assert {row[0]: float(row[1]) for row in rows} == {budget.name: budget.least for budget in BUDGETS}


def test_every_decision_is_in_the_index() -> None:
    index = documents.find_links(documents.read(ROOT / "docs/adr/README.md"))
    records = sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(record[:4]) for record in records] == list(range(1, len(records) + 1))
    assert set(records) <= set(index)


def test_sample_settings_start_a_production_installation() -> None:
    settings = load_settings(ROOT / "deploy/idp.toml", {})
    assert settings.environment == "production"
    assert settings.server.issuer.startswith("https://")
    assert settings.server.trusted_proxy_hops == 1, "deploy/nginx.conf is one hop"
    assert not settings.database.dsn, "a sample holds no connection"


def test_sample_environment_names_settings_that_exist(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://127.0.0.1/idp\n", encoding="utf-8")
    lines = [line.partition("=") for line in documents.read(ROOT / "deploy/idp.env").splitlines() if line and not line.startswith("#")]
    environ = {key: str(tmp_path / "secret") if key.endswith("_FILE") else value for key, _, value in lines}
    assert load_settings(ROOT / "deploy/idp.toml", environ).database.dsn == "postgresql://127.0.0.1/idp"


def test_sample_proxy_and_units_fit_the_settings() -> None:
    settings = load_settings(ROOT / "deploy/idp.toml", {})
    proxy = documents.read(ROOT / "deploy/nginx.conf")
    assert f"server {settings.server.host}:{settings.server.port};" in proxy
    assert f"server_name {settings.server.issuer.removeprefix('https://')};" in proxy
    assert f"client_max_body_size {settings.server.body_limit // 1024}k;" in proxy
    for process in ("serve", "worker"):
        unit = documents.read(ROOT / f"deploy/systemd/idp-{process}.service")
        started = re.search(r"^ExecStart=\S+/idp (\w+)$", unit, re.MULTILINE)
        assert started is not None
        assert started[1] == process
        assert started[1] in main.commands
        assert settings.audit.checkpoint_file.startswith("/var/lib/yizheng/")
        assert "StateDirectory=yizheng\n" in unit


def test_broken_links_and_wrong_tables_are_found(tmp_path: Path) -> None:
    assert documents.find_links("[a](gone.md) `[b](code.md)`\n```md\n[c](fenced.md)\n```\n") == ["gone.md"]
    broken = ROOT / "docs" / "not-a-file.md"
    assert not broken.exists()
    probe = tmp_path / "probe.md"
    probe.write_text("[x](README.md)\n", encoding="utf-8")
    assert documents.find_broken_links(probe) == ["README.md"]
    assert documents.find_commands("```sh\nIDP_X=1 /opt/bin/idp keys list # why\n```\n`idp nonsense`") == [["keys", "list"], ["nonsense"]]
    with pytest.raises(KeyError):
        documents.read_table("| a | b |\n", "settings")
