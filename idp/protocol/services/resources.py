"""Decides what an access token is worth at this moment: the claims it releases, and what a resource server is told of it."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.platform.current_ring import CurrentRing
from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.rules.confirmation import describe_confirmation, find_token_type
from idp.protocol.rules.grant import Grant, is_effective
from idp.protocol.rules.profile import find_demands
from idp.protocol.rules.terms import read_terms
from idp.protocol.services.access_tokens import AccessTokens, ReadToken, describe_token
from idp.protocol.services.claims_release import ClaimsRelease
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.jwt_access_tokens import describe_terms
from idp.protocol.services.possession import Possession, TokenUse
from idp.protocol.services.protection import JSON, Protection
from idp.protocol.services.sector_subjects import SectorSubjects
from idp.protocol.stores import grants as grant_store
from idp.protocol.stores.grants import GrantReads
from keys import NoSigningKey

INACTIVE: dict[str, object] = {"active": False}
SIGNED_TYPE = b"application/token-introspection+jwt"
_encode = msgspec.json.Encoder().encode


class Resources:
    """Answers UserInfo and introspection from the grant row, so that ban, logout and revocation hold at once."""

    def __init__(
        self,
        database: Database,
        directory: ClientDirectory,
        grants: GrantReads,
        access_tokens: AccessTokens,
        possession: Possession,
        releases: ClaimsRelease,
        protection: Protection,
        subjects: SectorSubjects,
        ring: CurrentRing,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._grants = grants
        self._access_tokens = access_tokens
        self._possession = possession
        self._releases = releases
        self._protection = protection
        self._subjects = subjects
        self._ring = ring
        self._issuer = issuer
        self._clock = clock

    def make_nonce(self) -> str:
        """Return the nonce that the next DPoP proof should carry."""
        return self._possession.make_nonce()

    async def open(self, use: TokenUse) -> ReadToken:
        """Return what an access token at a resource of ours stands for, its key proved; raise ProtocolError ``invalid_token``.

        Whether it is meant for this resource, and has the scope for it, is the caller's question.
        """
        now = self._clock()
        read = await self._access_tokens.read(use.text, now)
        client = None if read is None else await self._directory.find(read.grant.client_id)
        if read is None or client is None:
            raise _refuse_token()
        await self._possession.check_use(use, read.confirmation, client.profile)
        await self._note_use(read.grant, now)
        return read

    async def read_claims(self, use: TokenUse, request_id: str) -> tuple[bytes, bytes]:
        """Return content type and body of the UserInfo answer (OpenID Connect Core §5.3.2); raise ProtocolError ``invalid_token``."""
        now = self._clock()
        token = self._access_tokens.open(use.text)
        current = token is not None and now.timestamp() < token.expires_at
        found = await self._grants.read_with_person(token.grant_id, now) if token is not None and current else None
        if token is None or found is None or not is_effective(found.grant, now):
            raise _refuse_token()
        grant, read = found.grant, describe_token(token, found.grant)
        client = await self._directory.find(grant.client_id)
        if client is None:
            raise _refuse_token()
        await self._possession.check_use(use, read.confirmation, client.profile)
        await self._note_use(grant, now)
        if grant.person_id is None or grant.subject is None or read.audience is not None or "openid" not in read.scope:
            raise ProtocolError("insufficient_scope", "The access token is not for UserInfo.", redirectable=False)
        recipient = await self._protection.find_userinfo_recipient(client)  # what cannot be sent is not recorded as released
        if read.scope == ("openid",) and grant.terms is None:
            return await self._protection.protect_userinfo(client, recipient, {"sub": grant.subject})
        claims = await self._releases.release(found, read.scope, grant.person_id, grant.subject, client, now, request_id)
        return await self._protection.protect_userinfo(client, recipient, claims)

    async def introspect(self, parameters: Mapping[str, str], caller: Client, *, signed: bool) -> tuple[bytes, bytes]:
        """Return content type and body of the introspection answer for a token of the caller's own or one meant for it, else inactive.

        ``signed``: as a JWT (RFC 9701 §5), which the profile of the caller may demand anyway.
        """
        text = parameters.get("token")
        if text is None:
            raise ProtocolError("invalid_request", "token is missing.", redirectable=False)
        now = self._clock()
        read = await self._access_tokens.read(text, now)
        if read is None or not _may_ask(caller, read):
            answer = INACTIVE
        else:
            await self._note_use(read.grant, now)
            answer = self._describe(read, await self._choose_subject(read, caller))
        if signed or find_demands(caller.profile).signed_introspection:
            return SIGNED_TYPE, await self._sign(answer, caller, now)
        return JSON, _encode(answer)

    async def _choose_subject(self, read: ReadToken, caller: Client) -> str | None:
        """Return whom ``caller`` knows the person as; None for the client itself, which must not learn the name in another sector."""
        grant = read.grant
        if grant.person_id is None:
            return grant.client_id
        if read.audience is None:
            return grant.subject
        if read.audience not in caller.resources:
            return None
        owner = await self._directory.find(grant.client_id)
        if owner is not None and owner.sector_id == caller.sector_id:
            return grant.subject
        return await self._subjects.find(grant.person_id, caller.sector_id)

    def _describe(self, read: ReadToken, subject: str | None) -> dict[str, object]:
        grant = read.grant
        answer: dict[str, object] = {
            "active": True,
            "iss": self._issuer,
            "client_id": grant.client_id,
            "token_type": find_token_type(read.confirmation),
            "exp": int(read.expires_at.timestamp()),
            "iat": int(read.issued_at.timestamp()),
            "aud": read.audience or self._issuer,
        }
        if subject is not None:
            answer["sub"] = subject
        if read.scope:
            answer["scope"] = " ".join(read.scope)
        if grant.subject is not None:
            answer["acr"] = grant.acr
            answer["auth_time"] = int(min(p.at for p in grant.proved).timestamp())
        if read.confirmation is not None:
            answer["cnf"] = describe_confirmation(read.confirmation)
        if grant.terms is not None:
            answer.update(describe_terms(read_terms(grant.terms)))
        return answer

    async def _sign(self, answer: dict[str, object], caller: Client, now: datetime) -> bytes:
        claims = {"iss": self._issuer, "aud": caller.client_id, "iat": int(now.timestamp()), "token_introspection": answer}
        algorithm = caller.responses.introspection_signed_response_alg or caller.id_token_algorithm
        try:
            return (await self._ring.sign_token(algorithm, _encode(claims), "token-introspection+jwt")).encode()
        except NoSigningKey:
            raise ProtocolError("server_error", "There is no key for the algorithm that this client is registered with.") from None

    async def _note_use(self, grant: Grant, now: datetime) -> None:
        if grant.idle_limit is not None:
            await grant_store.note_use(self._database, grant.id, now)


def _may_ask(caller: Client, read: ReadToken) -> bool:
    """Tell whether ``caller`` may know: its own token, or one whose audience it is registered as."""
    return read.grant.client_id == caller.client_id or (read.audience is not None and read.audience in caller.resources)


def _refuse_token() -> ProtocolError:
    return ProtocolError("invalid_token", "The access token is not valid.", redirectable=False)
