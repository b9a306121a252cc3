"""Decides how a client registers itself and looks after its registration: always as sandbox, never beyond (RFC 7591, RFC 7592)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from idp.authenticators.rules.throttling import name_network
from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import make_outward_id
from idp.kernel.json_text import Json, parse_json
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.fetching import Fetcher, FetchFailed
from idp.platform.logging import get_logger
from idp.platform.transients import Transients
from idp.protocol.rules.client import BadRegistration, Basis, Client, Entitlement, may_be_client_id
from idp.protocol.rules.client_checks import check_client
from idp.protocol.rules.client_status import ClientEvent, ClientStatus
from idp.protocol.rules.dynamic_registration import RegistrationMode, check_sector_document, check_update, read_registration
from idp.protocol.services.clients import ClientMoved, Clients
from idp.protocol.services.software_statements import SoftwareStatements, recall_metadata
from idp.protocol.stores import registration_tokens as store

COUNTED, COUNTED_TOKENS = "client_registrations", "registration_token_uses"
WINDOW = 3600.0
REALM = "registration"
SECTOR_SIZE = 64 * 1024
UNREADABLE = "it could not be read: public https, status 200, application/json, no redirect, at most 64 KiB, within five seconds"
LONGEST_TOKEN_LIFE = timedelta(days=366)


@dataclass(frozen=True)
class RegistrationRules:
    """What the operator set: who may register, what clients may do that others may not, requests of a network and of a token an hour."""

    mode: RegistrationMode
    requires_pkce: bool
    per_network: int
    per_token: int = 120
    accepts_endpoint_audience: bool = False
    trial_claims: tuple[str, ...] = ()
    """What every client that registers itself may ask a person's consent for; real people are never told without an operator's word."""

    @property
    def entitlements(self) -> tuple[Entitlement, ...]:
        """Return what such a client is entitled to before an operator looks at it."""
        return (Entitlement("试用", Basis.CONSENT, self.trial_claims, purpose_en="Trying out"),) if self.trial_claims else ()


@dataclass(frozen=True)
class Registered:
    """A client as it is told to itself: its management token, its secret where one was just made, and when it was registered."""

    client: Client
    token: str
    secret: str | None
    issued_at: datetime
    statement: str | None = None


class DynamicRegistration:
    """``/connect/register`` and ``/connect/register/{client_id}``."""

    def __init__(
        self,
        database: Database,
        clients: Clients,
        transients: Transients,
        fetcher: Fetcher,
        statements: SoftwareStatements,
        rules: RegistrationRules,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._clients = clients
        self._transients = transients
        self._fetcher = fetcher
        self._statements = statements
        self._rules = rules
        self._clock = clock
        self._random = random
        self._log = get_logger("registration")

    async def register(self, document: Mapping[str, Json], token: str | None, address: str) -> Registered:
        """Register a client. Raises ProtocolError: ``invalid_token``, and the errors of RFC 7591 §3.2.2."""
        await self._count(address, token)
        actor, said, statement = "registration", dict(document), document.get("software_statement")
        if token is not None:
            async with self._database.transaction() as tx:
                actor = f"token:{_need(await store.find_initial(tx, _hash(token), self._clock()))}"
        kept = None
        if statement is not None:
            issuer, vouched = self._statements.read(statement)
            said |= vouched  # what the issuer vouches for comes before what the client says (RFC 7591 §2.3)
            actor, kept = actor if token is not None else f"statement:{issuer}"[:100], str(statement)
        if token is None and kept is None and self._rules.mode is not RegistrationMode.OPEN:
            raise _refuse_token("no initial access token", REALM)
        client = await self._read(said, Client(make_outward_id(self._random), "", entitlements=self._rules.entitlements))
        management = make_outward_id(self._random, 32)
        async with self._database.transaction() as tx:
            if token is not None:
                _need(await store.spend_initial(tx, _hash(token), self._clock()))
            try:
                secret = await self._clients.add(tx, client, actor=actor)
            except BadRegistration as error:
                raise _explain(error) from None
            await store.set_management(tx, client.client_id, _hash(management))
            if kept is not None:
                await store.set_statement(tx, client.client_id, kept)
        return Registered(client, management, secret, self._clock(), kept)

    async def read(self, client_id: str, token: str | None, address: str) -> Registered:
        """Return a client's registration. Raises ProtocolError ``invalid_token``."""
        await self._count(address, token)
        async with self._database.transaction() as tx:
            client, management = await self._find(tx, client_id, token)
        return Registered(client, token or "", None, management.issued_at, management.statement)

    async def replace(self, client_id: str, token: str | None, document: Mapping[str, Json], address: str) -> Registered:
        """Replace all of a client's metadata by those of the document (RFC 7592 §2.2); what it leaves out has the default again.

        What a software statement vouches for stays, unless the document brings another one. A secret comes with the answer only when the
        client now authenticates with one and had none of that kind.
        """
        await self._count(address, token)
        async with self._database.transaction() as tx:
            known, management = await self._find(tx, client_id, token)
        _need_sandbox(known)
        try:
            check_update(document, client_id)
        except BadRegistration as error:
            raise _explain(error) from None
        offered = document.get("client_secret")
        if offered is not None and not (isinstance(offered, str) and self._clients.is_secret(known, offered)):
            raise ProtocolError("invalid_client_metadata", "client_secret: a client does not choose its own.", redirectable=False)
        statement, vouched = self._renew_statement(document.get("software_statement"), management.statement)
        client = await self._read({**document, **vouched}, known)
        try:
            async with self._database.transaction() as tx:
                secret = await self._clients.replace(tx, client, actor=f"client:{client_id}", changed="registration")
                if statement is not None and statement != management.statement:
                    await store.set_statement(tx, client_id, statement)
        except BadRegistration as error:
            raise _explain(error) from None
        except ClientMoved:
            raise ProtocolError("invalid_request", "The registration was changed meanwhile; read it again.", redirectable=False) from None
        return Registered(client, token or "", secret, management.issued_at, statement)

    async def remove(self, client_id: str, token: str | None, address: str) -> None:
        """Retire a client; its tokens end with it (RFC 7592 §2.3)."""
        await self._count(address, token)
        async with self._database.transaction() as tx:
            client, _ = await self._find(tx, client_id, token)
            _need_sandbox(client)
            await self._clients.move(tx, client, ClientEvent.RETIRE, actor=f"client:{client_id}")
            await store.set_management(tx, client_id, None)

    def _renew_statement(self, brought: Json, kept: str | None) -> tuple[str | None, dict[str, Json]]:
        """Return the statement that counts after an update, and what it vouches for: another one is read, the one that is kept was."""
        if brought is not None and brought != kept:
            return str(brought), self._statements.read(brought)[1]
        return kept, recall_metadata(kept) if kept is not None else {}

    async def _read(self, document: Mapping[str, Json], base: Client) -> Client:
        try:
            client = read_registration(document, base, self._rules.requires_pkce, self._rules.accepts_endpoint_audience)
            check_client(client)
            if client.sector_identifier_uri is not None:
                check_sector_document(client, await self._fetch(client.sector_identifier_uri))
        except BadRegistration as error:
            raise _explain(error) from None
        return client

    async def _fetch(self, address: str) -> Json:
        try:
            body = await self._fetcher.read(address, content_types=("application/json",), size=SECTOR_SIZE)
            return parse_json(body.decode(), SECTOR_SIZE)
        except FetchFailed as failed:
            # Whoever asks may be anybody: which names and addresses answer here, and what, is no business of theirs.
            self._log.warning("sector_unreadable", host=urlsplit(address).hostname, reason=failed.reason)
            raise BadRegistration("sector_identifier_uri", UNREADABLE) from None
        except ValueError:
            raise BadRegistration("sector_identifier_uri", "what is there is no JSON list with all redirect URIs") from None

    async def _find(self, tx: Transaction, client_id: str, token: str | None) -> tuple[Client, store.Management]:
        management = await store.read_management(tx, client_id) if may_be_client_id(client_id) else None
        kept = management.token_hash if management is not None else None
        if token is None or management is None or kept is None or not hmac.compare_digest(kept, _hash(token)):
            raise _refuse_token("management token", REALM if token is None else "")
        client = await self._clients.read(tx, client_id)
        assert client is not None  # noqa: S101 - its row was just read
        return client, management

    async def _count(self, address: str, token: str | None) -> None:
        """Count a request for its network and for its token, which may come from anywhere."""
        counted = await self._transients.count(COUNTED, name_network(address), WINDOW)
        if counted.number > self._rules.per_network:
            raise ProtocolError("temporarily_unavailable", "Too many requests from this network; try again in an hour.", redirectable=False)
        if token and (await self._transients.count(COUNTED_TOKENS, _hash(token).hex(), WINDOW)).number > self._rules.per_token:
            raise ProtocolError("temporarily_unavailable", "Too many requests with this token; try again in an hour.", redirectable=False)


class InitialTokens:
    """Issues what lets somebody register clients by themselves."""

    def __init__(self, audit: AuditLog, clock: Clock, random: Random) -> None:
        self._audit = audit
        self._clock = clock
        self._random = random

    async def issue(self, tx: Transaction, label: str, uses: int, life: timedelta, *, actor: str) -> str:
        """Return a new initial access token, shown once. ``label`` is kept in the audit of what is registered with it."""
        if uses < 1 or not timedelta(0) < life <= LONGEST_TOKEN_LIFE:
            raise ValueError("at least one use, and an end within a year")
        token, now = make_outward_id(self._random, 32), self._clock()
        await store.add_initial(tx, _hash(token), label, uses, now + life, actor, now)
        details: dict[str, str | int | bool | None] = {"label": label, "uses": uses, "seconds": int(life.total_seconds())}
        await self._audit.record(tx, AuditEvent(Kind.REGISTRATION_TOKEN_ISSUED, actor=actor, details=details))
        return token


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()


def _need(label: str | None) -> str:
    if label is None:
        raise _refuse_token("initial access token")
    return label


def _need_sandbox(client: Client) -> None:
    if client.status != ClientStatus.SANDBOX:
        raise ProtocolError("insufficient_scope", "What is no longer in the sandbox is changed by the operator.", redirectable=False)


def _refuse_token(hint: str, realm: str = "") -> ProtocolError:
    return ProtocolError("invalid_token", "The registration token is not valid.", hint, redirectable=False, realm=realm)


def _explain(error: BadRegistration) -> ProtocolError:
    if error.field == "redirect_uris":
        return ProtocolError("invalid_redirect_uri", f"redirect_uris: {error.reason}.", redirectable=False)
    return ProtocolError("invalid_client_metadata", f"{error.field}: {error.reason}.", redirectable=False)
