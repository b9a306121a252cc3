"""Decides which private keys the demo's own clients have, for a conformance suite that plays those clients."""

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from idp.kernel.ids import encode_base64url
from idp.platform.child_processes import write_private

PRIVATE_PARTS = ("d", "p", "q", "dp", "dq", "qi")


def read_or_make_keys(path: Path, kid: str) -> dict[str, Any]:
    """Return the private JWK set of a file; one RSA key for PS256 is made where there is none (RFC 7517 §5, RFC 7518 §6.3).

    RSA, because a suite also tries the same key with RS256 to see it refused.
    """
    if not path.exists():
        write_private(path, json.dumps({"keys": [_make_key(kid)]}, indent=1) + "\n")
    keys: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return keys


def hide_private_parts(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the public half of a JWK set, as a client registers it."""
    return {"keys": [{name: value for name, value in key.items() if name not in PRIVATE_PARTS} for key in keys["keys"]]}


def _make_key(kid: str) -> dict[str, str]:
    numbers = generate_private_key(65_537, 2_048).private_numbers()
    public = numbers.public_numbers
    parts = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    parts |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    written = {name: encode_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for name, number in parts.items()}
    return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "PS256", **written}
