"""What another party signs: tokens and proofs made by hand, so that a test can write any header and any claims."""

import base64
import json
from typing import Any

from joserfc.jws import JWSRegistry


def encode_part(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign_claims(key: Any, claims: Any, algorithm: str = "ES256", **header: Any) -> str:
    """Return a compact JWS by ``key`` (joserfc), with ``kid`` and ``alg`` in its header; a header member None is left out."""
    named = {"alg": algorithm, "kid": key.kid, **header}
    raw = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    message = f"{encode_part(json.dumps({n: v for n, v in named.items() if v is not None}).encode())}.{encode_part(raw)}"
    model = JWSRegistry.algorithms["Ed25519" if algorithm == "EdDSA" else algorithm]
    return f"{message}.{encode_part(model.sign(message.encode(), key))}"
