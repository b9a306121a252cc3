"""Decides what an access token is worth at this moment: the claims it releases, and what a resource server is told of it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.ledger import Ledger
from idp.protocol.rules.claims import ClaimValue, find_allowed, list_releases, select_claims
from idp.protocol.rules.client import Client
from idp.protocol.rules.grant import Grant, is_effective
from idp.protocol.rules.scopes import list_claims
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.profile_claims import describe_profile
from idp.protocol.services.sealed_values import AccessToken
from idp.protocol.stores import grants as grant_store
from idp.protocol.stores.grants import GrantOfPerson, GrantReads

INACTIVE = b'{"active":false}'
_encode = msgspec.json.Encoder().encode
WITHOUT_PROFILE = frozenset({"sub", "ial", "real_name_verified"})
"""Claims that need nothing of the sealed profile."""


class Resources:
    """Answers UserInfo and introspection from the grant row, so that ban, logout and revocation hold at once."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        audit: AuditLog,
        directory: ClientDirectory,
        grants: GrantReads,
        people: People,
        values: BearerValues,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._directory = directory
        self._grants = grants
        self._people = people
        self._values = values
        self._issuer = issuer
        self._clock = clock

    async def read_claims(self, access_token: str, request_id: str) -> bytes:
        """Return the UserInfo claims as JSON (OpenID Connect Core §5.3.2); raise ProtocolError ``invalid_token``."""
        now = self._clock()
        token = self._open(access_token, now)
        found = None if token is None else await self._grants.read_with_person(token.grant_id, now)
        if token is None or found is None or not is_effective(found.grant, now):
            raise ProtocolError("invalid_token", "The access token is not valid.", redirectable=False)
        grant = found.grant
        await self._note_use(grant, now)
        scope = _read_scope(token, grant)
        if grant.person_id is None or grant.subject is None or grant.audience is not None or "openid" not in scope:
            raise ProtocolError("insufficient_scope", "The access token is not for UserInfo.", redirectable=False)
        client = await self._directory.find(grant.client_id)
        if client is None:
            raise ProtocolError("invalid_token", "The access token is not valid.", redirectable=False)
        if scope == ("openid",):
            return _encode({"sub": grant.subject})
        return await self._release(found, scope, grant.person_id, grant.subject, client, request_id)

    async def _release(
        self, found: GrantOfPerson, scope: tuple[str, ...], person_id: UUID, subject: str, client: Client, request_id: str
    ) -> bytes:
        allowed = find_allowed(client, found.consents)
        ial = found.ial or 1
        known: dict[str, ClaimValue] = {"sub": subject, "ial": ial, "real_name_verified": ial >= 2}
        if found.profile is not None and not WITHOUT_PROFILE.issuperset(list_claims(scope)):
            known.update(describe_profile(self._people.open_profile(person_id, found.profile)))
        claims = select_claims(scope, allowed, known)
        released = [name for name in claims if name != "sub"]
        covered = list_releases(released, allowed)
        event = AuditEvent(
            Kind.CLAIMS_RELEASED,
            actor="client",
            person_id=person_id,
            client_id=client.client_id,
            request_id=request_id,
            details={
                "claims": " ".join(released),
                "purposes": "; ".join(r.purpose for r in covered),
                "bases": " ".join(dict.fromkeys(r.basis.value for r in covered)),
            },
        )
        await self._ledger.record(self._audit.prepare(event))
        return _encode(claims)

    async def introspect(self, parameters: Mapping[str, str], caller: Client) -> bytes:
        """Return the introspection answer (RFC 7662 §2.2) for a token of the caller's own or one meant for it, else inactive."""
        text = parameters.get("token")
        if text is None:
            raise ProtocolError("invalid_request", "token is missing.", redirectable=False)
        now = self._clock()
        token = self._open(text, now)
        grant = None if token is None else await self._grants.read(token.grant_id, now)
        if token is None or grant is None or not is_effective(grant, now) or not _may_ask(caller, grant):
            return INACTIVE
        await self._note_use(grant, now)
        answer: dict[str, object] = {
            "active": True,
            "iss": self._issuer,
            "client_id": grant.client_id,
            "token_type": "Bearer",
            "exp": token.expires_at,
            "iat": token.issued_at,
            "aud": grant.audience or self._issuer,
        }
        if grant.scope:
            answer["scope"] = " ".join(_read_scope(token, grant))
        if grant.subject is not None:
            answer["sub"] = grant.subject
            answer["acr"] = grant.acr
            answer["auth_time"] = int(min(p.at for p in grant.proved).timestamp())
        else:
            answer["sub"] = grant.client_id
        return _encode(answer)

    async def _note_use(self, grant: Grant, now: datetime) -> None:
        if grant.idle_limit is not None:
            await grant_store.note_use(self._database, grant.id, now)

    def _open(self, text: str, now: datetime) -> AccessToken | None:
        token = self._values.open(AccessToken, text)
        return token if token is not None and now.timestamp() < token.expires_at else None


def _may_ask(caller: Client, grant: Grant) -> bool:
    """Tell whether ``caller`` may know: its own token, or one whose audience it is registered as."""
    return grant.client_id == caller.client_id or (grant.audience is not None and grant.audience in caller.resources)


def _read_scope(token: AccessToken, grant: Grant) -> tuple[str, ...]:
    """Return the scope of a token: the grant's, unless a refresh narrowed it."""
    return grant.scope if token.scope is None else tuple(token.scope.split())
