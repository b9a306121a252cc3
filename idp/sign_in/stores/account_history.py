"""Decides how a person's own audit rows are read: by person and instant, a page at a time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from idp.kernel.audit_events import Detail
from idp.platform.database import Database
from idp.sign_in.rules.account_paging import RowKey

LIST_EVENTS = """
    SELECT at, id, kind, client_id, details, sealed_place FROM audit_events
    WHERE person_id = $1 AND at >= $2 AND at <= $3 AND (at, id) < ($3, $4) AND kind = ANY($5::text[])
    ORDER BY at DESC, id DESC LIMIT $6
"""


@dataclass(frozen=True)
class StoredEvent:
    """One audit row of a person; ``row`` is what ``read_place`` opens."""

    key: RowKey
    kind: str
    client_id: str | None
    details: dict[str, Detail]
    row: Any


async def list_of_person(
    database: Database, person_id: UUID, since: datetime, before: RowKey, kinds: Sequence[str], limit: int
) -> list[StoredEvent]:
    """Return at most ``limit`` events of these kinds, the newest first, older than ``before``."""
    rows = await database.fetch(LIST_EVENTS, person_id, since, before.at, before.id, list(kinds), limit)
    return [StoredEvent(RowKey(r["at"], r["id"]), r["kind"], r["client_id"], json.loads(r["details"]), r) for r in rows]
