"""Decides how changes that wait for a second person are kept: one waiting at a time for each client, the decided ones for ever."""

import json
from datetime import datetime

from idp.platform.database import Row, Transaction
from idp.protocol.rules.client_changes import Change, ChangeKind, ChangeState

ADD_CHANGE = """
    INSERT INTO client_changes (id, client_id, kind, state, wanted, asked_by, asked_at, expires_at)
    VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7)
    ON CONFLICT (client_id) WHERE state = 'pending' DO NOTHING
    RETURNING id
"""

READ_CHANGE = """
    SELECT id, client_id, kind, state, wanted, asked_by, asked_at, expires_at, decided_by, decided_at, reason
    FROM client_changes WHERE id = $1
"""

LOCK_CHANGE = READ_CHANGE + "FOR UPDATE"

LIST_CHANGES = """
    SELECT id, client_id, kind, state, wanted, asked_by, asked_at, expires_at, decided_by, decided_at, reason
    FROM client_changes
    WHERE id > $1 AND ($2::text IS NULL OR CASE WHEN state = 'pending' AND expires_at <= $4 THEN 'expired' ELSE state END = $2)
      AND ($3::text IS NULL OR client_id = $3)
    ORDER BY id LIMIT $5
"""

DECIDE_CHANGE = """
    UPDATE client_changes SET state = $2, decided_by = $3, decided_at = $4, reason = $5 WHERE id = $1 AND state = 'pending' RETURNING id
"""

EXPIRE_CHANGES = """
    UPDATE client_changes SET state = 'expired' WHERE client_id = $1 AND state = 'pending' AND expires_at <= $2
"""

FINISH_CHANGE = "UPDATE client_changes SET state = 'done' WHERE id = $1 AND state = 'approved'"

# A secret that was approved and not taken is asked for again.
WITHDRAW_CHANGES = """
    UPDATE client_changes SET state = 'withdrawn', decided_by = $2, decided_at = $3, reason = $4
    WHERE client_id = $1 AND (state = 'pending' OR (state = 'approved' AND kind = 'rotate_secret'))
    RETURNING id
"""


def make_change(row: Row) -> Change:
    """Return the change of one row."""
    return Change(
        id=row["id"],
        client_id=row["client_id"],
        kind=ChangeKind(row["kind"]),
        state=ChangeState(row["state"]),
        wanted=json.loads(row["wanted"]),
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        expires_at=row["expires_at"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        reason=row["reason"],
    )


async def add(tx: Transaction, change: Change) -> bool:
    """Add a change that waits; False when one of this client waits already. One whose time is over makes room."""
    await tx.execute(EXPIRE_CHANGES, change.client_id, change.asked_at)
    wanted = json.dumps(change.wanted, ensure_ascii=False, sort_keys=True)
    row = await tx.fetchrow(
        ADD_CHANGE, change.id, change.client_id, change.kind.value, wanted, change.asked_by, change.asked_at, change.expires_at
    )
    return row is not None


async def read(tx: Transaction, change_id: str) -> Change | None:
    """Return a change, None when there is none."""
    row = await tx.fetchrow(READ_CHANGE, change_id)
    return None if row is None else make_change(row)


async def lock(tx: Transaction, change_id: str) -> Change | None:
    """Return a change that nobody else decides before the transaction ends, None when there is none."""
    row = await tx.fetchrow(LOCK_CHANGE, change_id)
    return None if row is None else make_change(row)


async def list_after(
    tx: Transaction, after: str, state: ChangeState | None, client_id: str | None, now: datetime, limit: int
) -> list[Change]:
    """Return at most ``limit`` changes in order of their ids, beginning after ``after``; ``state`` is what they are by ``now``."""
    return [make_change(row) for row in await tx.fetch(LIST_CHANGES, after, state, client_id, now, limit)]


async def decide(tx: Transaction, change_id: str, state: ChangeState, decided_by: str, now: datetime, reason: str | None) -> bool:
    """Close a change that waits; False when it does not wait any more."""
    return await tx.fetchrow(DECIDE_CHANGE, change_id, state.value, decided_by, now, reason) is not None


async def finish(tx: Transaction, change_id: str) -> None:
    """Note that what was approved is done."""
    await tx.execute(FINISH_CHANGE, change_id)


async def withdraw(tx: Transaction, client_id: str, decided_by: str, now: datetime, reason: str) -> list[str]:
    """Close whatever waits for a client, or was approved and not taken, and return its ids."""
    return [row["id"] for row in await tx.fetch(WITHDRAW_CHANGES, client_id, decided_by, now, reason)]
