"""Decides which columns hold something under a data key, under which, and what a rotation does to them: one row a column."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from keys import row_aad

Key = Sequence[Any]
"""The values of a row's primary key: UUID, bytes or str."""


@dataclass(frozen=True)
class SealedColumn:
    """A column that the worker seals anew. ``key``: the primary key, name → type, in order; ``make_aad``: what binds the value to its row.

    ``index``: the column of the primary key that is a blind index of the sealed value, made by the key that ``index_key`` names;
    ``find_kind`` says for what kind of value. Its row then moves to the present index key as well.
    """

    table: str
    column: str
    purpose: str
    key: Mapping[str, str]
    make_aad: Callable[[Key], bytes]
    index: str | None = None
    find_kind: Callable[[Key], str] = lambda key: str(key[0])

    @property
    def name(self) -> str:
        """``table.column``."""
        return f"{self.table}.{self.column}"


@dataclass(frozen=True)
class KeyUse:
    """Rows that name a data key. ``key_id`` is SQL; ``ends`` says until when they need it, "" where the worker makes them anew."""

    table: str
    column: str
    purpose: str
    key_id: str
    ends: str

    @property
    def name(self) -> str:
        """``table.column``."""
        return f"{self.table}.{self.column}"


def _name(key: Key) -> bytes:
    return b"".join(part.bytes if isinstance(part, UUID) else part if isinstance(part, bytes) else part.encode() for part in key)


RE_SEALED: Final = (
    SealedColumn("people", "profile", "people", {"id": "uuid"}, lambda key: row_aad("people", "profile", _name(key))),
    SealedColumn(
        "person_identifiers",
        "sealed",
        "people",
        {"kind": "text", "index_value": "bytea"},
        lambda key: row_aad("person_identifiers", "sealed", key[0].encode() + b"\0" + key[1]),
        index="index_value",
    ),
    SealedColumn(
        "person_contacts",
        "sealed",
        "people",
        {"person_id": "uuid", "phone_index": "bytea"},
        lambda key: row_aad("person_contacts", "sealed", _name(key)),
        index="phone_index",
        find_kind=lambda _: "phone",
    ),
    SealedColumn(
        "passkeys",
        "sealed_name",
        "people",
        {"person_id": "uuid", "id": "uuid"},
        lambda key: row_aad("passkeys", "sealed_name", _name(key[1:])),
    ),
    SealedColumn("sessions", "sealed_place", "places", {"id_hash": "bytea"}, lambda key: row_aad("sessions", "sealed_place", _name(key))),
    SealedColumn(
        "registration_drafts", "sealed", "drafts", {"id": "uuid"}, lambda key: row_aad("registration_drafts", "sealed", _name(key))
    ),
    SealedColumn(
        "clients", "sealed_secret", "client_secrets", {"client_id": "text"}, lambda key: row_aad("clients", "sealed_secret", _name(key))
    ),
    # A secret keeps its place when it becomes the previous one, so it opens as what it was.
    SealedColumn(
        "clients",
        "previous_sealed_secret",
        "client_secrets",
        {"client_id": "text"},
        lambda key: row_aad("clients", "sealed_secret", _name(key)),
    ),
)
"""What the worker seals anew. A new sealed column belongs here, or into KEPT; a test names what is missing."""


def read_header(column: str) -> str:
    """Return the SQL of the key id that an envelope names (keys/envelope.py)."""
    return f"CASE WHEN octet_length({column}) > 2 THEN encode(substring({column} FROM 3 FOR get_byte({column}, 1)), 'escape') END"


def _read_prefix(column: str) -> str:
    """Return the SQL of the key id before the colon of a mac (protocol/services/clients.py)."""
    return f"encode(substring({column} FROM 1 FOR greatest(position(':'::bytea IN {column}) - 1, 0)), 'escape')"


KEPT: Final = (
    KeyUse("outbox", "sealed", "outbox", read_header("sealed"), "until the message left or expired"),
    KeyUse("transients", "value", "transients", read_header("value"), "until they expire"),
    # The audit is written once: nobody who serves may change a row, and the hash of the place is under the row's mac.
    KeyUse("audit_events", "sealed_place", "places", read_header("sealed_place"), "until their partition is dropped"),
    KeyUse("audit_events", "mac", "audit", "key_id", "until their partition is dropped"),
    # What was asked is not kept, so its mac cannot be made again.
    KeyUse("proofing_evidence", "input_mac", "evidence", "key_id", "until the evidence is forgotten"),
    # The secret itself is not kept either; whoever tells clients apart makes its mac anew when the client shows it.
    KeyUse("clients", "secret_mac", "client_secrets", _read_prefix("secret_mac"), "until the client shows its secret, or gets another"),
    KeyUse("clients", "previous_secret_mac", "client_secrets", _read_prefix("previous_secret_mac"), "until their overlap is over"),
)
"""What stays under its key until it ends."""

INDEX_KEYS: Final = tuple(KeyUse(column.table, "index_key", "index", "index_key", "") for column in RE_SEALED if column.index)

NOT_SEALED: Final = frozenset(
    {
        # Hashes of secrets with ≥ 128 random bits, and public values.
        "known_devices.device_hash",
        "sessions.id_hash",
        "sessions.lineage",
        "sessions.device_hash",
        "grants.lineage",
        "logout_deliveries.lineage",
        "registration_drafts.owner_hash",
        "registration_tokens.token_hash",
        "clients.registration_token_hash",
        "agreements.text_hash",
        "passkeys.credential_id",
        "passkeys.user_handle",
        "passkeys.public_key",
        # The audit's own hashes.
        "audit_events.place_hash",
        "audit_chain.mac",
        "audit_chain.prev",
        "audit_chain.hash",
        # Keys, under the key-encryption key.
        "data_keys.wrapped",
        "signing_keys.wrapped",
        # Blind indexes that move with the value beside them, and those that live a day at most: locks and what was counted today.
        "person_identifiers.index_value",
        "person_contacts.phone_index",
        "sign_in_locks.subject_hash",
        "message_counts.subject_hash",
        "check_counts.subject_hash",
        # Names of what is under way: the purpose transient_names.
        "transients.key",
    }
)
"""Columns of bytes that are under no data key, or whose key goes by time."""
