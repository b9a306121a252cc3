"""Decides who a client is: registered, changed by its next version, remembered for at most five seconds, known by its secret."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id, make_uuid7
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.protocol.rules.client import ID_TOKEN_ALGORITHMS, NO_SECTOR, AuthMethod, BadRegistration, Client, may_be_client_id, renew_versions
from idp.protocol.rules.client_checks import SECRET_METHODS, check_certificates, check_client, list_response_algorithms
from idp.protocol.rules.client_status import CLIENT_TRANSITIONS, ClientEvent, ClientStatus
from idp.protocol.rules.resources import is_of_issuer
from idp.protocol.stores import clients as store
from idp.protocol.stores import resource_servers
from keys import Mac, Sealer, Unsealable, UnusableKeySet, read_key_set, row_aad

CACHE_LIFE = timedelta(seconds=5)
MAX_CACHED = 10_000
GRANTS_FROM = "grants_from"
"""In the audit of a change: grants of the client that began before this instant are over. Their number is nobody's to wait for."""


class ClientMoved(Exception):
    """The client was changed by somebody else meanwhile."""


class Clients:
    """Registers and changes clients, and knows their secrets. ``issuer`` is our own address; ``algorithms`` are those that we sign by."""

    def __init__(
        self,
        secrets: Mac,
        sealer: Sealer,
        audit: AuditLog,
        clock: Clock,
        random: Random,
        issuer: str,
        algorithms: Collection[str] = ID_TOKEN_ALGORITHMS,
        takes_certificates: bool = True,
    ) -> None:
        self._takes_certificates = takes_certificates
        self._issuer = issuer
        self._algorithms = tuple(algorithms)
        self._secrets = secrets
        self._sealer = sealer
        self._audit = audit
        self._clock = clock
        self._random = random

    async def add(self, tx: Transaction, client: Client, *, actor: str, secret: str | None = None) -> str | None:
        """Register a client and return its secret, which is shown once (None for one that authenticates otherwise).

        ``secret`` is only given where the operator already has one of at least 256 random bits. Raises BadRegistration.
        """
        client = replace(client, version=1, name_en=client.name_en or client.name)
        self._check(client)
        if client.auth_method not in SECRET_METHODS:
            secret = None
        elif secret is None:
            secret = make_outward_id(self._random, 32)
        elif len(secret) < 43:
            raise BadRegistration("client_secret", "at least 43 base64url characters (256 random bits)")
        client = await self._find_sector(tx, self._set_secret(client, secret))
        if not await store.add(tx, client, self._clock()):
            raise BadRegistration("client_id", "there is a client of this name already")
        await self._claim_resources(tx, client)
        details: dict[str, Detail] = {"auth_method": client.auth_method.value, "status": client.status}
        await self._audit.record(tx, AuditEvent(Kind.CLIENT_ADDED, actor=actor, client_id=client.client_id, details=details))
        return secret

    async def replace(self, tx: Transaction, client: Client, *, actor: str, changed: str = "") -> str | None:
        """Write the next version of a client that was read before; an entitlement that changed gets a new version, so it is asked anew.

        Another sector knows people by other subjects: what was granted under those of the one before is over, so that they are told to
        nobody in the new one.

        Returns the secret of a client that now authenticates with one and had none. ``changed`` names what, for the audit. Raises
        BadRegistration, ClientMoved when another change came first.
        """
        self._check(client)
        known = await store.read_in(tx, client.client_id)
        if known is not None:
            client = replace(client, entitlements=renew_versions(known.entitlements, client.entitlements))
        secret = None
        if client.auth_method not in SECRET_METHODS:
            client = self._set_secret(client, None)
        elif client.secret_mac is None or (client.auth_method is AuthMethod.SECRET_JWT) is not (client.sealed_secret is not None):
            secret = make_outward_id(self._random, 32)
            client = self._set_secret(client, secret)
        await self._write(tx, client)
        details: dict[str, Detail] = {"status": client.status, "version": client.version + 1}
        if changed:
            details["changed"] = changed
        if known is not None and known.sector != client.sector:
            # Whoever remembers the client still may grant under the sector before for as long.
            details[GRANTS_FROM] = (await store.end_grants(tx, client.client_id, self._clock() + CACHE_LIFE)).isoformat()
        await self._audit.record(tx, AuditEvent(Kind.CLIENT_CHANGED, actor=actor, client_id=client.client_id, details=details))
        return secret

    async def move(self, tx: Transaction, client: Client, event: ClientEvent, *, actor: str) -> Client:
        """Lead a client that was read before to where ``event`` leads and return it. Raises IllegalTransition, ClientMoved.

        What it held when it was suspended is over for good; again when it goes on, for what was redeemed while the stop was being written.
        No department is told of a sign-out: people stay signed in, and their sign-ins are told of when they end.
        """
        after = CLIENT_TRANSITIONS.follow(ClientStatus(client.status), event)
        was_live = event is ClientEvent.SUSPEND and client.status == ClientStatus.LIVE
        moved = replace(client, status=after.value, resumes=ClientStatus.LIVE.value if was_live else "")
        await self._write(tx, moved)
        details: dict[str, Detail] = {"status": moved.status, "version": client.version + 1, "event": event.value}
        if ClientStatus.SUSPENDED in (client.status, moved.status):
            details[GRANTS_FROM] = (await store.end_grants(tx, client.client_id, self._clock())).isoformat()
        await self._audit.record(tx, AuditEvent(Kind.CLIENT_CHANGED, actor=actor, client_id=client.client_id, details=details))
        return replace(moved, version=client.version + 1)

    async def rotate_secret(self, tx: Transaction, client: Client, overlap: timedelta, *, actor: str) -> str:
        """Give a client a new secret, shown once; the one before counts for ``overlap`` more. Raises BadRegistration, ClientMoved."""
        need_secret(client)
        secret = make_outward_id(self._random, 32)
        renewed = replace(
            self._set_secret(client, secret),
            previous_secret_mac=client.secret_mac if overlap else None,
            previous_sealed_secret=client.sealed_secret if overlap else None,
            previous_secret_until=self._clock() + overlap if overlap else None,
        )
        await self._write(tx, renewed)
        details: dict[str, Detail] = {"overlap_seconds": int(overlap.total_seconds()), "version": client.version + 1}
        event = AuditEvent(Kind.CLIENT_SECRET_ROTATED, actor=actor, client_id=client.client_id, details=details)
        await self._audit.record(tx, event)
        return secret

    async def read(self, tx: Transaction, client_id: str) -> Client | None:
        """Return a client as it is now and stays until the transaction ends."""
        return await store.lock(tx, client_id)

    async def list(self, tx: Transaction, after: str = "", limit: int = 200) -> list[Client]:
        """Return at most ``limit`` clients by id, beginning after ``after``."""
        return await store.list_after(tx, after, limit)

    async def check(self, tx: Transaction, client: Client) -> None:
        """Raise BadRegistration for what could not be written now; whoever writes it later is checked again."""
        self._check(client)
        _refuse_taken(await resource_servers.find_others(tx, client.client_id, client.resources))

    def is_secret(self, client: Client, secret: str) -> bool:
        """Tell in constant time whether ``secret`` is the client's, or the one before while that still counts."""
        message = _secret_message(client.client_id, secret)
        if client.secret_mac is not None and self._is_mac(message, client.secret_mac):
            return True
        return client.previous_secret_mac is not None and self._overlaps(client) and self._is_mac(message, client.previous_secret_mac)

    def renew_mac(self, client: Client, secret: str) -> bytes | None:
        """Return the mac of a client's present secret under the current key; None where it is under it, or this is not that secret."""
        kept = client.secret_mac
        if kept is None or kept.startswith(self._secrets.current_id.encode() + b":"):
            return None
        message = _secret_message(client.client_id, secret)
        return self._make_mac(message) if self._is_mac(message, kept) else None

    def list_secrets(self, client: Client) -> tuple[str, ...]:
        """Return the secrets that a ``client_secret_jwt`` client may sign with at this moment, the current one first."""
        sealed = (client.sealed_secret, client.previous_sealed_secret if self._overlaps(client) else None)
        opened = (self._open_secret(client.client_id, one) for one in sealed if one is not None)
        return tuple(secret for secret in opened if secret is not None)

    def _check(self, client: Client) -> None:
        check_client(client)
        if not self._takes_certificates:
            check_certificates(client)
        if any(is_of_issuer(resource, self._issuer) for resource in client.resources):
            raise BadRegistration("resources", "an address of this provider itself is no other's")
        for name, algorithm in list_response_algorithms(client).items():
            if algorithm is not None and algorithm not in self._algorithms:
                raise BadRegistration(name, f"this provider signs by {', '.join(self._algorithms)}")
        if client.keys.jwks is not None:
            try:
                usable = read_key_set(client.keys.jwks.encode())
            except UnusableKeySet as fault:
                raise BadRegistration("jwks", str(fault)) from None
            if not usable.keys:
                raise BadRegistration("jwks", "no key of a kind and size that we use")

    def _open_secret(self, client_id: str, sealed: bytes) -> str | None:
        try:
            return self._sealer.open(sealed, row_aad("clients", "sealed_secret", client_id)).decode()
        except Unsealable:
            return None

    def _overlaps(self, client: Client) -> bool:
        return client.previous_secret_until is not None and self._clock() < client.previous_secret_until

    def _is_mac(self, message: bytes, kept: bytes) -> bool:
        key_id, _, mac = kept.partition(b":")
        return self._secrets.verify(message, mac, key_id.decode())

    def _make_mac(self, message: bytes) -> bytes:
        return self._secrets.current_id.encode() + b":" + self._secrets.compute(message)

    def _set_secret(self, client: Client, secret: str | None) -> Client:
        """Return the client with this secret, None for none; nothing of the one before stays."""
        mac = sealed = None
        if secret is not None:
            message = _secret_message(client.client_id, secret)
            mac = self._make_mac(message)
            if client.auth_method is AuthMethod.SECRET_JWT:
                sealed = self._sealer.seal(secret.encode(), row_aad("clients", "sealed_secret", client.client_id), self._random)
        return replace(
            client,
            secret_mac=mac,
            sealed_secret=sealed,
            previous_secret_mac=None,
            previous_sealed_secret=None,
            previous_secret_until=None,
        )

    async def _write(self, tx: Transaction, client: Client) -> None:
        if not await store.replace(tx, await self._find_sector(tx, client), self._clock()):
            raise ClientMoved()
        await self._claim_resources(tx, client)

    async def _claim_resources(self, tx: Transaction, client: Client) -> None:
        """Keep a resource for one client alone: whoever could share a live one would read its tokens. A retired client gives its own up."""
        retired = client.status == ClientStatus.RETIRED
        _refuse_taken(await resource_servers.claim(tx, client.client_id, () if retired else client.resources))

    async def _find_sector(self, tx: Transaction, client: Client) -> Client:
        if client.sector_id != NO_SECTOR:
            return client
        return replace(client, sector_id=await store.find_or_add_sector(tx, make_uuid7(self._clock, self._random), client.sector))


def need_secret(client: Client) -> None:
    """Raise BadRegistration for a client that authenticates without a secret of ours."""
    if client.auth_method not in SECRET_METHODS:
        raise BadRegistration("token_endpoint_auth_method", "this client authenticates without a secret of ours")


def _refuse_taken(resources: Sequence[str]) -> None:
    if resources:
        raise BadRegistration("resources", f"another client is the resource {resources[0]}")


def _secret_message(client_id: str, secret: str) -> bytes:
    return client_id.encode() + b"\0" + secret.encode("utf-8", "replace")


class ClientDirectory:
    """Clients by id, read again after five seconds or as soon as the database says that one changed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[float, Client]] = {}

    async def find(self, client_id: str | None) -> Client | None:
        """Return the client, None when there is none."""
        if client_id is None or not may_be_client_id(client_id):
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

    async def keep_mac(self, client: Client, mac: bytes) -> None:
        """Keep the mac of the same secret under another key, unless the client got another secret meanwhile."""
        await store.replace_mac(self._database, client, mac)
        self.forget(client.client_id)

    def forget(self, client_id: str) -> None:
        """Drop what is remembered of a client: it changed."""
        self._known.pop(client_id, None)

    def forget_all(self) -> None:
        """Drop everything that is remembered: changes may have been missed."""
        self._known.clear()
