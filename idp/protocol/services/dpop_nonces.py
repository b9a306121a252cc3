"""Decides which nonces a DPoP proof may carry: those of this span of time and the last, known again by their mac alone (RFC 9449 §8)."""

import hmac

from idp.kernel.clock import Clock
from idp.kernel.ids import decode_base64url, encode_base64url
from keys import Mac

SPAN = 60
"""Seconds for which all proofs get the same nonce; it is good in the span after it too."""

MAC_SIZE = 16


class DpopNonces:
    """Makes and knows nonces; every process of an installation makes the same ones."""

    def __init__(self, mac: Mac, clock: Clock) -> None:
        self._mac = mac
        self._clock = clock

    def make(self) -> str:
        """Return the nonce of the present span."""
        return self._write(self._find_span())

    def is_good(self, nonce: str) -> bool:
        """Tell whether a nonce is ours and of the present span or the last."""
        try:
            raw = decode_base64url(nonce)
        except ValueError:
            return False
        span = int.from_bytes(raw[:8], "big")
        return self._find_span() - span in (0, 1) and self._is_ours(span, raw[8:])

    def _is_ours(self, span: int, mac: bytes) -> bool:
        # Under a key that was just replaced it was still ours a moment ago; the client would only be sent for another one.
        return hmac.compare_digest(self._compute(span), mac)

    def _write(self, span: int) -> str:
        return encode_base64url(span.to_bytes(8, "big") + self._compute(span))

    def _compute(self, span: int) -> bytes:
        return self._mac.compute(b"dpop nonce\0" + span.to_bytes(8, "big"))[:MAC_SIZE]

    def _find_span(self) -> int:
        return int(self._clock().timestamp()) // SPAN
