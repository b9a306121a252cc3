"""Decides what one audit row is: its columns, the exact bytes its mac covers, and when a stored row counts as altered."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from idp.kernel.audit_events import AuditEvent, Place
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_uuid7
from idp.platform.database import Row, Transaction
from keys import Mac, MissingKey, Sealer, Unsealable, hash_bytes, row_aad

MAXIMUM_FIELD = 200
"""Characters of actor, client id and request id; longer text is cut, so that one odd row never fails a group commit."""

MAXIMUM_DETAILS = 4_096
"""Bytes of the details; more is a defect of the caller."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# The first element names the layout: a later layout gets another word, and rows of both verify.
LAYOUT = "audit-row/1"

_encode = msgspec.json.Encoder().encode
_places = msgspec.json.Decoder(dict[str, str])


class PreparedEvent(msgspec.Struct, frozen=True):
    """One row of ``audit_events``, in the order of its columns; ``values()`` are the arguments of INSERT_EVENT."""

    at: datetime
    id: UUID
    kind: str
    result: str
    actor: str
    person_id: UUID | None
    client_id: str | None
    request_id: str
    details: str
    sealed_place: bytes | None
    place_hash: bytes | None
    key_id: str
    mac: bytes

    def values(self) -> tuple[Any, ...]:
        """Return the columns as the arguments of INSERT_EVENT."""
        return msgspec.structs.astuple(self)


COLUMNS = PreparedEvent.__struct_fields__
"""The columns of ``audit_events`` in order."""

COLUMN_LIST = ", ".join(COLUMNS)
"""The same as SQL, for statements that are put together when their module is loaded."""

INSERT_EVENT = "INSERT INTO audit_events (" + COLUMN_LIST + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"  # noqa: S608 - constants alone


class RowFault(StrEnum):
    """Why a stored row is not the one that was written."""

    MAC = "the row was altered: its mac does not fit its columns"
    KEY = "the row names a mac key that does not exist"
    PLACE = "the sealed place was exchanged: it does not fit its hash"


def encode_row(
    at: datetime,
    event_id: UUID,
    kind: str,
    result: str,
    actor: str,
    person_id: UUID | None,
    client_id: str | None,
    request_id: str,
    details: str,
    place_hash: bytes | None,
    key_id: str,
) -> bytes:
    """Return the canonical bytes under the mac: a JSON array of every column but ``sealed_place`` and ``mac``.

    Instants are microseconds since 1970 in UTC, bytes are base64, absent values are null: no two rows share an encoding.
    ``sealed_place`` is covered through ``place_hash`` (SHA-256 or SM3, as the suite of the mac key), so erasing a place keeps the row
    verifiable.
    """
    instant = (at - EPOCH) // MICROSECOND
    return _encode((LAYOUT, instant, event_id, kind, result, actor, person_id, client_id, request_id, details, place_hash, key_id))


class AuditLog:
    """Turns events into rows under the current mac key and writes them inside the caller's transaction."""

    def __init__(self, mac: Mac, places: Sealer, clock: Clock, random: Random) -> None:
        self._mac = mac
        self._places = places
        self._clock = clock
        self._random = random

    def prepare(self, event: AuditEvent) -> PreparedEvent:
        """Return the finished row of ``event``, at the present instant. Raises ValueError when the details are too long."""
        at = self._clock()
        event_id = make_uuid7(lambda: at, self._random)
        actor = _bound(event.actor)
        client_id = None if event.client_id is None else _bound(event.client_id)
        request_id = _bound(event.request_id)
        details = _encode(event.details).decode()
        if len(details) > MAXIMUM_DETAILS:
            raise ValueError(f"the details of {event.kind} are longer than {MAXIMUM_DETAILS} characters")
        sealed = place_hash = None
        if event.place is not None:
            sealed = self._seal_place(event_id, event.place)
            place_hash = hash_bytes(self._mac.current_suite, sealed)
        kind, result, key_id = event.kind.value, event.result.value, self._mac.current_id
        mac = self._mac.compute(
            encode_row(at, event_id, kind, result, actor, event.person_id, client_id, request_id, details, place_hash, key_id)
        )
        return PreparedEvent(
            at, event_id, kind, result, actor, event.person_id, client_id, request_id, details, sealed, place_hash, key_id, mac
        )

    async def record(self, tx: Transaction, event: AuditEvent) -> PreparedEvent:
        """Write ``event`` in the caller's transaction and return its row."""
        prepared = self.prepare(event)
        await tx.execute(INSERT_EVENT, *prepared.values())
        return prepared

    def _seal_place(self, event_id: UUID, place: Place) -> bytes:
        plaintext = _encode({"address": place.address, "device": place.device})
        return self._places.seal(plaintext, _place_aad(event_id), self._random)


def read_place(row: Mapping[str, Any] | Row, places: Sealer) -> Place | None:
    """Return where the event of a stored row happened; None when it has no place or the place was erased.

    Raises Unsealable when the envelope was altered or moved from another row.
    """
    if row["sealed_place"] is None:
        return None
    try:
        return Place(**_places.decode(places.open(row["sealed_place"], _place_aad(row["id"]))))
    except (msgspec.DecodeError, TypeError) as error:
        raise Unsealable("the sealed place is not a place") from error


def verify_row(row: Mapping[str, Any] | Row, mac: Mac) -> RowFault | None:
    """Return what is wrong with a stored row (all columns of COLUMNS), None when it is as it was written."""
    message = encode_row(
        row["at"],
        row["id"],
        row["kind"],
        row["result"],
        row["actor"],
        row["person_id"],
        row["client_id"],
        row["request_id"],
        row["details"],
        row["place_hash"],
        row["key_id"],
    )
    try:
        expected = mac.compute(message, row["key_id"])
    except MissingKey:
        return RowFault.KEY
    if not hmac.compare_digest(expected, row["mac"]):
        return RowFault.MAC
    sealed = row["sealed_place"]
    if sealed is not None and not (
        row["place_hash"] is not None and hmac.compare_digest(hash_bytes(mac.find_suite(row["key_id"]), sealed), row["place_hash"])
    ):
        return RowFault.PLACE
    return None


def _place_aad(event_id: UUID) -> bytes:
    return row_aad("audit_events", "sealed_place", event_id.bytes)


def _bound(text: str) -> str:
    """Return ``text`` as PostgreSQL and the encoder can hold it: no NUL, no lone surrogate, at most MAXIMUM_FIELD."""
    if len(text) <= MAXIMUM_FIELD and text.isprintable():
        return text
    return text[:MAXIMUM_FIELD].encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
