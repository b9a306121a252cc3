"""Decides how the standing of a browser towards one client is read: one held statement, shared by those who ask together."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from idp.platform.database import Database, Row
from idp.platform.reads import BatchedRead
from idp.protocol.rules.authorization import Standing
from idp.protocol.rules.consents import NO_CONSENTS, Consents
from idp.sign_in.rules.session import Session, read_factors

READ_STANDING = """
    SELECT k.ord, s.id_hash, s.lineage, s.person_id, s.factors, s.created_at, s.last_seen_at, s.expires_at, p.status, p.ial, p.recovered_at,
           p.passkeys, k.client_id = ANY (p.barred_from) AS barred, u.sub,
           (SELECT i.matched_at FROM person_identifiers i WHERE i.person_id = s.person_id AND i.kind = 'phone' AND i.state = 'active'
            ORDER BY i.created_at DESC LIMIT 1) AS phone_matched_at,
           (SELECT string_agg(c.version || E'\\t' || c.claims || E'\\t' || c.purpose, E'\\n') FROM consents c
            WHERE c.person_id = s.person_id AND c.client_id = k.client_id AND c.withdrawn_at IS NULL) AS consents
    FROM unnest($1::bytea[], $2::text[], $3::uuid[]) WITH ORDINALITY AS k (id_hash, client_id, sector_id, ord)
    JOIN sessions s ON s.id_hash = k.id_hash AND s.ended_at IS NULL
    JOIN people p ON p.id = s.person_id
    LEFT JOIN subjects u ON u.person_id = s.person_id AND u.sector_id = k.sector_id
"""


class Presence(NamedTuple):
    """A browser's session, not necessarily alive any more, and the standing of its person towards one client."""

    session: Session
    standing: Standing


def make_presence(row: Row) -> Presence:
    """Return the presence of one row of READ_STANDING."""
    session = Session(
        id_hash=row["id_hash"],
        lineage=row["lineage"],
        person_id=row["person_id"],
        proved=read_factors(row["factors"]),
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
    )
    standing = Standing(
        person_id=session.person_id,
        proved=session.proved,
        person_status=row["status"],
        ial=row["ial"],
        phone_matched_at=row["phone_matched_at"],
        subject=row["sub"],
        consents=read_consents(row["consents"]),
        recovered_at=row["recovered_at"],
        has_passkey=row["passkeys"] > 0,
        barred=bool(row["barred"]),
    )
    return Presence(session, standing)


def read_consents(text: str | None) -> Consents:
    """Return the consents of an aggregated column: a line each of version, claims and purpose."""
    if not text:
        return NO_CONSENTS
    rows = (line.split("\t", 2) for line in text.split("\n"))
    return {(purpose, int(version)): frozenset(claims.split(" ")) for version, claims, purpose in rows}


@dataclass(frozen=True)
class StandingReads:
    """Reads ``(session hash, client id, sector id)`` → Presence, None without a live session row."""

    batch: BatchedRead[Presence]

    async def read(self, session_hash: bytes, client_id: str, sector_id: UUID) -> Presence | None:
        """Return who stands behind a session hash towards one client."""
        return await self.batch.read(session_hash, client_id, sector_id)


def make_standing_reads(database: Database) -> StandingReads:
    """Return the batched read over ``database``."""
    return StandingReads(BatchedRead(database, READ_STANDING, 3, make_presence))
