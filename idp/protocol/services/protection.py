"""Decides how answers to a client are signed and encrypted as it registered: JARM, UserInfo as a JWT, encrypted ID Tokens."""

import asyncio
from collections.abc import Mapping

import msgspec

from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.platform.current_ring import CurrentRing
from idp.protocol.rules.client import Client
from idp.protocol.rules.response_mode import find_jarm_algorithm
from idp.protocol.services.client_keys import ClientKeySets, KeysUnreadable
from keys import CannotEncrypt, NoSigningKey, Recipient, choose_recipient, encrypt_to

RESPONSE_LIFE = 300
"""Seconds of a signed authorization response; JARM §2.1 allows ten minutes."""

JSON, JWT = b"application/json", b"application/jwt"
DEFAULT_ENCRYPTION = "A128CBC-HS256"
"""What content is encrypted with where a client names only how the key travels (OpenID Connect Registration §2)."""


class Protection:
    """Signs and encrypts for clients; never answers in clear what was to be encrypted."""

    def __init__(self, ring: CurrentRing, keys: ClientKeySets, issuer: str, clock: Clock) -> None:
        self._ring = ring
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode

    async def sign_response(self, client: Client, parameters: Mapping[str, str | None]) -> str:
        """Return the ``response`` parameter of JARM §2.1; raise ProtocolError when the client's registration cannot be followed."""
        now = int(self._clock().timestamp())
        said = {name: value for name, value in parameters.items() if value is not None}
        claims = {**said, "iss": self._issuer, "aud": client.client_id, "exp": now + RESPONSE_LIFE}
        signed = await self._sign(find_jarm_algorithm(client), claims)
        return await self.encrypt(await self.find_response_recipient(client), signed)

    async def find_response_recipient(self, client: Client) -> Recipient | None:
        """Return how the authorization responses of a client are encrypted, as ``find_recipient`` does for its ID Tokens."""
        responses = client.responses
        return await self._find(client, responses.authorization_encrypted_response_alg, responses.authorization_encrypted_response_enc)

    async def protect_userinfo(self, client: Client, recipient: Recipient | None, claims: Mapping[str, object]) -> tuple[bytes, bytes]:
        """Return content type and body of a UserInfo answer (OpenID Connect Core §5.3.2); raise ProtocolError as above.

        ``recipient`` is that of ``find_userinfo_recipient``.
        """
        responses = client.responses
        if responses.userinfo_signed_response_alg is None and responses.userinfo_encrypted_response_alg is None:
            return JSON, self._encode(claims)
        if responses.userinfo_signed_response_alg is None:
            text = await self.encrypt(recipient, self._encode(claims).decode(), content_type="")
            return JWT, text.encode()
        whole = {**claims, "iss": self._issuer, "aud": client.client_id}
        signed = await self._sign(responses.userinfo_signed_response_alg, whole)
        return JWT, (await self.encrypt(recipient, signed)).encode()

    async def find_recipient(self, client: Client) -> Recipient | None:
        """Return how the ID Tokens of a client are encrypted, None where they are not (OpenID Connect Core §16.14).

        To be asked for before anything is spent. Raises ProtocolError: ``temporarily_unavailable`` when its keys cannot be read now,
        ``invalid_request`` when none of them fits.
        """
        responses = client.responses
        return await self._find(client, responses.id_token_encrypted_response_alg, responses.id_token_encrypted_response_enc)

    async def find_userinfo_recipient(self, client: Client) -> Recipient | None:
        """Return how the UserInfo answers of a client are encrypted, as ``find_recipient`` does for its ID Tokens."""
        responses = client.responses
        return await self._find(client, responses.userinfo_encrypted_response_alg, responses.userinfo_encrypted_response_enc)

    async def encrypt_logout_token(self, recipient: Recipient | None, client: Client, signed: str) -> str:
        """Return a logout token as the client's ID Tokens are, whom it is from and for in the header too (Back-Channel Logout §2.4)."""
        replicated = {"iss": self._issuer, "aud": client.client_id}
        return signed if recipient is None else await asyncio.to_thread(encrypt_to, recipient, signed.encode(), replicated=replicated)

    async def encrypt(self, recipient: Recipient | None, text: str, content_type: str = "JWT") -> str:
        """Return ``text`` in a JWE to a recipient, as it is where there is none."""
        return text if recipient is None else await asyncio.to_thread(encrypt_to, recipient, text.encode(), content_type)

    async def _sign(self, algorithm: str, claims: Mapping[str, object]) -> str:
        try:
            return await self._ring.sign_token(algorithm, self._encode(claims))
        except NoSigningKey:
            raise ProtocolError("server_error", "There is no key for the algorithm that this client is registered with.") from None

    async def _find(self, client: Client, algorithm: str | None, method: str | None) -> Recipient | None:
        if algorithm is None:
            return None
        try:
            return choose_recipient(await self._keys.read(client), algorithm, method or DEFAULT_ENCRYPTION)
        except KeysUnreadable as unreadable:
            raise ProtocolError(
                "temporarily_unavailable",
                "The keys that this client publishes cannot be read at the moment; try again in a minute.",
                unreadable.reason,
            ) from None
        except CannotEncrypt as error:
            raise ProtocolError("invalid_request", "This client has no key that its answers can be encrypted to.", str(error)) from None
