"""Decides what is recorded when a person agrees or does not agree to a release that rests on consent."""

from dataclasses import replace

from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
from idp.kernel.clock import Clock
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.protocol.rules.authorization import ConsentRequired
from idp.protocol.rules.client import Client, Entitlement
from idp.protocol.services.authorization import Authorization
from idp.protocol.services.continuation import read_parameters, read_progress, write_request
from idp.protocol.stores import consents
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.session import Session


class Consent:
    """Shows what is asked and records the answer."""

    def __init__(self, database: Database, authorization: Authorization, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._authorization = authorization
        self._audit = audit
        self._clock = clock

    async def find_question(self, interaction: Interaction, session_hash: bytes | None) -> tuple[tuple[Entitlement, ...], Client] | None:
        """Return the entitlements to ask about and who asks; None when there is nothing to ask any more."""
        decision, client = await self._authorization.find_decision(
            read_parameters(interaction), session_hash, read_progress(interaction, signed_in=True)
        )
        return (decision.entitlements, client) if isinstance(decision, ConsentRequired) else None

    async def answer(
        self,
        interaction: Interaction,
        session: Session,
        entitlements: tuple[Entitlement, ...],
        client: Client,
        *,
        allow: bool,
        request_id: str,
        place: Place,
    ) -> Interaction:
        """Record the answer to these entitlements with its audit rows; return the interaction that remembers it."""
        now = self._clock()
        async with self._database.transaction() as tx:
            for entitlement in entitlements:
                if allow:
                    await consents.give(
                        tx, session.person_id, client.client_id, entitlement.purpose, entitlement.version, entitlement.claims, now
                    )
                event = AuditEvent(
                    Kind.CONSENT_GIVEN if allow else Kind.CONSENT_DENIED,
                    Result.DONE if allow else Result.REFUSED,
                    actor="person",
                    person_id=session.person_id,
                    client_id=client.client_id,
                    request_id=request_id,
                    details={"purpose": entitlement.purpose, "version": entitlement.version, "claims": " ".join(entitlement.claims)},
                    place=place,
                )
                await self._audit.record(tx, event)
        request = write_request(read_parameters(interaction), consented=allow, denied=not allow)
        return replace(interaction, request=request)
