"""Decides how evidence of checks is kept: what was asked as a mac, what was answered as a word (domain.md "Proofing")."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

# The same request asked again has the same answer; its first record stays.
ADD_EVIDENCE = """
    INSERT INTO proofing_evidence (id, request_id, case_id, person_id, kind, input_mac, key_id, result, source, source_reference,
                                   source_signature, purpose, consent_ref, operator, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT (request_id) DO NOTHING
"""

# What the risk service said is about a request, not about who the person is.
LINK_EVIDENCE = """
    UPDATE proofing_evidence SET person_id = $2 WHERE case_id = $1 AND person_id IS NULL AND kind <> 'registration_risk'
"""

# What belongs to a person is never touched here.
DROP_UNOWNED = """
    DELETE FROM proofing_evidence WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM proofing_evidence WHERE person_id IS NULL AND at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
    )) AND person_id IS NULL RETURNING 1 AS dropped
"""


@dataclass(frozen=True)
class Evidence:
    """One check that was made. ``input_mac`` under the key ``key_id`` proves later what was asked."""

    id: UUID
    request_id: str
    case_id: UUID
    person_id: UUID | None
    kind: str
    input_mac: bytes
    key_id: str
    result: str
    source: str
    source_reference: str
    source_signature: str
    purpose: str
    consent_ref: str
    operator: str | None
    at: datetime


async def add(tx: Transaction, evidence: Evidence) -> None:
    """Keep the evidence of one check."""
    e = evidence
    await tx.execute(
        ADD_EVIDENCE,
        e.id,
        e.request_id,
        e.case_id,
        e.person_id,
        e.kind,
        e.input_mac,
        e.key_id,
        e.result,
        e.source,
        e.source_reference,
        e.source_signature,
        e.purpose,
        e.consent_ref,
        e.operator,
        e.at,
    )


async def link(tx: Transaction, case_id: UUID, person_id: UUID) -> None:
    """Give the evidence of a case to the person that it led to."""
    await tx.execute(LINK_EVIDENCE, case_id, person_id)


async def drop_unowned(tx: Transaction, before: datetime, batch: int) -> int:
    """Forget at most ``batch`` checks until ``before`` that led to nobody; return how many."""
    return len(await tx.fetch(DROP_UNOWNED, before, batch))
