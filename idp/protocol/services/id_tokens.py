"""Decides what an ID Token says and how an old one is read back as a hint (OpenID Connect Core §2, RP-Initiated Logout §2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from idp.kernel.errors import ProtocolError
from idp.kernel.ids import encode_base64url
from idp.platform.current_ring import CurrentRing
from keys import InvalidSignature, Mac, NoSigningKey, Signer


@dataclass(frozen=True)
class HintedToken:
    """What an ID Token of ours, possibly expired, names."""

    client_id: str
    subject: str
    sid: str | None
    device_secret_hash: str | None = None


class IdTokens:
    """Signs ID Tokens and reads hints."""

    def __init__(self, issuer: str, ring: CurrentRing, sids: Mac, life: int) -> None:
        self._issuer = issuer
        self._ring = ring
        self._sids = sids
        self._life = life
        self._encode = msgspec.json.Encoder().encode

    def find_signer(self, algorithm: str) -> Signer:
        """Return what signs an ID Token, so that its ``kid`` is written before it does (``grants.signed_by``)."""
        try:
            return self._ring.find_signer(algorithm)
        except NoSigningKey:
            raise ProtocolError("server_error", "There is no key for the algorithm that this client is registered with.") from None

    async def sign(
        self,
        signer: Signer,
        client_id: str,
        subject: str,
        lineage: bytes,
        now: int,
        *,
        auth_time: int,
        acr: str | None,
        amr: list[str],
        nonce: str | None,
        device_secret_hash: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> str:
        """Return a signed ID Token; instants are epoch seconds. ``extra`` claims come besides these and replace none."""
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": subject,
            "aud": client_id,
            "exp": now + self._life,
            "iat": now,
            "auth_time": auth_time,
            "acr": acr,
            "amr": amr,
            "sid": self.make_sid(lineage, client_id),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if device_secret_hash is not None:
            claims["ds_hash"] = device_secret_hash
        if extra:
            claims = {**extra, **claims}
        body = self._encode(claims)
        return await self._ring.sign_token(signer, body)

    def make_sid(self, lineage: bytes, client_id: str) -> str:
        """Return the session id that one client sees; no two clients' values can be brought together (protocol.md §2)."""
        return encode_base64url(self._sids.compute(b"sid\0" + client_id.encode() + b"\0" + lineage)[:16])

    def read_hint(self, text: str | None) -> HintedToken | None:
        """Return what a hint names, None for one that is absent or not ours.

        An expired hint still counts, and so does one whose key retired in the last ``keys.hint_days``.
        """
        if text is None:
            return None
        try:
            claims = self._ring.verify_past(text, "JWT")
        except InvalidSignature:
            return None
        # Signed UserInfo has the same type and keys (RFC 8725 §3.12). An ID Token alone says when it ends and when the person signed in; no
        # claim that can be asked for adds either to UserInfo.
        if not isinstance(claims.get("exp"), int) or not isinstance(claims.get("auth_time"), int):
            return None
        client_id, subject, sid = claims.get("aud"), claims.get("sub"), claims.get("sid")
        if claims.get("iss") != self._issuer or not isinstance(client_id, str) or not isinstance(subject, str):
            return None
        ds_hash = claims.get("ds_hash")
        return HintedToken(client_id, subject, sid if isinstance(sid, str) else None, ds_hash if isinstance(ds_hash, str) else None)
