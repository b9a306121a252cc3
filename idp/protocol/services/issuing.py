"""Decides what the tokens of a grant look like: access token, refresh token, ID Token (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import msgspec

from idp.kernel.levels import Proved
from idp.protocol.rules.claims import list_amr
from idp.protocol.rules.client import Client
from idp.protocol.rules.device_secret import hash_device_secret
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.id_tokens import IdTokens
from idp.protocol.services.lifetimes import Lifetimes
from idp.protocol.services.sealed_values import AccessToken, RefreshToken
from keys import Signer


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


class Basis(NamedTuple):
    """What the tokens of one answer rest on; instants are epoch seconds.

    ``subject`` and ``lineage`` are None for a client's own grant; ``confirmation`` and ``terms`` are the grant's.
    """

    grant_id: UUID
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
    """The keys that sign the tokens of one answer, chosen before the grant is written, so that it names them."""

    id_token: Signer

    @property
    def kids(self) -> str:
        """``grants.signed_by``: the ids of the keys, separated by spaces."""
        return " ".join(dict.fromkeys(signer.kid for signer in self))


class Issuing:
    """Makes tokens; writes nothing: whoever calls has written the grant."""

    def __init__(self, values: BearerValues, id_tokens: IdTokens, lifetimes: Lifetimes) -> None:
        self._values = values
        self._id_tokens = id_tokens
        self._lifetimes = lifetimes

    def choose_signers(self, client: Client) -> Signers:
        """Return the keys that sign for ``client`` now; a rotation between this and the signature changes nothing."""
        return Signers(self._id_tokens.find_signer(client.id_token_algorithm))

    async def issue(
        self,
        client: Client,
        basis: Basis,
        now: int,
        *,
        narrowed: str | None = None,
        generation: int | None = None,
        nonce: str | None = None,
        life: int | None = None,
        signers: Signers | None = None,
        device_secret: str | None = None,
        issued_token_type: str | None = None,
    ) -> TokenResponse:
        """Return the answer of the token endpoint.

        ``narrowed`` is the scope when a refresh asks for less than was granted; ``generation`` that of the refresh token, None for none;
        ``life`` the seconds of an access token that does not live as long as the others; ``signers`` those that the grant names.
        ``device_secret`` is named in the ID Token (Native SSO 1.0 §3.3); ``issued_token_type`` is what an exchange says (RFC 8693 §2.2.1).
        """
        lifetimes, ends_at = self._lifetimes, basis.ends_at
        life = lifetimes.access_token if life is None else life
        return TokenResponse(
            access_token=self._values.seal(AccessToken(basis.grant_id, min(now + life, ends_at), now, narrowed)),
            expires_in=min(life, ends_at - now),
            scope=(basis.scope if narrowed is None else narrowed) or None,
            refresh_token=None
            if generation is None
            else self._values.seal(RefreshToken(basis.grant_id, generation, min(now + self._find_idle(basis), ends_at))),
            id_token=await self._sign_id_token(client, basis, now, nonce, signers, device_secret),
            issued_token_type=issued_token_type,
            device_secret=device_secret,
        )

    def _find_idle(self, basis: Basis) -> int:
        """Return how long a refresh token may lie unused: what goes on without a browser session may be forgotten for days."""
        lasting = not {"offline_access", "device_sso"}.isdisjoint(basis.scope.split())
        return self._lifetimes.offline if lasting else self._lifetimes.refresh_idle

    async def _sign_id_token(
        self, client: Client, basis: Basis, now: int, nonce: str | None, signers: Signers | None, device_secret: str | None
    ) -> str | None:
        if basis.subject is None or basis.lineage is None or basis.auth_time is None:
            return None
        return await self._id_tokens.sign(
            (signers or self.choose_signers(client)).id_token,
            client.client_id,
            basis.subject,
            basis.lineage,
            now,
            auth_time=basis.auth_time,
            acr=basis.acr,
            amr=list_amr(basis.proved),
            nonce=nonce,
            device_secret_hash=None if device_secret is None else hash_device_secret(device_secret),
        )
