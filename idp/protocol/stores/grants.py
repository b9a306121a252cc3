"""Decides how grants are read with all they rest on, and how they end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from idp.platform.database import Database, Row, Transaction
from idp.platform.ledger_statements import OVERLOOKED
from idp.platform.reads import BatchedRead
from idp.protocol.rules.consents import Consents
from idp.protocol.rules.grant import Grant
from idp.protocol.stores.standing import read_consents
from idp.sign_in.rules.session import read_factors

# Of a grant that another one's token was exchanged for: what is true of that one and of all before it, a word each; NULL for most grants.
READ_PARENTS = """
           CASE WHEN g.parent_id IS NOT NULL THEN (
               WITH RECURSIVE line AS (
                   SELECT o.parent_id, o.client_id, o.person_id, o.created_at, o.ended_at FROM grants o WHERE o.id = g.parent_id
                   UNION ALL
                   SELECT o.parent_id, o.client_id, o.person_id, o.created_at, o.ended_at FROM line l JOIN grants o ON o.id = l.parent_id
               )
               SELECT CASE WHEN bool_or(l.parent_id IS NULL) THEN
                   string_agg(CASE WHEN l.ended_at IS NOT NULL THEN 'ended'
                                   WHEN (SELECT l.client_id = ANY (p.barred_from) FROM people p WHERE p.id = l.person_id) THEN 'barred'
                                   ELSE coalesce((SELECT CASE WHEN l.created_at < c.grants_from THEN 'ended' ELSE c.status END
                                                  FROM clients c WHERE c.client_id = l.client_id), 'gone') END, ' ')
               ELSE 'gone' END
               FROM line l
           ) END AS parents
"""

READ_GRANT = f"""
    SELECT k.ord, g.id, g.client_id, g.person_id, g.lineage, g.scope, g.subject, g.audience, g.factors, g.acr, g.created_at,
           g.expires_at, g.generation, g.rotated_at, g.graced, g.ended_at, g.confirmation, g.terms, g.idle_limit, g.used_at, g.parent_id,
           (SELECT CASE WHEN g.created_at < c.grants_from THEN 'ended' ELSE c.status END FROM clients c WHERE c.client_id = g.client_id)
           AS client_status,
           (SELECT CASE WHEN g.client_id = ANY (p.barred_from) THEN 'barred' ELSE p.status END FROM people p WHERE p.id = g.person_id)
           AS person_status,
           (SELECT true FROM sessions s WHERE s.lineage = g.lineage AND s.ended_at IS NULL AND s.expires_at > $2 LIMIT 1) AS session_alive,
           {READ_PARENTS}
    FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, ord)
    JOIN grants g ON g.id = k.id
"""  # noqa: S608 - constants alone

READ_GRANT_WITH_PERSON = f"""
    SELECT k.ord, g.id, g.client_id, g.person_id, g.lineage, g.scope, g.subject, g.audience, g.factors, g.acr, g.created_at,
           g.expires_at, g.generation, g.rotated_at, g.graced, g.ended_at, g.confirmation, g.terms, g.idle_limit, g.used_at, g.parent_id,
           (SELECT CASE WHEN g.created_at < c.grants_from THEN 'ended' ELSE c.status END FROM clients c WHERE c.client_id = g.client_id)
           AS client_status,
           CASE WHEN g.client_id = ANY (p.barred_from) THEN 'barred' ELSE p.status END AS person_status,
           (SELECT true FROM sessions s WHERE s.lineage = g.lineage AND s.ended_at IS NULL AND s.expires_at > $2 LIMIT 1) AS session_alive,
           p.ial, p.profile,
           (SELECT string_agg(c.version || E'\\t' || c.claims || E'\\t' || c.purpose, E'\\n') FROM consents c
            WHERE c.person_id = g.person_id AND c.client_id = g.client_id AND c.withdrawn_at IS NULL) AS consents,
           {READ_PARENTS}
    FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, ord)
    JOIN grants g ON g.id = k.id
    LEFT JOIN people p ON p.id = g.person_id
"""  # noqa: S608 - constants alone

END_GRANT = """
    UPDATE grants SET ended_at = $2, ended_reason = $3 WHERE id = $1 AND ended_at IS NULL RETURNING id
"""

END_GRANTS_OF_PERSON = """
    UPDATE grants SET ended_at = $2, ended_reason = $3 WHERE person_id = $1 AND ended_at IS NULL RETURNING client_id
"""

END_GRANTS_AT_CLIENT = """
    UPDATE grants SET ended_at = $3, ended_reason = $4 WHERE person_id = $1 AND client_id = $2 AND ended_at IS NULL RETURNING id
"""

GRACE_GRANT = """
    UPDATE grants SET graced = true, signed_by = $3 WHERE id = $1 AND generation = $2 AND NOT graced AND ended_at IS NULL RETURNING id
"""

NOTE_SIGNERS = "UPDATE grants SET signed_by = $2 WHERE id = $1 AND ended_at IS NULL AND signed_by IS DISTINCT FROM $2"

# What the ledger asks of a grant whose refresh token is replaced, of one whose stays.
STILL_STANDS = f"SELECT true FROM grants WHERE id = $1 AND ended_at IS NULL AND NOT {OVERLOOKED}"  # noqa: S608 - constants alone

NOTE_USE = "UPDATE grants SET used_at = $2 WHERE id = $1 AND ended_at IS NULL AND (used_at IS NULL OR used_at < $2)"

END_GRANTS_OF_LINEAGE = "UPDATE grants SET ended_at = $2, ended_reason = $3 WHERE lineage = $1 AND ended_at IS NULL"

# An app that was suspended, at which the person is barred, or whose own grant ended, brings no other app in.
READ_APP_SIGN_IN = """
    SELECT s.person_id, s.expires_at
    FROM sessions s JOIN people p ON p.id = s.person_id JOIN clients c ON c.client_id = s.app_client_id
    WHERE s.lineage = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND p.status = 'active' AND c.status = ANY ($3::text[])
      AND NOT coalesce(s.app_client_id = ANY (p.barred_from), false)
      AND EXISTS (SELECT FROM grants g WHERE g.lineage = s.lineage AND g.client_id = s.app_client_id AND g.parent_id IS NULL
                  AND g.ended_at IS NULL AND (c.grants_from IS NULL OR g.created_at >= c.grants_from))
"""

READ_APP_BEHIND = """
    SELECT s.lineage, s.app_client_id, c.sector_id
    FROM grants g JOIN sessions s ON s.lineage = g.lineage JOIN clients c ON c.client_id = s.app_client_id
    WHERE g.id = $1 AND g.parent_id IS NULL AND s.ended_at IS NULL
    LIMIT 1
"""


def make_grant(row: Row, usable: frozenset[str]) -> Grant:
    """Return the grant of one row of READ_GRANT; ``usable`` are the statuses in which its client may act."""
    return Grant(
        id=row["id"],
        client_id=row["client_id"],
        person_id=row["person_id"],
        scope=tuple(row["scope"].split()),
        subject=row["subject"],
        lineage=row["lineage"],
        audience=row["audience"],
        proved=read_factors(row["factors"]),
        acr=row["acr"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        generation=row["generation"],
        rotated_at=row["rotated_at"],
        graced=row["graced"],
        ended_at=row["ended_at"],
        client_usable=row["client_status"] in usable,
        person_status=row["person_status"],
        session_alive=bool(row["session_alive"]),
        confirmation=row["confirmation"],
        terms=row["terms"],
        idle_limit=row["idle_limit"],
        used_at=row["used_at"],
        parent_id=row["parent_id"],
        parents_stand=row["parents"] is None or usable.issuperset(row["parents"].split(" ")),
    )


class GrantOfPerson(NamedTuple):
    """A grant with what UserInfo needs of its person; ``ial`` and the sealed ``profile`` are None for a client's own grant."""

    grant: Grant
    ial: int | None
    profile: bytes | None
    consents: Consents


def make_grant_of_person(row: Row, usable: frozenset[str]) -> GrantOfPerson:
    """Return one row of READ_GRANT_WITH_PERSON."""
    return GrantOfPerson(make_grant(row, usable), row["ial"], row["profile"], read_consents(row["consents"]))


@dataclass(frozen=True)
class AppSignIn:
    """The sign-in of an app that goes on."""

    lineage: bytes
    person_id: UUID
    expires_at: datetime


@dataclass(frozen=True)
class AppBehind:
    """The app whose own sign-in a grant hangs on, and the sector whose apps share it."""

    lineage: bytes
    client_id: str
    sector_id: UUID


class GrantReads:
    """The two batched reads of grants by id, and that of the sign-in of an app."""

    def __init__(self, database: Database, usable: frozenset[str]) -> None:
        self._database = database
        self._usable = usable
        self._grants: BatchedRead[Grant] = BatchedRead(database, READ_GRANT, 1, partial(make_grant, usable=usable), shared=1)
        self._with_person: BatchedRead[GrantOfPerson] = BatchedRead(
            database, READ_GRANT_WITH_PERSON, 1, partial(make_grant_of_person, usable=usable), shared=1
        )

    async def read(self, grant_id: UUID, now: datetime) -> Grant | None:
        """Return a grant with its present standing."""
        return await self._grants.read(grant_id, now)

    async def read_with_person(self, grant_id: UUID, now: datetime) -> GrantOfPerson | None:
        """Return a grant with its present standing, its person's level and consents."""
        return await self._with_person.read(grant_id, now)

    async def read_app_sign_in(self, lineage: bytes, now: datetime) -> AppSignIn | None:
        """Return the sign-in of an app, None when it ended, its person may not sign in (there), or the app may not act any more."""
        rows = await self._database.fetch(READ_APP_SIGN_IN, lineage, now, list(self._usable))
        return AppSignIn(lineage, rows[0]["person_id"], rows[0]["expires_at"]) if rows else None


async def still_stands(tx: Transaction, grant_id: UUID) -> bool:
    """Tell whether a grant has not ended, and was not overlooked when its sign-in ended."""
    return bool(await tx.fetchval(STILL_STANDS, grant_id))


async def note_signers(tx: Transaction, grant_id: UUID, signed_by: str) -> None:
    """Note which keys sign the latest tokens of a grant whose refresh token stays the same."""
    await tx.execute(NOTE_SIGNERS, grant_id, signed_by)


async def note_use(database: Database, grant_id: UUID, now: datetime) -> None:
    """Note that a grant with an idle limit was used."""
    await database.write(NOTE_USE, grant_id, now)


async def end(tx: Transaction, grant_id: UUID, now: datetime, reason: str) -> bool:
    """End a grant; False when it had ended or does not exist."""
    return await tx.fetchrow(END_GRANT, grant_id, now, reason) is not None


async def end_of_lineage(tx: Transaction, lineage: bytes, now: datetime, reason: str) -> None:
    """End every grant of a sign-in, offline ones included."""
    await tx.execute(END_GRANTS_OF_LINEAGE, lineage, now, reason)


async def find_app_behind(tx: Transaction, grant_id: UUID) -> AppBehind | None:
    """Return the app whose sign-in a grant hangs on; None for that of a browser, an ended one, and what a token was exchanged for."""
    row = await tx.fetchrow(READ_APP_BEHIND, grant_id)
    return None if row is None else AppBehind(row["lineage"], row["app_client_id"], row["sector_id"])


async def end_of_person(tx: Transaction, person_id: UUID, now: datetime, reason: str) -> dict[str, int]:
    """End every grant of a person, offline ones included; return how many of which client."""
    return Counter(row["client_id"] for row in await tx.fetch(END_GRANTS_OF_PERSON, person_id, now, reason))


async def end_at_client(tx: Transaction, person_id: UUID, client_id: str, now: datetime, reason: str) -> int:
    """End every grant of a person at one client; return how many."""
    return len(await tx.fetch(END_GRANTS_AT_CLIENT, person_id, client_id, now, reason))


async def spend_grace(tx: Transaction, grant_id: UUID, generation: int, signed_by: str) -> bool:
    """Use up the one pardon of a lost successor, whose tokens ``signed_by`` signs; False when it was used or the grant moved on."""
    rows: Sequence[Row] = await tx.fetch(GRACE_GRANT, grant_id, generation, signed_by)
    return bool(rows)
