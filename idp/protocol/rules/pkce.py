"""Decides whether a code verifier proves the challenge of its authorization request (RFC 7636 §4.6, S256 only)."""

import hashlib
import hmac
import re

from idp.kernel.ids import encode_base64url

VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}\Z")
CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}\Z")
METHODS = ("S256",)


def is_challenge(text: str) -> bool:
    """Tell whether ``text`` has the shape of an S256 challenge."""
    return CHALLENGE.match(text) is not None


def proves(verifier: str | None, challenge: str | None) -> bool:
    """Tell whether the verifier fits: both absent, or the challenge is the verifier's S256 hash (compared in constant time)."""
    if verifier is None or challenge is None:
        return verifier is None and challenge is None
    if VERIFIER.match(verifier) is None:
        return False
    made = encode_base64url(hashlib.sha256(verifier.encode("ascii")).digest())
    return hmac.compare_digest(made, challenge)
