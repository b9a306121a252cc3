"""Decides what the admin API reads and writes: one Struct each, the metadata of clients made from the table of names."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from idp.protocol.rules.client import Basis, Client
from idp.protocol.rules.client_changes import Change, ChangeKind, ChangeState
from idp.protocol.rules.client_status import ClientStatus
from idp.protocol.rules.registration_metadata import MAX_ADDRESS, MAX_NUMBER, METADATA, REQUIRED, Kind, Metadata, list_effective
from idp.protocol.services.client_administration import Outcome

ClientId = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="1 to 64 letters, digits, hyphens or underscores")]


class EntitlementDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Claims that a client receives, why, and on which legal basis. ``version`` is ours."""

    purpose: Annotated[str, Meta(min_length=1, max_length=200)]
    basis: Basis
    claims: Annotated[list[str], Meta(min_length=1, max_length=20)]
    purpose_en: Annotated[str, Meta(max_length=200)] = ""
    version: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class KeySetDocument(msgspec.Struct, frozen=True):
    """A JWK set with public keys (RFC 7517 §5)."""

    keys: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=20)]


def _find_type(row: Metadata) -> Any:
    """Return the type of one value on the wire."""
    listed = Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS if row.kind is Kind.ADDRESSES else row.longest)]
    one: Any = Literal[tuple(str(choice) for choice in row.choices)] if row.choices and row.kind is not Kind.WORDS else listed
    match row.kind:
        case Kind.BOOLEAN:
            return bool
        case Kind.NUMBER:
            return Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
        case Kind.TEXT:
            return one
        case Kind.ADDRESS:
            return Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS)]
        case Kind.WORDS:
            return Annotated[str, Meta(min_length=1, max_length=1_000, description=f"some of: {' '.join(row.choices)}")]
        case Kind.TEXTS | Kind.ADDRESSES:
            return Annotated[list[one], Meta(max_length=row.most)]
        case Kind.KEYS:
            return KeySetDocument
        case Kind.ENTITLEMENTS:
            return Annotated[list[EntitlementDocument], Meta(max_length=row.most)]


_ATTRIBUTES = {name: name.replace("#", "_") for name in METADATA}
_RENAMED = {attribute: name for name, attribute in _ATTRIBUTES.items()}


def _make_struct(name: str, doc: str, own: Iterable[tuple[Any, ...]], *, required: bool, nullable: bool) -> type[msgspec.Struct]:
    """Return a Struct of ``own`` fields and all metadata, which are left out unless they are said."""
    fields: list[Any] = [*own]
    for row in METADATA.values():
        kind = _find_type(row)
        if required and row.name in REQUIRED:
            fields.append((_ATTRIBUTES[row.name], kind))
        else:
            clearable = nullable and row.name not in REQUIRED
            fields.append((_ATTRIBUTES[row.name], kind | None | UnsetType if clearable else kind | UnsetType, UNSET))
    return msgspec.defstruct(
        name, fields, rename=_RENAMED, kw_only=True, frozen=True, forbid_unknown_fields=True, namespace={"__doc__": doc}, module=__name__
    )


NewClient = _make_struct(
    "NewClient",
    "A client to be registered; what is left out has the strict default, and an id is made where none is chosen.",
    [("client_id", ClientId | UnsetType, UNSET)],
    required=True,
    nullable=False,
)
ClientPatch = _make_struct(
    "ClientPatch", "What is changed of a client (RFC 7396): null is the default again.", [], required=False, nullable=True
)
ClientDocument = _make_struct(
    "ClientDocument",
    "A client with everything it is registered with; what is empty is left out.",
    [("client_id", ClientId), ("version", int), ("status", ClientStatus)],
    required=False,
    nullable=False,
)


class ClientPage(msgspec.Struct, frozen=True):
    """Clients in order of their ids; ``next`` is the ``after`` of the following page, null on the last."""

    clients: list[ClientDocument]  # type: ignore[valid-type]
    next: str | None


class ChangeDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change that waits for a second person, or waited. ``wanted`` has the metadata by name, of a rotation ``overlap_seconds``."""

    id: str
    client_id: str
    kind: ChangeKind
    state: ChangeState
    wanted: dict[str, Any]
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | UnsetType = UNSET
    decided_at: datetime | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class ChangePage(msgspec.Struct, frozen=True):
    """Changes in order of their ids; ``next`` is the ``after`` of the following page, null on the last."""

    changes: list[ChangeDocument]
    next: str | None


class OutcomeDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A client after a request. ``client_secret`` is told this once; ``change`` is what now waits for a second person."""

    client: ClientDocument  # type: ignore[valid-type]
    client_secret: str | UnsetType = UNSET
    change: ChangeDocument | UnsetType = UNSET


class SecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how many seconds the secret of before counts beside the new one."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] = 0


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a change is refused; no personal data."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No body, or an empty object."""


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457): ``code`` stays the same, ``field`` is the value that it is about."""

    type: str
    title: str
    status: int
    code: str
    detail: str | UnsetType = UNSET
    field: str | UnsetType = UNSET


def describe_client(client: Client) -> Any:
    """Return the document of a client."""
    told = {"client_id": client.client_id, "version": client.version, "status": client.status, **list_effective(client)}
    return msgspec.convert(told, ClientDocument)


def describe_change(change: Change) -> ChangeDocument:
    """Return the document of a change."""
    return ChangeDocument(
        id=change.id,
        client_id=change.client_id,
        kind=change.kind,
        state=change.state,
        wanted=dict(change.wanted),
        asked_by=change.asked_by,
        asked_at=change.asked_at,
        expires_at=change.expires_at,
        decided_by=change.decided_by or UNSET,
        decided_at=change.decided_at or UNSET,
        reason=change.reason or UNSET,
    )


def describe_outcome(outcome: Outcome) -> OutcomeDocument:
    """Return the document of an outcome."""
    return OutcomeDocument(
        describe_client(outcome.client),
        outcome.secret if outcome.secret is not None else UNSET,
        describe_change(outcome.waits) if outcome.waits is not None else UNSET,
    )


def read_document(kind: type[msgspec.Struct], body: Mapping[str, object]) -> Mapping[str, Any]:
    """Return the body once it has the shape of ``kind``; msgspec.ValidationError otherwise."""
    msgspec.convert(body, kind)
    return body
