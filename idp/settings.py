"""Decides which settings exist: TOML file, then IDP_* variables, then secret files; an unknown key refuses to start."""

import builtins
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

import msgspec

from idp.http.cookies import CookieNames
from idp.kernel.checks import CheckKind
from idp.platform.outside_addresses import read_networks
from idp.sources.addresses import find_fault
from idp.sources.signatures import is_app_key
from keys import ALGORITHMS, PKCS11_ALGORITHMS, Suite
from sms import TEMPLATES

JWKS_LIFE = 300
"""Seconds that clients may keep our keys."""


class SettingsError(Exception):
    """One sentence that tells the operator which setting is wrong and what to do."""


Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
ItemLength = Annotated[int, msgspec.Meta(ge=4, le=40)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the provider listens and what it is called."""

    issuer: str = "http://127.0.0.1:8000"
    host: str = "127.0.0.1"
    port: Port = 8000
    workers: Positive = 1
    service_name: str = "一证通"
    service_name_en: str = "Yizheng"
    hotline: str = "12345"
    trusted_proxy_hops: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    metrics_token: str = ""
    body_limit: Annotated[int, msgspec.Meta(ge=1024, le=10_485_760)] = 65_536


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PostgreSQL. ``dsn`` is the service's role, ``owner_dsn`` the one that migrates."""

    dsn: str = ""
    owner_dsn: str = ""
    pool_size: Positive = 8


class TransientSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where states that may be lost live: PostgreSQL UNLOGGED tables, or Redis by URL."""

    store: Literal["postgres", "redis"] = "postgres"
    redis_url: str = "redis://127.0.0.1:6379/0"


class KeySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The key-encryption key is 32 random bytes, base64url, in a file that only the service can read. ``suite``: of what is made new.

    ``algorithms``, ``provider`` and the times are those of signing keys; ``rotate_after_days`` 0: only by command."""

    key_encryption_key_file: str = "var/keys/kek"
    previous_key_encryption_key_file: str = ""
    suite: Suite = Suite.INTERNATIONAL
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["ES256", "RS256"])
    provider: Literal["software", "pkcs11"] = "software"
    pkcs11_module: str = ""
    pkcs11_token: str = ""
    pkcs11_pin_file: str = ""
    rotate_after_days: Annotated[int, msgspec.Meta(ge=0)] = 90
    pending_seconds: Positive = 600
    retiring_seconds: Positive = 86_400
    hint_days: Annotated[int, msgspec.Meta(ge=0)] = 90


class AuditSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Checkpoints leave the database: appended to this file and, from there, to wherever the operator copies it."""

    checkpoint_file: str = "var/audit/checkpoints.jsonl"
    checkpoint_seconds: Positive = 60


class SmsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The SMS gateway that the worker speaks to."""

    gateway: Literal["none", "aliyun"] = "none"
    endpoint: str = "https://dysmsapi.aliyuncs.com"
    access_key_id: str = ""
    access_key_secret_file: str = ""
    sign_name: str = ""
    templates: dict[str, str] = msgspec.field(default_factory=dict)


class AuthoritySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An authority that speaks our contract. ``page``: where a person goes for ``real_person``. Time limit 0: the contract's."""

    kinds: list[CheckKind]
    endpoint: str
    app_key: str
    secret_file: str
    page: str = ""
    time_limit_seconds: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0
    connect_seconds: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The verification authorities by name, and when one of them is left alone (formats.md §5.2)."""

    authorities: dict[str, AuthoritySettings] = msgspec.field(default_factory=dict)
    breaker_calls: Positive = 20
    breaker_failure_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    breaker_window_seconds: Positive = 30
    breaker_rest_seconds: Positive = 15
    in_flight: Positive = 50


class SignInSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sessions and throttling; figures of domain.md §1."""

    session_idle_seconds: Positive = 1_800
    session_total_seconds: Positive = 43_200
    failures_before_delay: Positive = 5
    failures_before_lock: Positive = 10
    failures_per_network: Positive = 100
    flows_per_network_and_minute: Positive = 300
    lock_seconds: Positive = 900
    code_seconds: Positive = 300
    code_tries: Positive = 5
    sms_gap_seconds: Annotated[int, msgspec.Meta(ge=0)] = 60
    sms_per_phone_and_hour: Positive = 5
    sms_per_phone_and_day: Positive = 10
    sms_per_address_and_hour: Positive = 20
    sms_per_network_and_hour: Positive = 100
    sms_per_device_and_day: Positive = 10
    sms_per_minute: Positive = 3_000
    resends: Positive = 5
    resend_lock_seconds: Positive = 900
    hash_threads: Positive = 2
    hash_queue: Positive = 64
    proof_bits: Annotated[int, msgspec.Meta(ge=0, le=30)] = 17


class RegistrationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of checks (domain.md "Proofing") and the agreement's text; 0 checks a person means the figures of each kind (5, cards 3)."""

    checks_per_person_and_day: Annotated[int, msgspec.Meta(ge=0)] = 0
    checks_per_unproven_phone: Positive = 2
    checks_per_device_and_day: Positive = 30
    checks_per_address_and_hour: Positive = 600
    checks_per_network_and_hour: Positive = 3_000
    checks_per_minute: Positive = 1_200
    starts_per_address_and_hour: Positive = 120
    starts_per_device_and_day: Positive = 20
    bank_card_factors: Literal[3, 4] = 3
    social_security_card_shortest: ItemLength = 9
    social_security_card_longest: ItemLength = 12
    housing_fund_account_shortest: ItemLength = 6
    housing_fund_account_longest: ItemLength = 20
    agreement_folder: str = ""
    agreement_version: str = "1"


class ProtocolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lifetimes of what clients hold, in seconds."""

    code_seconds: Positive = 60
    access_token_seconds: Positive = 300
    id_token_seconds: Positive = 300
    refresh_idle_seconds: Positive = 28_800
    offline_seconds: Positive = 2_592_000
    interaction_seconds: Positive = 3_600
    dpop_nonces: Literal["nobody", "fapi2", "everybody"] = "fapi2"
    logout_retry_seconds: Positive = 43_200
    session_management: bool = False


class ClientRegistrationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Clients that register themselves: not at all, with an initial token or a software statement, or whoever asks.

    ``statement_issuers``: issuer of software statements → the file with its public keys, a JWK set. ``requires_pkce`` is for those that
    could do without.
    """

    mode: Literal["off", "token", "open"] = "off"
    requires_pkce: bool = True
    attempts_per_network_and_hour: Positive = 60
    statement_issuers: dict[str, str] = msgspec.field(default_factory=dict)


class FetchingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which addresses that clients name may be asked: the public network by https, and these."""

    allowed_networks: list[str] = msgspec.field(default_factory=list)
    ca_file: str = ""
    loopback: bool = False


class MtlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How clients with TLS certificates come: a proxy at ``origin`` tells their certificates on the unix socket ``socket``."""

    origin: str = ""
    socket: str = ""
    certificate_format: Literal["rfc9440", "escaped_pem"] = "rfc9440"


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to standard error, one JSON object a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration of one installation."""

    environment: Literal["production", "sandbox", "demo"] = "production"
    cookie_suffix: str = ""
    server: Server = Server()
    database: DatabaseSettings = DatabaseSettings()
    transients: TransientSettings = TransientSettings()
    keys: KeySettings = KeySettings()
    audit: AuditSettings = AuditSettings()
    sms: SmsSettings = SmsSettings()
    sources: SourceSettings = SourceSettings()
    sign_in: SignInSettings = SignInSettings()
    registration: RegistrationSettings = RegistrationSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    client_registration: ClientRegistrationSettings = ClientRegistrationSettings()
    fetching: FetchingSettings = FetchingSettings()
    mtls: MtlsSettings = MtlsSettings()
    log: LogSettings = LogSettings()


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a TOML file overlaid by ``IDP_<SECTION>__<KEY>`` variables.

    ``IDP_<SECTION>__<KEY>_FILE`` names a file whose stripped text is the value. Raises SettingsError in one sentence.
    """
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None
    _check_keys(raw, Settings, "")
    for name in sorted(environ):
        if name.startswith("IDP_") and name != "IDP_SETTINGS":
            _overlay(raw, name, environ[name])
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The settings are wrong: {error}.") from None
    _check_sense(settings)
    return settings


def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {f.name: f.type for f in msgspec.structs.fields(struct)}


def _check_keys(raw: Mapping[str, Any], struct: type[msgspec.Struct], prefix: str) -> None:
    fields = _fields(struct)
    for key, value in raw.items():
        if key not in fields:
            raise SettingsError(_name_unknown(f"{prefix}{key}", [f"{prefix}{f}" for f in fields]))
        kind = fields[key]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if not isinstance(value, dict):
                raise SettingsError(f"The setting {prefix}{key} must be a table, written as [{key}].")
            _check_keys(value, kind, f"{prefix}{key}.")
        elif (inner := _find_inner(kind)) is not None and isinstance(value, dict):
            for name, table in value.items():
                if not isinstance(table, dict):
                    raise SettingsError(f"The setting {prefix}{key}.{name} must be a table, written as [{prefix}{key}.{name}].")
                _check_keys(table, inner, f"{prefix}{key}.{name}.")


def _find_inner(kind: Any) -> type[msgspec.Struct] | None:
    """Return the Struct of a setting that is a table of named tables, or None."""
    inner = get_args(kind)[1:] if get_origin(kind) is dict else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct) else None


def _name_unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"There is no setting {name}; did you mean {near[0]}?" if near else f"There is no setting {name}."


def _overlay(raw: dict[str, Any], variable: str, value: str) -> None:
    path = variable.removeprefix("IDP_").lower().split("__")
    known = [
        "IDP_" + "__".join(p).upper()
        for name, kind in _fields(Settings).items()
        for p in ([[name, f] for f in _fields(kind)] if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else [[name]])
    ]
    if variable not in known and variable.endswith("_FILE") and variable.removesuffix("_FILE") in known:
        try:
            value = Path(value).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable} names a file that cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{variable} names a file that is not UTF-8 text; write the value into it as plain text.") from None
        path[-1] = path[-1].removesuffix("_file")
    elif variable not in known:
        table = next((name for name in known if variable.startswith(f"{name}__")), None)
        if table is not None:
            raise SettingsError(
                f"There is no setting {variable}; {table} takes the whole table as JSON, {table}_FILE a file that holds it."
            )
        raise SettingsError(_name_unknown(variable, known))
    target, kind = raw, Settings
    for part in path[:-1]:
        target, kind = target.setdefault(part, {}), _fields(kind)[part]
    match get_origin(_fields(kind)[path[-1]]):
        case builtins.dict:
            target[path[-1]] = _read_table(variable, value)
        case builtins.list:
            target[path[-1]] = [part.strip() for part in value.split(",") if part.strip()]
        case _:
            target[path[-1]] = value


def _read_table(variable: str, value: str) -> Any:
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise SettingsError(f"{variable} must hold a table as JSON: an object in braces.") from None


def _check_sense(settings: Settings) -> None:
    loopback = _check_issuer(settings.server.issuer)
    try:
        CookieNames(settings.server.issuer, settings.cookie_suffix)
    except ValueError:
        raise SettingsError("cookie_suffix must be at most 32 letters, digits, - and _; empty where nobody shares the host name.") from None
    if 0 < len(settings.server.metrics_token) < 32:
        raise SettingsError("server.metrics_token must have at least 32 characters; it is better named by a file.")
    if settings.environment != "production":
        if not loopback:
            raise SettingsError(f"The {settings.environment} environment only runs on a loopback issuer.")
    elif settings.keys.pending_seconds < 2 * JWKS_LIFE:
        raise SettingsError(f"keys.pending_seconds must be at least {2 * JWKS_LIFE}: clients keep keys for {JWKS_LIFE} seconds.")
    _check_signing(settings)
    lengths = settings.registration
    if (
        lengths.social_security_card_shortest > lengths.social_security_card_longest
        or lengths.housing_fund_account_shortest > lengths.housing_fund_account_longest
    ):
        raise SettingsError("A number cannot be at least longer than it is at most; correct registration.*_shortest and *_longest.")
    if settings.sms.gateway == "aliyun":
        _check_aliyun(settings.sms, settings.environment)
    _check_authorities(settings.sources, settings.environment)
    _check_fetching(settings.fetching, settings.environment)
    _check_mtls(settings.mtls, settings.server.issuer)


def _check_mtls(mtls: MtlsSettings, issuer: str) -> None:
    if bool(mtls.origin) is not bool(mtls.socket):
        raise SettingsError("mtls.origin and mtls.socket go together: the proxy's address, and the socket on which it tells certificates.")
    if mtls.socket and (not mtls.socket.startswith("/") or len(mtls.socket.encode()) > 100):
        raise SettingsError("mtls.socket must be an absolute path of at most 100 bytes.")
    if mtls.origin:
        parts = _split_address(mtls.origin)
        if parts is None or parts.scheme != "https" or mtls.origin != f"https://{parts.netloc}":
            raise SettingsError("mtls.origin must be https://HOST or https://HOST:PORT, with nothing after it.")
        if mtls.origin == issuer:
            raise SettingsError("mtls.origin must be another name or port than server.issuer: only there are certificates asked for.")


def _check_fetching(fetching: FetchingSettings, environment: str) -> None:
    try:
        read_networks(fetching.allowed_networks)
    except ValueError as error:
        raise SettingsError(f"fetching.allowed_networks must hold networks such as 10.33.0.0/16: {error}.") from None
    if fetching.loopback and environment == "production":
        raise SettingsError("fetching.loopback is for trying out; in production nothing that a client names leads to this machine.")


def _check_signing(settings: Settings) -> None:
    keys, tokens = settings.keys, settings.protocol
    if unknown := sorted(set(keys.algorithms) - set(ALGORITHMS)):
        raise SettingsError(f"keys.algorithms has {unknown[0]}, which we do not sign with; choose among {', '.join(ALGORITHMS)}.")
    if ALGORITHMS[0] not in keys.algorithms:
        raise SettingsError(
            f"keys.algorithms must have {ALGORITHMS[0]}: clients get it who ask for nothing else, and the audit is marked by it."
        )
    longest = max(tokens.id_token_seconds, tokens.access_token_seconds)
    if keys.retiring_seconds < longest:
        raise SettingsError(f"keys.retiring_seconds must be at least {longest}: so long lives a token that clients verify by themselves.")
    if keys.provider == "pkcs11" or keys.pkcs11_module:
        for name in ("pkcs11_module", "pkcs11_token", "pkcs11_pin_file"):
            if not getattr(keys, name):
                raise SettingsError(f"keys.{name} is empty; keys in a PKCS #11 device need it.")
    if keys.provider == "pkcs11" and (unable := sorted(set(keys.algorithms) - set(PKCS11_ALGORITHMS))):
        can = ", ".join(PKCS11_ALGORITHMS)
        raise SettingsError(f"keys.algorithms has {unable[0]}, whose keys we cannot make in a PKCS #11 device; choose among {can}.")


def _check_issuer(issuer: str) -> bool:
    """Tell whether the issuer is a loopback address. Raises SettingsError unless it is an address and nothing else."""
    parts = _split_address(issuer)
    if parts is None:
        raise SettingsError("server.issuer must name a host, and a port if any: https://id.example.gov.cn.")
    loopback = parts.hostname in ("127.0.0.1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise SettingsError("server.issuer must begin with https:// (http:// only on 127.0.0.1 or localhost).")
    if parts.path.strip("/"):
        raise SettingsError("server.issuer must have no path: the provider serves at the root of its host.")
    if issuer != f"{parts.scheme}://{parts.netloc}":
        raise SettingsError("server.issuer must have no trailing slash, query or fragment.")
    return loopback


def _split_address(issuer: str) -> SplitResult | None:
    try:
        parts = urlsplit(issuer)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    usable = bool(host) and issuer.isascii() and issuer.isprintable() and " " not in issuer and "@" not in parts.netloc
    return parts if usable and not parts.netloc.endswith(":") else None


def _check_aliyun(sms: SmsSettings, environment: str) -> None:
    for key in ("access_key_id", "access_key_secret_file", "sign_name"):
        if not getattr(sms, key):
            raise SettingsError(f"sms.{key} is empty; the aliyun gateway needs it.")
    # Outside production nothing is registered with the vendor, so the simulator's own codes serve where none are named.
    if (environment == "production" or sms.templates) and (missing := sorted(set(TEMPLATES) - set(sms.templates))):
        raise SettingsError(f"sms.templates names no template code for {', '.join(missing)}; write the registered ones there.")


def _check_authorities(sources: SourceSettings, environment: str) -> None:
    served: dict[CheckKind, str] = {}
    for name, authority in sources.authorities.items():
        path = f"sources.authorities.{name}"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
            raise SettingsError(f"The name of {path} must be 1 to 40 small letters, digits and hyphens.")
        if not authority.kinds:
            raise SettingsError(f"{path}.kinds is empty; write which of {', '.join(CheckKind)} it answers.")
        for kind in authority.kinds:
            if kind in served:
                raise SettingsError(f"{path}.kinds names {kind.value}, which sources.authorities.{served[kind]} answers already.")
            served[kind] = name
        for key, address in (("endpoint", authority.endpoint), ("page", authority.page)):
            if (key == "endpoint" or address) and (fault := find_fault(address, loopback_only=environment != "production")):
                raise SettingsError(f"{path}.{key} {fault}.")
        if authority.page and CheckKind.REAL_PERSON not in authority.kinds:
            raise SettingsError(f"{path}.page is for real_person only, which it does not answer.")
        if not is_app_key(authority.app_key):
            raise SettingsError(f"{path}.app_key must be 1 to 64 letters, digits, dots, underscores and hyphens.")
        if not authority.secret_file:
            raise SettingsError(f"{path}.secret_file is empty; name the file that holds the secret shared with that authority.")


def read_settings(path: str | None = None) -> Settings:
    """Return the settings that this process was started with: ``--settings``, else ``IDP_SETTINGS``, else the defaults."""
    chosen = path or os.environ.get("IDP_SETTINGS")
    return load_settings(Path(chosen) if chosen else None, os.environ)


SECRET_WORDS = ("dsn", "secret", "redis_url", "access_key", "metrics_token")


def describe_settings(settings: Settings) -> list[str]:
    """Return one ``section.key = value`` line per setting; whatever may hold a secret is only said to be set or empty."""
    lines = []
    for name, value in msgspec.to_builtins(settings).items():
        for key, inner in value.items() if isinstance(value, dict) else [("", value)]:
            path = f"{name}.{key}" if key else name
            secret = any(word in path for word in SECRET_WORDS) and not path.endswith("_file")
            shown = ("(set)" if inner else "(empty)") if secret else repr(inner)
            lines.append(f"{path} = {shown}")
    return lines
