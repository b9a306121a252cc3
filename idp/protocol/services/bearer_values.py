"""Decides how codes and tokens become opaque text and back: sealed, versioned by their seal, never stored."""

from typing import TypeVar

import msgspec

from idp.protocol.services.sealed_values import AccessToken, AuthorizationCode, DeviceSecret, FrontTicket, JwtToken, RefreshToken
from keys import BearerSealer, Unsealable

Value = TypeVar("Value", AuthorizationCode, AccessToken, JwtToken, RefreshToken, DeviceSecret, FrontTicket)

_KINDS: dict[type[msgspec.Struct], str] = {
    AuthorizationCode: "code/1",
    AccessToken: "access/1",
    JwtToken: "access-jwt/1",
    RefreshToken: "refresh/1",
    DeviceSecret: "device/1",
    FrontTicket: "ticket/1",
}


class BearerValues:
    """Seals and opens every kind of bearer value; a text opens only as the kind it was sealed as."""

    def __init__(self, sealer: BearerSealer) -> None:
        self._sealer = sealer
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders = {kind: msgspec.msgpack.Decoder(kind) for kind in _KINDS}

    def seal(self, value: Value) -> str:
        """Return the text that is handed out."""
        return self._sealer.seal(_KINDS[type(value)], self._encode(value))

    def open(self, kind: type[Value], text: str) -> Value | None:
        """Return what a text carries, None when it was altered, truncated, sealed as something else or by a lost key."""
        try:
            opened: Value = self._decoders[kind].decode(self._sealer.open(_KINDS[kind], text))  # type: ignore[assignment]
        except (Unsealable, msgspec.DecodeError):
            return None
        return opened
