"""Decides what an access token says that a resource server reads by itself (RFC 9068): the grant, its key, and nobody's name."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.kernel.json_text import Json
from idp.platform.current_ring import CurrentRing
from idp.platform.database import Database
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import TokenFormat
from idp.protocol.rules.confirmation import describe_confirmation
from idp.protocol.rules.terms import Terms
from idp.protocol.services.bearer_values import BearerValues
from idp.protocol.services.sealed_values import JwtToken
from idp.protocol.services.sector_subjects import SectorSubjects
from idp.protocol.stores import resource_servers
from keys import InvalidSignature, NoSigningKey, Signer

TYPE = "at+jwt"
CACHE_SECONDS = 5
MAX_KNOWN = 1_000


class JwtAccessTokens:
    """Writes and opens them. Their ``jti`` is a sealed value, so that whatever asks us about one finds its grant as that of any other."""

    def __init__(
        self, database: Database, values: BearerValues, subjects: SectorSubjects, ring: CurrentRing, issuer: str, clock: Clock
    ) -> None:
        self._database = database
        self._values = values
        self._subjects = subjects
        self._ring = ring
        self._issuer = issuer
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._known: dict[str, tuple[float, Client | None]] = {}

    async def find_signer(self, audience: str | None) -> Signer | None:
        """Return what signs the access tokens for a resource, None where they are opaque: UserInfo's, and those of most others."""
        server = None if audience is None else await self._find_server(audience)
        if server is None or server.access_token_format is not TokenFormat.JWT:
            return None
        try:
            return self._ring.find_signer(server.id_token_algorithm)
        except NoSigningKey:
            return self._ring.find_signer(self._ring.algorithms[0])

    async def sign(
        self,
        signer: Signer,
        token: JwtToken,
        client: Client,
        person_id: UUID | None,
        subject: str | None,
        terms: Terms,
        about: Mapping[str, Json],
    ) -> str:
        """Return the JWT of a token; ``about`` are the scope and what is known of the sign-in, None where it is not.

        ``subject`` is the client's; the resource server reads that of its own sector. Raises ProtocolError ``invalid_target`` when there is
        no such server any more.
        """
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": await self._choose_subject(token, client, person_id, subject),
            "aud": token.audience,
            "client_id": client.client_id,
            "iat": token.issued_at,
            "exp": token.expires_at,
            "jti": self._values.seal(token),
            **{name: value for name, value in about.items() if value is not None},
            **describe_terms(terms),
        }
        if token.confirmation is not None:
            claims["cnf"] = describe_confirmation(token.confirmation)
        return await self._ring.sign_token(signer, self._encode(claims), TYPE)

    def open(self, text: str) -> JwtToken | None:
        """Return what a JWT of ours carries, None for everything else; whether it still counts is not looked at."""
        try:
            claims = self._ring.verify(text, TYPE)
        except InvalidSignature:
            return None
        jti = claims.get("jti")
        return self._values.open(JwtToken, jti) if isinstance(jti, str) else None

    async def _choose_subject(self, token: JwtToken, client: Client, person_id: UUID | None, subject: str | None) -> str:
        if person_id is None or subject is None:
            return client.client_id
        server = None if token.audience is None else await self._find_server(token.audience)
        if server is None:
            raise make_unknown_resource()
        return subject if server.sector_id == client.sector_id else await self._subjects.find(person_id, server.sector_id)

    async def _find_server(self, audience: str) -> Client | None:
        now = self._clock().timestamp()
        known = self._known.get(audience)
        if known is not None and now < known[0]:
            return known[1]
        server = await resource_servers.read(self._database, audience)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[audience] = (now + CACHE_SECONDS, server)
        return server


def make_unknown_resource() -> ProtocolError:
    """Return ``invalid_target`` (RFC 8707 §2)."""
    return ProtocolError("invalid_target", "No resource server has this address.", redirectable=False)


def describe_terms(terms: Terms) -> dict[str, object]:
    """Return what access tokens and introspection say of a grant's terms (RFC 9396 §9, RFC 8693 §4.1)."""
    described: dict[str, object] = {}
    if terms.authorization_details:
        described["authorization_details"] = [dict(detail) for detail in terms.authorization_details]
    if terms.actor is not None:
        described["act"] = dict(terms.actor)
    return described
