"""Decides what every process stands on before it serves or works: one database, one set of keys, one audit log, or a clear refusal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.checks import CheckKind
from idp.kernel.clock import Clock, Random
from idp.platform import data_key_store, key_store
from idp.platform.audit_log import AuditLog
from idp.platform.current_data_keys import CurrentDataKeys
from idp.platform.current_ring import CurrentRing
from idp.platform.data_key_rotation import DataKeyRotation
from idp.platform.database import Database, DatabaseUnavailable, Transaction, UnusableDsn
from idp.platform.fetching import Fetcher
from idp.platform.key_exchange import KeyExchange
from idp.platform.key_rotation import KeyRotation
from idp.platform.migrations import MigrationFailed, check_environment
from idp.platform.outbox import Outbox
from idp.platform.outside_addresses import OutsideRules, read_networks
from idp.platform.transients import Transients
from idp.platform.transients.postgres import PostgresTransients
from idp.settings import FetchingSettings, KeySettings, Settings, SourceSettings
from idp.sources.breaker import BreakerLimits
from idp.sources.directory import Sources, open_sources
from idp.sources.http import Authority
from idp.sources.signatures import PartnerKey
from keys import (
    SM2_SIGNATURE,
    DataKeys,
    KeyEncryptionKey,
    KeyProviders,
    MissingProvider,
    SelfTestFailed,
    SigningRing,
    Suite,
    TokenProvider,
    UntrustedKeyRecord,
    UnusableKeyFile,
    UnusableToken,
    make_key_encryption_key,
    run_self_test,
)

LISTENERS = 3
"""Connections of a process beside its pool: it listens for changes."""

KEPT_FREE = 5
"""Connections left for the operator's own tools and for PostgreSQL's superuser."""

READ_MAXIMUM = "SELECT current_setting('max_connections')::int AS connections"


class StartRefused(Exception):
    """The process cannot start; the text is one sentence for the operator."""


class SettingRefused(StartRefused):
    """It cannot start because a setting, or a file that one names, is wrong."""


@dataclass(frozen=True)
class Platform:
    """What serving, working and administering share."""

    settings: Settings
    clock: Clock
    random: Random
    database: Database
    data_keys: DataKeys
    current_data_keys: CurrentDataKeys
    data_key_rotation: DataKeyRotation
    ring: CurrentRing
    transients: Transients
    audit_log: AuditLog
    outbox: Outbox
    key_rotation: KeyRotation
    key_exchange: KeyExchange
    sources: Sources
    fetcher: Fetcher
    devices: Sequence[TokenProvider] = ()

    async def close(self) -> None:
        """Close the connections to the authorities, to Redis and to the database."""
        await self.sources.close()
        await self.fetcher.close()
        await self.transients.close()
        await self.database.close()
        self.ring.close()
        for device in self.devices:
            device.close()


async def open_platform(
    settings: Settings,
    clock: Clock,
    random: Random,
    *,
    with_sources: bool = True,
    source_transport: httpx2.AsyncBaseTransport | None = None,
) -> Platform:
    """Check the algorithms, the environment and the keys, create the keys that do not exist yet, and return the whole.

    A command that asks no authority opens without them and needs none of their secrets. ``source_transport`` stands in for the network.
    Raises StartRefused; SettingRefused where the operator has to change a setting.
    """
    try:
        tested = run_self_test(national=settings.keys.suite is Suite.NATIONAL)
    except SelfTestFailed as error:
        raise StartRefused(_describe_self_test(error)) from None
    if not settings.database.dsn:
        raise SettingRefused(
            "The setting database.dsn is empty: name the PostgreSQL database, or the settings file by --settings or IDP_SETTINGS."
        )
    if with_sources and settings.sources.authorities and "SM3" in tested.unavailable:
        raise StartRefused("This machine's cryptography has no SM3, which signs what the authorities of sources.authorities are asked.")
    if SM2_SIGNATURE in settings.keys.algorithms and "SM2" in tested.unavailable:
        raise StartRefused(f"This machine's libcrypto has no SM2, which {SM2_SIGNATURE} of keys.algorithms needs: OpenSSL 3 or newer.")
    devices = _open_devices(settings.keys)
    sources = _open_sources(settings.sources if with_sources else SourceSettings(), clock, random, source_transport)
    database = Database(settings.database.dsn, size=settings.database.pool_size)
    fetcher = _open_fetcher(settings.fetching)
    try:
        return await _open(settings, clock, random, database, sources, fetcher, devices)
    except BaseException as error:
        for device in devices:
            device.close()
        await sources.close()
        await fetcher.close()
        await database.close()
        if isinstance(error, (MigrationFailed, data_key_store.UntrustedDataKey)):
            raise StartRefused(_as_sentence(str(error))) from error
        if isinstance(error, SelfTestFailed):
            raise StartRefused(_describe_self_test(error)) from None
        if isinstance(error, UnusableKeyFile):
            raise SettingRefused(
                f"The key-encryption key (keys.key_encryption_key_file, or the previous one) cannot be used: {error}."
            ) from error
        if isinstance(error, UnusableDsn):
            raise SettingRefused(describe_unusable_dsn("database.dsn")) from None
        if isinstance(error, key_store.RevokedKeyReturned):
            raise StartRefused(
                f"The signing key {error} was revoked, and its row in the database says otherwise; delete that row."
            ) from error
        if isinstance(error, MissingProvider):
            raise SettingRefused(f"A signing key lies in the provider {error}, which keys.provider does not name.") from error
        if isinstance(error, UnusableToken):
            raise SettingRefused(f"The PKCS #11 device of keys.pkcs11_module cannot be used: {error}.") from error
        if isinstance(error, UntrustedKeyRecord):
            raise StartRefused(f"The signing key {error} in the database was not written under this key-encryption key.") from error
        if isinstance(error, DatabaseUnavailable):
            cause = type(error.__cause__ or error).__name__
            raise StartRefused(f"The database of database.dsn cannot be reached ({cause}).") from error
        raise


async def _open(
    settings: Settings,
    clock: Clock,
    random: Random,
    database: Database,
    sources: Sources,
    fetcher: Fetcher,
    devices: Sequence[TokenProvider],
) -> Platform:
    await check_environment(database, settings.environment)
    await _check_connections(settings, database)
    async with database.transaction() as tx:
        await key_store.lock_keys(tx)
        protects = await data_key_store.has_any(tx)
        kek = _load_key_encryption_key(Path(settings.keys.key_encryption_key_file), protects, random)
        if settings.keys.previous_key_encryption_key_file:
            kek.accept(KeyEncryptionKey.from_file(settings.keys.previous_key_encryption_key_file))
        created = await data_key_store.create_missing(tx, kek, settings.keys.suite, clock, random)
        data_keys = DataKeys((await data_key_store.load(tx, kek, clock())).keys)
        if Suite.NATIONAL in data_keys.suites:
            run_self_test(national=True)  # the setting may have been changed back: what is sealed still has to open
        audit_log = AuditLog(data_keys.mac("audit"), data_keys.sealer("places"), clock, random)
        for key_id in created:
            await audit_log.record(tx, AuditEvent(Kind.KEY_CREATED, details={"key": key_id}))
        providers = KeyProviders(*devices, maker=settings.keys.provider)
        rotation = KeyRotation(
            database,
            kek,
            providers,
            audit_log,
            clock,
            algorithms=settings.keys.algorithms,
            pending_for=timedelta(seconds=settings.keys.pending_seconds),
            retiring_for=timedelta(seconds=settings.keys.retiring_seconds),
            rotate_after=timedelta(days=settings.keys.rotate_after_days) if settings.keys.rotate_after_days else None,
        )
        await rotation.create_missing(tx)

        async def load_ring(tx: Transaction) -> SigningRing:
            return await key_store.load_signing_ring(tx, kek, providers, clock() - timedelta(days=settings.keys.hint_days))

        ring = CurrentRing(await load_ring(tx), database, load_ring)
    return Platform(
        settings=settings,
        clock=clock,
        random=random,
        database=database,
        data_keys=data_keys,
        current_data_keys=CurrentDataKeys(data_keys, database, kek, clock),
        data_key_rotation=DataKeyRotation(
            database,
            kek,
            audit_log,
            clock,
            random,
            suite=settings.keys.suite,
            pending_for=timedelta(seconds=settings.keys.pending_seconds),
            rests=_list_rests(settings),
        ),
        ring=ring,
        transients=_choose_transients(settings, database, data_keys, clock, random),
        audit_log=audit_log,
        outbox=Outbox(data_keys.sealer("outbox"), clock, random),
        key_rotation=rotation,
        key_exchange=KeyExchange(database, kek, audit_log),
        sources=sources,
        fetcher=fetcher,
        devices=devices,
    )


def _open_devices(settings: KeySettings) -> Sequence[TokenProvider]:
    if not settings.pkcs11_module:
        return ()
    try:
        return (TokenProvider(settings.pkcs11_module, settings.pkcs11_token, Path(settings.pkcs11_pin_file)),)
    except UnusableToken as error:
        raise SettingRefused(f"The PKCS #11 device of keys.pkcs11_module cannot be used: {error}.") from None


def _open_fetcher(settings: FetchingSettings) -> Fetcher:
    rules = OutsideRules(read_networks(settings.allowed_networks), settings.loopback)
    try:
        return Fetcher(rules, ca_file=Path(settings.ca_file) if settings.ca_file else None)
    except OSError as error:
        raise SettingRefused(f"The certificates of fetching.ca_file cannot be used: {error.strerror or 'not PEM'}.") from None


def _open_sources(settings: SourceSettings, clock: Clock, random: Random, transport: httpx2.AsyncBaseTransport | None) -> Sources:
    authorities, pages = [], {}
    for name, authority in settings.authorities.items():
        try:
            secret = Path(authority.secret_file).read_bytes().strip()
        except OSError as error:
            raise SettingRefused(f"The secret of sources.authorities.{name} (secret_file) cannot be read: {error.strerror}.") from None
        try:
            key = PartnerKey(authority.app_key, secret)
        except ValueError as error:
            raise SettingRefused(f"The secret of sources.authorities.{name} (secret_file) cannot be used: {error}.") from None
        kinds = frozenset(authority.kinds)
        limits = (authority.time_limit_seconds, authority.connect_seconds)
        authorities.append(Authority(name, kinds, authority.endpoint, key, *limits))
        if authority.page:
            pages[CheckKind.REAL_PERSON] = authority.page
    breaker = BreakerLimits(
        calls=settings.breaker_calls,
        share=settings.breaker_failure_percent / 100,
        window=timedelta(seconds=settings.breaker_window_seconds),
        rest=timedelta(seconds=settings.breaker_rest_seconds),
    )
    return open_sources(
        authorities, clock=clock, random=random, limits=breaker, in_flight=settings.in_flight, pages=pages, transport=transport
    )


def _load_key_encryption_key(path: Path, protects: bool, random: Random) -> KeyEncryptionKey:
    # A lost file must never be replaced in silence: a new one is made only where there is nothing yet that an old one protects.
    if not protects and not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return make_key_encryption_key(path, random)
        except OSError as error:
            raise UnusableKeyFile(f"{path}: {error.strerror}") from None
    return KeyEncryptionKey.from_file(path)


async def _check_connections(settings: Settings, database: Database) -> None:
    pool = settings.database.pool_size + LISTENERS
    wanted = (settings.server.workers + 1) * pool + KEPT_FREE  # one more: the worker process
    (row,) = await database.fetch(READ_MAXIMUM)
    if wanted > row["connections"]:
        raise StartRefused(
            f"PostgreSQL allows {row['connections']} connections and these settings need {wanted}: "
            "raise max_connections, or lower server.workers or database.pool_size."
        )


def _choose_transients(settings: Settings, database: Database, data_keys: DataKeys, clock: Clock, random: Random) -> Transients:
    sealer, names = data_keys.sealer("transients"), data_keys.mac("transient_names")
    if settings.transients.store == "redis":
        # Why here: the client library is 6 MiB of every process, and most installations have no Redis.
        from idp.platform.transients.redis import RedisTransients, connect_redis

        try:
            redis = connect_redis(settings.transients.redis_url)
        except ValueError:
            sentence = "The setting transients.redis_url is not an address; write redis://HOST:PORT/NUMBER, or rediss:// with TLS."
            raise SettingRefused(sentence) from None
        return RedisTransients(redis, sealer, names, clock, random)
    return PostgresTransients(database, sealer, names, clock, random)


def describe_unusable_dsn(setting: str) -> str:
    """Return the sentence about a connection string that nobody can use."""
    return f"The setting {setting} is not a connection string; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE."


def _list_rests(settings: Settings) -> dict[str, timedelta]:
    """Return purpose → how long what was made with its key, and stands in no table that is counted, may still come back."""
    protocol, sign_in = settings.protocol, settings.sign_in
    tokens = max(protocol.code_seconds, protocol.access_token_seconds, protocol.refresh_idle_seconds, protocol.offline_seconds)
    states = max(protocol.interaction_seconds, sign_in.session_total_seconds)
    seconds = {
        "bearer": tokens,
        "sids": max(tokens, sign_in.session_total_seconds),
        "codes": max(sign_in.code_seconds, protocol.interaction_seconds),
        "transient_names": states,
        "transients": states if settings.transients.store == "redis" else 0,  # rows of PostgreSQL are counted
        "index": max(sign_in.lock_seconds, sign_in.resend_lock_seconds),
    }
    return {purpose: timedelta(seconds=number) for purpose, number in seconds.items()}


def _describe_self_test(error: SelfTestFailed) -> str:
    return f"The cryptographic self-test failed ({error}); nothing is served."


def _as_sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
