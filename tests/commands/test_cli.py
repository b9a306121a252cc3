"""What an operator types: each command on a real database, one sentence per error, exit code 2 for wrong arguments or settings."""

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import click
import pytest
from click.testing import CliRunner, Result

from idp.cli import main
from idp.commands.clients import parse_entitlement
from sms import TEMPLATES
from tests.support.clusters import SharedCluster

URI = "https://department.example/callback"


class Operator:
    """Somebody at a terminal with a settings file."""

    def __init__(self, settings: Path) -> None:
        self._settings = settings

    def type(self, *words: str, environ: dict[str, str] | None = None) -> Result:
        """Run a command."""
        clean = {"IDP_SETTINGS": "", **(environ or {})}
        return CliRunner().invoke(main, ["--settings", str(self._settings), *words], env=clean)


@pytest.fixture(scope="module")
def operator(owner_dsn: str, service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """An operator of this module's database."""
    folder = tmp_path_factory.mktemp("operator")
    settings = folder / "idp.toml"
    settings.write_text(
        f'environment = "demo"\n[database]\ndsn = "{service_dsn}"\nowner_dsn = "{owner_dsn}"\n'
        f'[keys]\nkey_encryption_key_file = "{folder}/kek"\n[audit]\ncheckpoint_file = "{folder}/checkpoints.jsonl"\n',
        encoding="utf-8",
    )
    return Operator(settings)


def assert_one_sentence(result: Result, code: int, *parts: str) -> None:
    """The command failed with this code and said one line that contains the parts."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("idp: ")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    for part in parts:
        assert part in lines[0]


def test_settings_are_checked_and_secrets_not_shown(operator: Operator) -> None:
    result = operator.type("settings", "check")
    assert result.exit_code == 0
    assert "database.dsn = (set)" in result.output
    assert "postgresql://" not in result.output
    assert "sign_in.code_tries = 5" in result.output


PRODUCTION = {"IDP_ENVIRONMENT": "production", "IDP_SERVER__ISSUER": "https://id.example"}

DEVICE = {
    "IDP_KEYS__PROVIDER": "pkcs11",
    "IDP_KEYS__PKCS11_MODULE": "/nowhere/lib.so",
    "IDP_KEYS__PKCS11_TOKEN": "synthetic",
    "IDP_KEYS__PKCS11_PIN_FILE": "/nowhere/pin",
}


@pytest.mark.parametrize(
    ("environ", "parts"),
    [
        ({"IDP_SERVER__PRT": "1"}, ("IDP_SERVER__PRT", "did you mean IDP_SERVER__PORT")),
        ({"IDP_SERVER__PORT": "many"}, ("port",)),
        ({"IDP_SERVER__PORT": "0"}, ("port",)),
        ({"IDP_SERVER__ISSUER": "http://id.example"}, ("https://",)),
        ({"IDP_SERVER__ISSUER": "https://id.example/"}, ("slash",)),
        ({"IDP_ENVIRONMENT": "demo", "IDP_SERVER__ISSUER": "https://id.example"}, ("loopback",)),
        ({"IDP_ENVIRONMENT": "demo", "IDP_SERVER__ISSUER": "https://id.example", "IDP_SERVER__TRIAL_HOST": "x.example"}, ("trial_host",)),
        ({"IDP_ENVIRONMENT": "demo", "IDP_SERVER__ISSUER": "http://id.example", "IDP_SERVER__TRIAL_HOST": "id.example"}, ("https://",)),
        ({**PRODUCTION, "IDP_SERVER__TRIAL_HOST": "id.example"}, ("trial_host", "production")),
        ({**PRODUCTION, "IDP_SMS__FIXED_CODE": "123456"}, ("sms.fixed_code", "production")),
        ({**PRODUCTION, "IDP_PROTOCOL__BACKCHANNEL_LIMITS": "false"}, ("protocol.backchannel_limits", "production")),
        ({**PRODUCTION, "IDP_CLIENT_REGISTRATION__TRIAL_CLAIMS": "name"}, ("client_registration.trial_claims", "production")),
        ({"IDP_CLIENT_REGISTRATION__TRIAL_CLAIMS": "name,shoe_size"}, ("client_registration.trial_claims", "shoe_size")),
        ({"IDP_SMS__FIXED_CODE": "12345"}, ("sms.fixed_code", "six digits")),
        ({"IDP_SMS__FIXED_CODE": "12345\u0661"}, ("sms.fixed_code", "six digits")),
        ({"IDP_DATABASE__DSN_FILE": "/nowhere"}, ("IDP_DATABASE__DSN_FILE", "cannot be read")),
        ({"IDP_SERVER__ISSUER": "https://"}, ("server.issuer", "host")),
        ({"IDP_SERVER__ISSUER": "id.example"}, ("server.issuer", "host")),
        ({"IDP_SERVER__ISSUER": "https://id.example:many"}, ("server.issuer", "host")),
        ({"IDP_SERVER__ISSUER": "http://127.0.0.1:80@id.example"}, ("server.issuer", "host")),
        ({"IDP_SERVER__ISSUER": "https://id.example/sso"}, ("server.issuer", "path")),
        ({"IDP_SERVER__ISSUER": "https://id.example?x=1"}, ("server.issuer", "query")),
        ({"IDP_COOKIE_SUFFIX": "a;b"}, ("cookie_suffix", "letters")),
        ({"IDP_ENVIRONMENT": "production", "IDP_KEYS__PENDING_SECONDS": "599"}, ("keys.pending_seconds", "600")),
        ({"IDP_SERVER__METRICS_TOKEN": "short"}, ("server.metrics_token", "32")),
        ({"IDP_KEYS__ALGORITHMS": "ES256,HS256"}, ("keys.algorithms", "HS256", "SGD_SM3_SM2")),
        ({"IDP_KEYS__ALGORITHMS": "RS256"}, ("keys.algorithms", "ES256")),
        ({"IDP_KEYS__ROTATE_AFTER_DAYS": "-1"}, ("rotate_after_days",)),
        ({"IDP_KEYS__RETIRING_SECONDS": "299"}, ("keys.retiring_seconds", "300")),
        ({"IDP_KEYS__RETIRING_SECONDS": "600", "IDP_PROTOCOL__ID_TOKEN_SECONDS": "601"}, ("keys.retiring_seconds", "601")),
        ({"IDP_KEYS__PROVIDER": "pkcs12"}, ("provider",)),
        ({"IDP_KEYS__PROVIDER": "pkcs11"}, ("keys.pkcs11_module",)),
        ({"IDP_KEYS__PKCS11_MODULE": "/lib.so"}, ("keys.pkcs11_token",)),
        ({"IDP_KEYS__PKCS11_MODULE": "/lib.so", "IDP_KEYS__PKCS11_TOKEN": "t"}, ("keys.pkcs11_pin_file",)),
        ({**DEVICE, "IDP_KEYS__ALGORITHMS": "ES256,EdDSA"}, ("keys.algorithms", "EdDSA", "PS256")),
    ],
)
def test_wrong_settings_are_named_in_one_sentence(operator: Operator, environ: dict[str, str], parts: Sequence[str]) -> None:
    assert_one_sentence(operator.type("settings", "check", environ=environ), 2, *parts)


ALIYUN = {
    "IDP_SMS__GATEWAY": "aliyun",
    "IDP_SMS__ACCESS_KEY_ID": "synthetic",
    "IDP_SMS__ACCESS_KEY_SECRET_FILE": "/nowhere",
    "IDP_SMS__SIGN_NAME": "样例",
}


@pytest.mark.parametrize("left_out", ["ACCESS_KEY_ID", "ACCESS_KEY_SECRET_FILE", "SIGN_NAME"])
def test_an_sms_gateway_needs_its_account(operator: Operator, left_out: str) -> None:
    assert operator.type("settings", "check", environ=ALIYUN).exit_code == 0
    assert_one_sentence(operator.type("settings", "check", environ={**ALIYUN, f"IDP_SMS__{left_out}": ""}), 2, f"sms.{left_out.lower()}")


def test_a_code_that_everybody_knows_is_never_sent_and_never_shown(operator: Operator) -> None:
    simulator = {**ALIYUN, "IDP_SMS__ENDPOINT": "http://127.0.0.1:9", "IDP_SMS__FIXED_CODE": "135790"}
    for environ in (simulator, {"IDP_SMS__FIXED_CODE": "135790"}):
        shown = operator.type("settings", "check", environ=environ)
        assert shown.exit_code == 0
        assert "sms.fixed_code = (set)" in shown.output
        assert "135790" not in shown.output
    for endpoint in ("https://dysmsapi.aliyuncs.com", "http://127.0.0.1.example", "nowhere", "http://[::1"):
        refused = operator.type("settings", "check", environ={**simulator, "IDP_SMS__ENDPOINT": endpoint})
        assert_one_sentence(refused, 2, "sms.fixed_code", "simulator")
        assert "135790" not in refused.output


def test_a_trial_may_have_a_name_of_its_own(operator: Operator) -> None:
    named = {"IDP_SERVER__ISSUER": "https://id.example:8443", "IDP_SERVER__TRIAL_HOST": "id.example"}
    assert operator.type("settings", "check", environ=named).exit_code == 0


def test_an_sms_gateway_in_production_needs_every_template(tmp_path: Path) -> None:
    settings = tmp_path / "idp.toml"
    operator = Operator(settings)
    text = '[sms]\ngateway = "aliyun"\naccess_key_id = "a"\naccess_key_secret_file = "b"\nsign_name = "c"\n'
    text += '[sms.templates]\nsign_in_code = "SMS_1"\n'
    settings.write_text(text)
    assert_one_sentence(operator.type("settings", "check"), 2, "sms.templates", "unnamed_sign_in_code")
    settings.write_text(text + "".join(f'{name} = "SMS_2"\n' for name in TEMPLATES if name != "sign_in_code"))
    assert operator.type("settings", "check").exit_code == 0


def test_what_is_wrong_with_a_setting_at_the_start_ends_with_2(operator: Operator, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.write_text("x" * 43)
    public.chmod(0o644)
    empty = tmp_path / "empty"
    empty.write_text("")
    for environ, part in (
        ({"IDP_DATABASE__DSN": ""}, "database.dsn"),
        ({"IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": str(public)}, "keys.key_encryption_key_file"),
        ({"IDP_TRANSIENTS__STORE": "redis", "IDP_TRANSIENTS__REDIS_URL": "foo"}, "transients.redis_url"),
        (DEVICE, "keys.pkcs11_module"),
        ({**ALIYUN, "IDP_SMS__ACCESS_KEY_SECRET_FILE": str(tmp_path / "absent")}, "sms.access_key_secret_file"),
        ({**ALIYUN, "IDP_SMS__ACCESS_KEY_SECRET_FILE": str(empty)}, "sms.access_key_secret_file"),
    ):
        assert_one_sentence(operator.type("worker", environ=environ), 2, part)


@pytest.mark.parametrize("dsn", ["garbage", "postgresql://[bad", "postgresql://a:Hidden-1@host:port/x"])
def test_an_unusable_connection_string_is_one_sentence_that_does_not_repeat_it(operator: Operator, dsn: str) -> None:
    for words in (("serve",), ("worker",), ("keys", "list")):
        result = operator.type(*words, environ={"IDP_DATABASE__DSN": dsn})
        assert_one_sentence(result, 2, "database.dsn")
        assert "Hidden" not in result.output
    assert_one_sentence(operator.type("migrate", environ={"IDP_DATABASE__OWNER_DSN": dsn}), 2, "database.owner_dsn")


def test_a_secret_file_that_is_not_text_is_one_sentence(operator: Operator, tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_bytes(b"\xff\xfe\x00")
    assert_one_sentence(operator.type("worker", environ={"IDP_DATABASE__DSN_FILE": str(secret)}), 2, "IDP_DATABASE__DSN_FILE", "UTF-8")


def test_a_busy_port_is_one_sentence(operator: Operator) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_one_sentence(operator.type("serve", environ={"IDP_SERVER__PORT": port}), 1, "server.port", port)


def test_an_unknown_key_names_the_near_one(operator: Operator, tmp_path: Path) -> None:
    settings = tmp_path / "idp.toml"
    settings.write_text("[sign_in]\ncode_trys = 5\n")
    assert_one_sentence(Operator(settings).type("settings", "check"), 2, "sign_in.code_trys", "did you mean sign_in.code_tries")
    settings.write_text("[sign_in\n")
    assert_one_sentence(Operator(settings).type("settings", "check"), 2, "not valid TOML")
    assert_one_sentence(Operator(tmp_path / "absent.toml").type("settings", "check"), 2, "cannot be read")


def test_a_secret_file_is_read_and_not_shown(operator: Operator, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("LTAI-synthetic\n")
    result = operator.type("settings", "check", environ={"IDP_SMS__ACCESS_KEY_ID_FILE": str(secret)})
    assert "sms.access_key_id = (set)" in result.output
    assert "LTAI" not in result.output


def test_migrate_says_where_it_arrived_and_may_be_repeated(operator: Operator) -> None:
    for _ in range(2):
        result = operator.type("migrate")
        assert (result.exit_code, result.output) == (0, "migrated: 0003\n")
    assert_one_sentence(operator.type("migrate", environ={"IDP_DATABASE__OWNER_DSN": ""}), 2, "database.owner_dsn", "IDP_SETTINGS")
    assert_one_sentence(operator.type("clients", "list", environ={"IDP_DATABASE__DSN": ""}), 2, "database.dsn", "IDP_SETTINGS")
    assert_one_sentence(operator.type("migrate", environ={"IDP_ENVIRONMENT": "sandbox"}), 1, "demo", "sandbox")


def test_clients_are_added_once_and_listed(operator: Operator) -> None:
    words = ["clients", "add", "land", "--name", "不动产登记中心（样例）", "--sector", "自然资源", "--redirect-uri", URI]
    added = operator.type(*words, "--entitlement", "登记:statutory_duty:name,phone_number", "--scope", "profile", "--live")
    assert added.exit_code == 0, added.output
    assert "client_id: land" in added.output
    assert len(added.output.split("client_secret: ")[1].strip()) == 43
    assert_one_sentence(operator.type(*words), 2, "CLIENT_ID")
    bad = operator.type("clients", "add", "bad", "--name", "x", "--sector", "x", "--redirect-uri", "http://a.example/")
    assert_one_sentence(bad, 2, "--redirect-uri", "https")
    assert "redirect_uris" not in bad.output
    listed = operator.type("clients", "list")
    assert "land  live" in listed.output
    assert "client_secret_basic" in listed.output


@pytest.mark.parametrize(
    ("text", "claims", "english"),
    [
        ("办证:consent:name,birthdate", ("name", "birthdate"), ""),
        ("办证:consent:name:Issuing a card", ("name",), "Issuing a card"),
        ("办证:consent:name:Cards: issue and renewal", ("name",), "Cards: issue and renewal"),
        ("办证:consent:name:", ("name",), ""),
    ],
)
def test_an_entitlement_may_have_its_purpose_in_english(text: str, claims: tuple[str, ...], english: str) -> None:
    written = {"purpose": "办证", "basis": "consent", "claims": list(claims)}
    assert parse_entitlement(text) == written | ({"purpose_en": english} if english else {})


@pytest.mark.parametrize("text", ["", "办证", "办证:consent", "办证:consent:", "办证:wish:name", "办证:consent::Issuing a card"])
def test_an_entitlement_without_its_parts_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_entitlement(text)


@pytest.mark.parametrize(
    "words",
    [
        ("clients", "add", "x"),
        ("clients", "add", "x", "--name", "x", "--sector", "x", "--entitlement", "nonsense"),
        ("clients", "add", "x", "--name", "x", "--sector", "x", "--auth-method", "magic"),
        ("keys", "revoke", "kid"),
        ("keys", "rotate", "--algorithm", "HS256"),
        ("demo", "--port", "80"),
        ("dance",),
    ],
)
def test_wrong_arguments_end_with_2(operator: Operator, words: tuple[str, ...]) -> None:
    result = operator.type(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_keys_are_listed_rotated_and_revoked(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.cli.GIVEN_UP", 0.0)

    def list_states() -> dict[str, str]:
        lines = [line.split() for line in operator.type("keys", "list").output.splitlines()]
        return {kid: f"{algorithm} {state}" for kid, algorithm, state, *_ in lines}

    before = list_states()
    assert sorted(before.values()) == ["ES256 active", "RS256 active"]
    rotated = operator.type("keys", "rotate").output
    pending = rotated.split()[1]
    assert re.fullmatch(rf"pending: {pending}  signs from [-0-9]{{10}} [:0-9]{{8}}Z, by a worker\n", rotated)
    assert list_states()[pending] == "ES256 pending"
    assert_one_sentence(operator.type("keys", "rotate"), 1, pending)
    old = next(kid for kid, what in before.items() if what == "ES256 active")
    revoked = operator.type("keys", "revoke", old, "--reason", "a test")
    assert (revoked.exit_code, revoked.output.splitlines()) == (0, [f"revoked: {old}", "grants ended: 0"])
    again = operator.type("keys", "revoke", old, "--reason", "a test")
    assert (again.exit_code, again.output.splitlines()) == (0, [f"revoked before: {old}", "grants ended: 0"])
    assert_one_sentence(operator.type("keys", "rotate", "--algorithm", "PS256"), 2, "keys.algorithms", "PS256")
    after = list_states()
    assert (after[old], after[pending]) == ("ES256 revoked", "ES256 active")
    assert_one_sentence(operator.type("keys", "revoke", "nobody", "--reason", "x"), 1, "nobody")
    assert_one_sentence(operator.type("keys", "revoke", pending, "--reason", "\n"), 2, "reason")


def test_audit_verify_says_that_nothing_was_altered(operator: Operator) -> None:
    result = operator.type("audit", "verify")
    assert result.exit_code == 0, result.output
    assert "not chained yet:" in result.output
    assert result.output.rstrip().endswith("intact")


async def test_who_may_only_read_verifies_while_a_rotation_is_due(
    operator: Operator, owner_dsn: str, cluster: SharedCluster, database_name: str
) -> None:
    # Every command runs its own event loop.
    assert (await asyncio.to_thread(operator.type, "keys", "rotate", "--algorithm", "RS256")).exit_code == 0
    owner = await asyncpg.connect(owner_dsn)
    role = f"auditor_{database_name}"
    try:
        await owner.execute("UPDATE signing_keys SET state_since = state_since - interval '1 day' WHERE state = 'pending'")
        before = [dict(row) for row in await owner.fetch("SELECT kid, state FROM signing_keys ORDER BY kid")]
        await owner.execute(f"CREATE ROLE {role} LOGIN IN ROLE idp_audit_reader PASSWORD 'synthetic'")
        parts = urlsplit(owner_dsn)
        place = parts.netloc.rpartition("@")[2]
        reader = {"IDP_DATABASE__DSN": urlunsplit(parts._replace(netloc=f"{role}:synthetic@{place}"))}
        for words in (("audit", "verify"), ("keys", "list")):
            result = await asyncio.to_thread(operator.type, *words, environ=reader)
            assert result.exit_code == 0, result.output
        assert [dict(row) for row in await owner.fetch("SELECT kid, state FROM signing_keys ORDER BY kid")] == before
        assert_one_sentence(await asyncio.to_thread(operator.type, "keys", "rotate", environ=reader), 1, "PostgreSQL refused")
    finally:
        await owner.execute(f"DROP ROLE IF EXISTS {role}")
        await owner.close()


def test_a_database_that_does_not_answer_is_one_sentence(operator: Operator) -> None:
    nowhere = {"IDP_DATABASE__DSN": "postgresql://idp@127.0.0.1:1/idp"}
    for words in (("serve",), ("worker",), ("keys", "list"), ("audit", "verify")):
        assert_one_sentence(operator.type(*words, environ=nowhere), 1, "database")


def test_missing_rights_are_one_sentence(operator: Operator, service_dsn: str) -> None:
    assert_one_sentence(operator.type("migrate", environ={"IDP_DATABASE__OWNER_DSN": service_dsn}), 1, "PostgreSQL refused")
