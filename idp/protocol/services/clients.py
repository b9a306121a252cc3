"""Decides who a client is: registered by command, remembered for at most five seconds, known by its secret's mac."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id, make_uuid7
from idp.kernel.levels import Acr
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.protocol.rules.client import ApplicationType, AuthMethod, BadRegistration, Client, Entitlement, check_client, renew_versions
from idp.protocol.rules.client_metadata import (
    About,
    BackchannelAuthentication,
    ClientKeys,
    LogoutAddresses,
    Profile,
    RequestDemands,
    ResponseProtection,
    TlsIdentity,
    TokenFormat,
)
from idp.protocol.stores import clients as store
from keys import Mac

CACHE_LIFE = timedelta(seconds=5)
MAX_CACHED = 10_000
NO_SECTOR = UUID(int=0)


@dataclass(frozen=True)
class ClientRegistration:
    """What a department's system is registered with; the defaults are the strict ones."""

    client_id: str
    name: str
    sector: str
    name_en: str = ""
    auth_method: AuthMethod = AuthMethod.SECRET_BASIC
    application_type: ApplicationType = ApplicationType.WEB
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    scopes: tuple[str, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()
    minimum_acr: Acr = Acr.LOW
    id_token_algorithm: str = "ES256"  # noqa: S105 - an algorithm
    resources: tuple[str, ...] = ()
    requires_pkce: bool = True
    status: str = "sandbox"
    profile: Profile = Profile.STANDARD
    isolated: bool = False
    confirms_sign_on: bool = False
    access_token_format: TokenFormat = TokenFormat.OPAQUE
    keys: ClientKeys = field(default_factory=ClientKeys)
    tls: TlsIdentity = field(default_factory=TlsIdentity)
    requests: RequestDemands = field(default_factory=RequestDemands)
    responses: ResponseProtection = field(default_factory=ResponseProtection)
    logout: LogoutAddresses = field(default_factory=LogoutAddresses)
    ciba: BackchannelAuthentication = field(default_factory=BackchannelAuthentication)
    about: About = field(default_factory=About)


class Clients:
    """Registers clients and authenticates them."""

    def __init__(self, secrets: Mac, audit: AuditLog, clock: Clock, random: Random) -> None:
        self._secrets = secrets
        self._audit = audit
        self._clock = clock
        self._random = random

    async def add(self, tx: Transaction, registration: ClientRegistration, *, actor: str, secret: str | None = None) -> str | None:
        """Register a client and return its secret, which is shown once (None for a public client).

        ``secret`` is only given where the operator already has one of at least 256 random bits. Raises BadRegistration.
        """
        if registration.auth_method is AuthMethod.NONE:
            secret = None
        elif secret is None:
            secret = make_outward_id(self._random, 32)
        elif len(secret) < 43:
            raise BadRegistration("client_secret", "at least 43 base64url characters (256 random bits)")
        client = Client(
            client_id=registration.client_id,
            version=1,
            status=registration.status,
            sector_id=NO_SECTOR,
            name=registration.name,
            name_en=registration.name_en or registration.name,
            auth_method=registration.auth_method,
            application_type=registration.application_type,
            redirect_uris=registration.redirect_uris,
            post_logout_redirect_uris=registration.post_logout_redirect_uris,
            grant_types=frozenset(registration.grant_types),
            scopes=registration.scopes,
            entitlements=registration.entitlements,
            minimum_acr=registration.minimum_acr,
            id_token_algorithm=registration.id_token_algorithm,
            resources=registration.resources,
            requires_pkce=registration.requires_pkce,
            secret_mac=None if secret is None else self._compute_mac(registration.client_id, secret),
            profile=registration.profile,
            isolated=registration.isolated,
            confirms_sign_on=registration.confirms_sign_on,
            access_token_format=registration.access_token_format,
            keys=registration.keys,
            tls=registration.tls,
            requests=registration.requests,
            responses=registration.responses,
            logout=registration.logout,
            ciba=registration.ciba,
            about=registration.about,
        )
        check_client(client)
        if not 1 <= len(registration.sector) <= 100:
            raise BadRegistration("sector", "1 to 100 characters")
        now = self._clock()
        sector_id = await store.find_or_add_sector(tx, make_uuid7(self._clock, self._random), registration.sector)
        if not await store.add(tx, replace(client, sector_id=sector_id), now):
            raise BadRegistration("client_id", "there is a client of this name already")
        await self._audit.record(
            tx,
            AuditEvent(
                Kind.CLIENT_ADDED,
                actor=actor,
                client_id=client.client_id,
                details={"auth_method": client.auth_method.value, "status": client.status},
            ),
        )
        return secret

    async def replace(self, tx: Transaction, client: Client, *, actor: str) -> None:
        """Write the next version of a client that was read before; an entitlement that changed gets a new version, so it is asked anew.

        Raises BadRegistration, also when another change came first.
        """
        check_client(client)
        known = await store.read_in(tx, client.client_id)
        if known is not None:
            client = replace(client, entitlements=renew_versions(known.entitlements, client.entitlements))
        if not await store.replace(tx, client, self._clock()):
            raise BadRegistration("client_id", "the client was changed by somebody else")
        details: dict[str, Detail] = {"status": client.status, "version": client.version + 1}
        await self._audit.record(tx, AuditEvent(Kind.CLIENT_CHANGED, actor=actor, client_id=client.client_id, details=details))

    async def list(self, tx: Transaction, after: str = "", limit: int = 200) -> list[Client]:
        """Return at most ``limit`` clients by id, beginning after ``after``."""
        return await store.list_after(tx, after, limit)

    def is_secret(self, client: Client, secret: str) -> bool:
        """Tell in constant time whether ``secret`` is the client's."""
        if client.secret_mac is None:
            return False
        key_id, _, mac = client.secret_mac.partition(b":")
        return self._secrets.verify(_secret_message(client.client_id, secret), mac, key_id.decode())

    def _compute_mac(self, client_id: str, secret: str) -> bytes:
        return self._secrets.current_id.encode() + b":" + self._secrets.compute(_secret_message(client_id, secret))


def _secret_message(client_id: str, secret: str) -> bytes:
    return client_id.encode() + b"\0" + secret.encode("utf-8", "replace")


class ClientDirectory:
    """Clients by id, read again after five seconds or as soon as the database says that one changed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[float, Client]] = {}

    async def find(self, client_id: str | None) -> Client | None:
        """Return the client, None when there is none; ids that cannot be registered are not even looked up."""
        if not client_id or len(client_id) > 64 or not client_id.isascii() or not client_id.isprintable():
            return None
        now = self._clock().timestamp()
        known = self._known.get(client_id)
        if known is not None and now < known[0]:
            return known[1]
        client = await store.read(self._database, client_id)
        if client is None:
            self._known.pop(client_id, None)
            return None
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[client_id] = (now + CACHE_LIFE.total_seconds(), client)
        return client

    def forget(self, client_id: str) -> None:
        """Drop what is remembered of a client: it changed."""
        self._known.pop(client_id, None)

    def forget_all(self) -> None:
        """Drop everything that is remembered: changes may have been missed."""
        self._known.clear()
