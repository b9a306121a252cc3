"""Decides how clients are administered, by API and by command alike: what one person may do, and what waits for a second one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from idp.kernel.audit_events import AuditEvent, Detail, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_outward_id
from idp.kernel.transitions import IllegalTransition
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_changes import (
    CHANGE_LIFE,
    OPERATOR,
    Change,
    ChangeKind,
    ChangeState,
    administers,
    find_state,
    gives_secret,
    needs_second_person,
    serves_people,
)
from idp.protocol.rules.client_status import ClientEvent, ClientStatus
from idp.protocol.rules.registration_metadata import change_client, find_changes
from idp.protocol.services.clients import ClientMoved, Clients, need_secret
from idp.protocol.stores import client_changes as store

MAX_PAGE: Final = 200
MAX_OVERLAP: Final = timedelta(days=30)


class Obstacle(StrEnum):
    """Why something that was well said is not done."""

    NO_CLIENT = "no_client"
    NO_CHANGE = "no_change"
    CLIENT_EXISTS = "client_exists"
    VERSION_MOVED = "version_moved"
    CHANGE_WAITS = "change_waits"
    NOT_WAITING = "not_waiting"
    OWN_REQUEST = "own_request"
    WRONG_STATUS = "wrong_status"
    OPERATORS_ONLY = "operators_only"
    NOT_YOURS = "not_yours"
    NO_SECRET = "no_secret"  # noqa: S105


class NotDone(Exception):
    """Nothing was changed; ``fact`` says of what."""

    def __init__(self, obstacle: Obstacle, fact: str = "") -> None:
        super().__init__(f"{obstacle}: {fact}" if fact else obstacle.value)
        self.obstacle = obstacle
        self.fact = fact


@dataclass(frozen=True)
class Outcome:
    """A client after a request, with the secret that was made for it and the change that now waits for a second person, if any."""

    client: Client
    secret: str | None = None
    waits: Change | None = None


class ClientAdministration:
    """One use case a method; each its own transaction, with its audit. ``actor`` is ``client:ID`` or ``operator:NAME``.

    Every method raises NotDone; those that take metadata raise BadRegistration.
    """

    def __init__(self, database: Database, clients: Clients, audit: AuditLog, clock: Clock, random: Random) -> None:
        self._database = database
        self._clients = clients
        self._audit = audit
        self._clock = clock
        self._random = random

    async def list_clients(self, after: str, limit: int) -> list[Client]:
        """Return at most ``limit`` (of 200) clients by id, beginning after ``after``."""
        async with self._database.transaction() as tx:
            return await self._clients.list(tx, after, min(limit, MAX_PAGE))

    async def read(self, client_id: str) -> Client:
        """Return a client."""
        async with self._database.transaction() as tx:
            return await self._find(tx, client_id)

    async def add(
        self, client_id: str | None, metadata: Mapping[str, object], actor: str, *, status: ClientStatus = ClientStatus.SANDBOX
    ) -> Outcome:
        """Register a client, by an id of the caller's choice or of ours; what is not said has the strict default.

        Another ``status`` than the sandbox is for where no real people are.
        """
        client = change_client(Client(client_id or make_outward_id(self._random), "", status=status.value), metadata)
        _refuse_appointment(client, client, actor)
        async with self._database.transaction() as tx:
            if await self._clients.read(tx, client.client_id) is not None:
                raise NotDone(Obstacle.CLIENT_EXISTS, client.client_id)
            secret = await self._clients.add(tx, client, actor=actor)
            return Outcome(await self._find(tx, client.client_id), secret)

    async def change(self, client_id: str, wanted: Mapping[str, object], versions: Collection[int] | None, actor: str) -> Outcome:
        """Change a client's metadata (null: the default again), or on a live one ask for it where a second person has to agree.

        ``versions``: one of those that the caller has read it must be, None for whatever there is.
        """
        async with self._database.transaction() as tx:
            client = await self._find(tx, client_id, versions)
            after = change_client(client, wanted)
            _refuse_appointment(client, after, actor)
            changed = find_changes(client, after)
            if not changed:
                return Outcome(client)
            if client.status in (ClientStatus.REVIEWING, ClientStatus.RETIRED):
                raise NotDone(Obstacle.WRONG_STATUS, client.status)
            await self._clients.check(tx, after)
            if needs_second_person(client, changed):
                return Outcome(client, waits=await self._ask(tx, client, ChangeKind.CHANGE, changed, actor))
            return await self._write(tx, after, actor, " ".join(changed))

    async def rotate_secret(self, client_id: str, overlap: timedelta, actor: str) -> Outcome:
        """Give a client a new secret, or ask for it on a live one; the one before counts for ``overlap`` (at most 30 days) more."""
        async with self._database.transaction() as tx:
            client = await self._find(tx, client_id)
            _refuse_appointment(client, client, actor)
            if client.status == ClientStatus.RETIRED:
                raise NotDone(Obstacle.WRONG_STATUS, client.status)
            need_secret(client)
            overlap = min(overlap, MAX_OVERLAP)
            if serves_people(client):
                wanted = {"overlap_seconds": int(overlap.total_seconds())}
                return Outcome(client, waits=await self._ask(tx, client, ChangeKind.ROTATE_SECRET, wanted, actor))
            return await self._rotate_secret(tx, client, overlap, actor)

    async def take_secret(self, change_id: str, actor: str) -> Outcome:
        """Make the secret that a second person approved, for whoever asked; until then the one before counts. Raises BadRegistration."""
        async with self._database.transaction() as tx:
            client = await self._find(tx, _need(await store.read(tx, change_id), change_id).client_id)
            change = _need(await store.lock(tx, change_id), change_id)
            _refuse_appointment(client, client, actor)
            if change.asked_by != actor:
                raise NotDone(Obstacle.NOT_YOURS)
            if not gives_secret(change, self._clock()):
                raise NotDone(Obstacle.NO_SECRET, find_state(change, self._clock()).value)
            if client.status in (ClientStatus.SUSPENDED, ClientStatus.RETIRED):
                raise NotDone(Obstacle.WRONG_STATUS, client.status)
            await store.finish(tx, change.id)
            return await self._rotate_secret(tx, client, change.overlap, actor)

    async def suspend(self, client_id: str, actor: str) -> Outcome:
        """Stop a client at once; what waited for it is withdrawn."""
        return await self._end(client_id, ClientEvent.SUSPEND, actor)

    async def retire(self, client_id: str, actor: str) -> Outcome:
        """End a client for ever; its id is not given again."""
        return await self._end(client_id, ClientEvent.RETIRE, actor)

    async def resume(self, client_id: str, actor: str) -> Outcome:
        """Let a suspended client go on; one that was live waits for a second person."""
        async with self._database.transaction() as tx:
            client = await self._find(tx, client_id)
            _refuse_appointment(client, client, actor)
            if client.status != ClientStatus.SUSPENDED:
                raise NotDone(Obstacle.WRONG_STATUS, client.status)
            if serves_people(client):
                return Outcome(client, waits=await self._ask(tx, client, ChangeKind.RESUME, {}, actor))
            return Outcome(await self._move(tx, client, ClientEvent.RESUME, actor))

    async def go_live(self, client_id: str, actor: str) -> Outcome:
        """Ask that real people may use a client: it is under review until a second person agrees or refuses."""
        async with self._database.transaction() as tx:
            client = await self._find(tx, client_id)
            _refuse_appointment(client, client, actor)
            # A review whose thirty days are over is asked for again.
            under_review = client.status == ClientStatus.REVIEWING
            moved = client if under_review else await self._move(tx, client, ClientEvent.SUBMIT, actor)
            return Outcome(moved, waits=await self._ask(tx, moved, ChangeKind.GO_LIVE, {}, actor))

    async def list_changes(self, after: str, state: ChangeState | None, client_id: str | None, limit: int) -> list[Change]:
        """Return at most ``limit`` (of 200) changes by id; one whose time is over is told as expired."""
        now = self._clock()
        async with self._database.transaction() as tx:
            found = await store.list_after(tx, after, state, client_id, now, min(limit, MAX_PAGE))
        return [replace(change, state=find_state(change, now)) for change in found]

    async def read_change(self, change_id: str) -> Change:
        """Return a change."""
        async with self._database.transaction() as tx:
            change = _need(await store.read(tx, change_id), change_id)
        return replace(change, state=find_state(change, self._clock()))

    async def approve(self, change_id: str, actor: str) -> Outcome:
        """Do what somebody else asked for. Raises BadRegistration where it has become impossible."""
        async with self._database.transaction() as tx:
            change, client = await self._find_waiting(tx, change_id, actor)
            if change.asked_by == actor:
                raise NotDone(Obstacle.OWN_REQUEST, change.id)
            await self._decide(tx, change, ChangeState.APPROVED, actor, None)
            match change.kind:
                case ChangeKind.GO_LIVE:
                    return Outcome(await self._move(tx, client, ClientEvent.APPROVE, actor))
                case ChangeKind.RESUME:
                    return Outcome(await self._move(tx, client, ClientEvent.RESUME_LIVE, actor))
                case ChangeKind.ROTATE_SECRET:
                    return Outcome(client)
                case ChangeKind.CHANGE:
                    written = await self._write(tx, change_client(client, change.wanted), actor, " ".join(change.wanted))
                    return Outcome(written.client)  # a secret that came of it is for whoever asked: take_secret

    async def refuse(self, change_id: str, reason: str, actor: str) -> Outcome:
        """Leave things as they are; whoever asked may take it back in the same way."""
        async with self._database.transaction() as tx:
            change, client = await self._find_waiting(tx, change_id, actor)
            state = ChangeState.WITHDRAWN if change.asked_by == actor else ChangeState.REFUSED
            await self._decide(tx, change, state, actor, reason)
            if change.kind is ChangeKind.GO_LIVE:
                client = await self._move(tx, client, ClientEvent.REFUSE, actor)
            return Outcome(client)

    async def _end(self, client_id: str, event: ClientEvent, actor: str) -> Outcome:
        async with self._database.transaction() as tx:
            client = await self._find(tx, client_id)
            _refuse_appointment(client, client, actor)
            moved = await self._move(tx, client, event, actor)
            for change_id in await store.withdraw(tx, client_id, actor, self._clock(), event.value):
                await self._tell(
                    tx, Kind.CLIENT_CHANGE_REFUSED, client_id, actor, {"change": change_id, "state": ChangeState.WITHDRAWN.value}
                )
            return Outcome(moved)

    async def _rotate_secret(self, tx: Transaction, client: Client, overlap: timedelta, actor: str) -> Outcome:
        secret = await self._clients.rotate_secret(tx, client, overlap, actor=actor)
        return Outcome(await self._find(tx, client.client_id), secret)

    async def _write(self, tx: Transaction, client: Client, actor: str, changed: str) -> Outcome:
        try:
            secret = await self._clients.replace(tx, client, actor=actor, changed=changed)
        except ClientMoved:  # the row is locked, so this is not reached unless the lock is lost
            raise NotDone(Obstacle.VERSION_MOVED, client.client_id) from None
        return Outcome(await self._find(tx, client.client_id), secret)

    async def _move(self, tx: Transaction, client: Client, event: ClientEvent, actor: str) -> Client:
        try:
            return await self._clients.move(tx, client, event, actor=actor)
        except IllegalTransition:
            raise NotDone(Obstacle.WRONG_STATUS, client.status) from None

    async def _ask(self, tx: Transaction, client: Client, kind: ChangeKind, wanted: Mapping[str, object], actor: str) -> Change:
        now = self._clock()
        change = Change(make_outward_id(self._random), client.client_id, kind, ChangeState.PENDING, wanted, actor, now, now + CHANGE_LIFE)
        if not await store.add(tx, change):
            raise NotDone(Obstacle.CHANGE_WAITS, client.client_id)
        details: dict[str, Detail] = {"change": change.id, "kind": kind.value, "names": " ".join(wanted)}
        await self._tell(tx, Kind.CLIENT_CHANGE_REQUESTED, client.client_id, actor, details)
        return change

    async def _decide(self, tx: Transaction, change: Change, state: ChangeState, actor: str, reason: str | None) -> None:
        await store.decide(tx, change.id, state, actor, self._clock(), reason)
        kind = Kind.CLIENT_CHANGE_APPROVED if state is ChangeState.APPROVED else Kind.CLIENT_CHANGE_REFUSED
        details: dict[str, Detail] = {"change": change.id, "kind": change.kind.value, "state": state.value, "asked_by": change.asked_by}
        await self._tell(tx, kind, change.client_id, actor, details)

    async def _tell(self, tx: Transaction, kind: Kind, client_id: str, actor: str, details: dict[str, Detail]) -> None:
        await self._audit.record(tx, AuditEvent(kind, actor=actor, client_id=client_id, details=details))

    async def _find(self, tx: Transaction, client_id: str, versions: Collection[int] | None = None) -> Client:
        client = await self._clients.read(tx, client_id)
        if client is None:
            raise NotDone(Obstacle.NO_CLIENT, client_id)
        if versions is not None and client.version not in versions:
            raise NotDone(Obstacle.VERSION_MOVED, str(client.version))
        return client

    async def _find_waiting(self, tx: Transaction, change_id: str, actor: str) -> tuple[Change, Client]:
        """Return a change that still waits, with its client; the client is locked first, as everywhere."""
        client = await self._find(tx, _need(await store.read(tx, change_id), change_id).client_id)
        change = _need(await store.lock(tx, change_id), change_id)
        if find_state(change, self._clock()) is not ChangeState.PENDING:
            raise NotDone(Obstacle.NOT_WAITING, find_state(change, self._clock()).value)
        _refuse_appointment(client, change_client(client, change.metadata), actor)
        return change, client


def _need(change: Change | None, change_id: str) -> Change:
    if change is None:
        raise NotDone(Obstacle.NO_CHANGE, change_id)
    return change


def _refuse_appointment(before: Client, after: Client, actor: str) -> None:
    """Whoever could make or take over a client that administers others could be two persons at once; that is the operator's."""
    if not actor.startswith(OPERATOR) and (administers(before) or administers(after)):
        raise NotDone(Obstacle.OPERATORS_ONLY, after.client_id)
