"""Decides which settings exist: their sections, types and defaults."""

from typing import Annotated, Literal

import msgspec

from idp.kernel.checks import CheckKind
from keys import Suite

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
ItemLength = Annotated[int, msgspec.Meta(ge=4, le=40)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the provider listens and what it is called. ``trial_host``: the name of a demo or sandbox that is not only for this machine."""

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
    trial_host: str = ""


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
    """The SMS gateway that the worker speaks to. ``fixed_code``: every code is this one, where no message reaches anybody."""

    gateway: Literal["none", "aliyun"] = "none"
    endpoint: str = "https://dysmsapi.aliyuncs.com"
    access_key_id: str = ""
    access_key_secret_file: str = ""
    sign_name: str = ""
    templates: dict[str, str] = msgspec.field(default_factory=dict)
    fixed_code: str = ""


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
    backchannel_limits: bool = True
    logout_retry_seconds: Positive = 43_200
    session_management: bool = False


class ClientRegistrationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Clients that register themselves: not at all, with an initial token or a software statement, or whoever asks.

    ``statement_issuers``: issuer of software statements → the file with its public keys, a JWK set. ``requires_pkce`` is for those that
    could do without; ``accepts_endpoint_audience`` for assertions made out to the token endpoint (OpenID Connect Core §9).
    ``trial_claims``: what such a client may ask a person's consent for, where all people are synthetic.
    """

    mode: Literal["off", "token", "open"] = "off"
    requires_pkce: bool = True
    accepts_endpoint_audience: bool = False
    attempts_per_network_and_hour: Positive = 60
    statement_issuers: dict[str, str] = msgspec.field(default_factory=dict)
    trial_claims: list[str] = msgspec.field(default_factory=list)


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
