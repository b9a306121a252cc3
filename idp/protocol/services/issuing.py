"""Decides what the tokens of a grant look like: access token, refresh token, ID Token (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from idp.kernel.json_text import Json
from idp.kernel.levels import Proved
from idp.protocol.rules.claims import list_amr, narrow_asked
from idp.protocol.rules.client import Client
from idp.protocol.rules.confirmation import find_token_type
from idp.protocol.rules.device_secret import hash_device_secret
from idp.protocol.rules.profile import find_demands
from idp.protocol.rules.scopes import OPENID
from idp.protocol.rules.terms import NO_TERMS, Terms, read_terms
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.claims_release import ClaimsRelease
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.jwt_access_tokens import JwtAccessTokens
from idp.protocol.services.lifetimes import Lifetimes
from idp.protocol.services.protection import Protection
from idp.protocol.services.sealed_values import AccessToken, JwtToken, RefreshToken
from keys import Recipient, Signer


class TokenResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The successful answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: str
    expires_in: int
    scope: str | None = None
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str = msgspec.field(default_factory=lambda: "Bearer")
    issued_token_type: str | None = None
    device_secret: str | None = None
    authorization_details: list[Mapping[str, Json]] | None = None


class Basis(NamedTuple):
    """What the tokens of one answer rest on; instants are epoch seconds.

    ``person_id``, ``subject`` and ``lineage`` are None for a client's own grant. ``subject`` and ``terms`` are those of the grant;
    ``audience`` and ``confirmation`` are those of the access token of this answer.
    """

    grant_id: UUID
    person_id: UUID | None
    ends_at: int
    scope: str
    subject: str | None
    lineage: bytes | None
    proved: Iterable[Proved]
    acr: str | None
    auth_time: int | None
    audience: str | None
    confirmation: str | None
    terms: str | None


class Signers(NamedTuple):
    """The keys that sign the tokens of one answer, chosen before the grant is written, so that it names them.

    ``recipient`` is whose key the ID Token is encrypted to, None where it is not: what cannot be had is missing before anything is spent.
    """

    id_token: Signer
    access_token: Signer | None = None
    recipient: Recipient | None = None

    @property
    def kids(self) -> str:
        """``grants.signed_by``: the ids of the keys, separated by spaces."""
        return " ".join(dict.fromkeys(signer.kid for signer in (self.id_token, self.access_token) if signer is not None))


class Issuing:
    """Makes tokens; writes nothing: whoever calls has written the grant."""

    def __init__(
        self,
        values: BearerValues,
        id_tokens: IdTokens,
        lifetimes: Lifetimes,
        jwts: JwtAccessTokens,
        releases: ClaimsRelease,
        protection: Protection,
    ) -> None:
        self._values = values
        self._id_tokens = id_tokens
        self._lifetimes = lifetimes
        self._jwts = jwts
        self._releases = releases
        self._protection = protection

    async def prepare(self, client: Client, audience: str | None, scope: Iterable[str]) -> Signers:
        """Return the keys for an answer of ``scope``, that of an access token for ``audience`` among them where it is a JWT.

        To be called before a code, a refresh token or an approval is spent: what is refused here can be asked again. A rotation between
        this and the signature changes nothing. Raises ProtocolError, ``temporarily_unavailable`` when the client's keys cannot be read.
        """
        return Signers(
            self._id_tokens.find_signer(client.id_token_algorithm),
            await self._jwts.find_signer(audience),
            await self._protection.find_recipient(client) if OPENID in scope else None,
        )

    async def issue(
        self,
        client: Client,
        basis: Basis,
        now: int,
        *,
        signers: Signers,
        narrowed: str | None = None,
        generation: int | None = None,
        nonce: str | None = None,
        life: int | None = None,
        device_secret: str | None = None,
        issued_token_type: str | None = None,
        request_id: str = "",
    ) -> TokenResponse:
        """Return the answer of the token endpoint.

        ``signers`` are those that the grant names; ``narrowed`` is the scope when a refresh asks for less than was granted;
        ``generation`` that of the refresh token, None for none; ``life`` the seconds of an access token that does not live as long as the
        others.
        ``device_secret`` is named in the ID Token (Native SSO 1.0 §3.3); ``issued_token_type`` is what an exchange says (RFC 8693 §2.2.1).
        """
        ends_at = basis.ends_at
        life = self._lifetimes.access_token if life is None else life
        terms = NO_TERMS if basis.terms is None else read_terms(basis.terms)
        token = AccessToken(basis.grant_id, min(now + life, ends_at), now, narrowed, basis.confirmation, basis.audience)
        return TokenResponse(
            access_token=await self._write_access_token(client, basis, terms, token, signers),
            expires_in=min(life, ends_at - now),
            scope=(basis.scope if narrowed is None else narrowed) or None,
            refresh_token=None if generation is None else self._seal_refresh_token(client, basis, generation, now),
            id_token=await self._sign_id_token(client, basis, terms, narrowed, now, nonce, signers, device_secret, request_id),
            token_type=find_token_type(basis.confirmation),
            issued_token_type=issued_token_type,
            device_secret=device_secret,
            authorization_details=list(terms.authorization_details) or None,
        )

    async def _write_access_token(self, client: Client, basis: Basis, terms: Terms, token: AccessToken, signers: Signers) -> str:
        if signers.access_token is None:
            return self._values.seal(token)
        about: dict[str, Json] = {
            "scope": (basis.scope if token.scope is None else token.scope) or None,
            "acr": basis.acr,
            "auth_time": basis.auth_time,
        }
        inside = JwtToken(token.grant_id, token.expires_at, token.issued_at, token.scope, token.confirmation, token.audience)
        return await self._jwts.sign(signers.access_token, inside, client, basis.person_id, basis.subject, terms, about)

    def _seal_refresh_token(self, client: Client, basis: Basis, generation: int, now: int) -> str:
        # One that is never replaced cannot have an idle limit inside.
        rotates = find_demands(client.profile).rotates_refresh
        ends_at = min(now + self._find_idle(basis), basis.ends_at) if rotates else basis.ends_at
        return self._values.seal(RefreshToken(basis.grant_id, generation, ends_at, basis.confirmation is not None))

    def _find_idle(self, basis: Basis) -> int:
        """Return how long a refresh token may lie unused: what goes on without a browser session may be forgotten for days."""
        lasting = not {"offline_access", "device_sso"}.isdisjoint(basis.scope.split())
        return self._lifetimes.offline if lasting else self._lifetimes.refresh_idle

    async def _sign_id_token(
        self,
        client: Client,
        basis: Basis,
        terms: Terms,
        narrowed: str | None,
        now: int,
        nonce: str | None,
        signers: Signers,
        device_secret: str | None,
        request_id: str,
    ) -> str | None:
        # Whoever gave openid up asks by OAuth alone (OpenID Connect Core §3.1.2.1): no ID Token, as no UserInfo.
        scope = (basis.scope if narrowed is None else narrowed).split()
        if OPENID not in scope or basis.subject is None or basis.lineage is None or basis.auth_time is None:
            return None
        extra: Mapping[str, object] | None = None
        if terms.claims is not None:
            at = datetime.fromtimestamp(now, UTC)
            asked = narrow_asked(terms.claims.id_token, basis.scope.split(), scope)
            extra = await self._releases.release_for_id_token(basis.grant_id, client, asked, basis.subject, at, request_id)
        signed = await self._id_tokens.sign(
            signers.id_token,
            client.client_id,
            basis.subject,
            basis.lineage,
            now,
            auth_time=basis.auth_time,
            acr=basis.acr,
            amr=list_amr(basis.proved),
            nonce=nonce,
            device_secret_hash=None if device_secret is None else hash_device_secret(device_secret),
            extra=extra,
        )
        return await self._protection.encrypt(signers.recipient, signed)
