"""Keys of clients that do not exist, and what they sign and open: by an independent reading of the specifications (joserfc)."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwe, jws, jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from idp.kernel.clock import read_system_random

Key = ECKey | OKPKey | RSAKey
_MAKERS = {
    "ES256": lambda: ECKey.generate_key("P-256", {"use": "sig"}),
    "PS256": lambda: RSAKey.generate_key(2048, {"use": "sig"}),
    "RS256": lambda: RSAKey.generate_key(2048, {"use": "sig"}),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", {"use": "sig"}),
    "RSA-OAEP-256": lambda: RSAKey.generate_key(2048, {"use": "enc"}),
    "ECDH-ES": lambda: ECKey.generate_key("P-256", {"use": "enc"}),
}


@dataclass(frozen=True)
class ClientKey:
    """One key pair of a client, for one algorithm."""

    algorithm: str
    key: Key

    @property
    def public(self) -> dict[str, Any]:
        """The public JWK, as it is registered."""
        return {**self.key.as_dict(private=False), "kid": self.key.thumbprint(), "alg": self.algorithm}

    def sign(self, claims: dict[str, Any], typ: str = "oauth-authz-req+jwt", **header: Any) -> str:
        """Return a compact JWS of the claims."""
        whole = {"alg": self.algorithm, "kid": self.key.thumbprint(), "typ": typ, **header}
        return jws.serialize_compact(whole, json.dumps(claims).encode(), self.key, algorithms=[whole["alg"]])

    def open(self, text: str) -> str:
        """Return the plaintext of a compact JWE to this key."""
        algorithms = ["RSA-OAEP-256", "ECDH-ES", "A256GCM", "A128CBC-HS256"]
        registry = jwe.JWERegistry(algorithms=algorithms, strict_check_header=False)  # claims may stand there (RFC 7519 §5.3)
        opened = jwe.decrypt_compact(text, self.key, registry=registry)
        assert opened.plaintext is not None
        return opened.plaintext.decode()


def make_client_key(algorithm: str = "ES256") -> ClientKey:
    """Return a new key pair."""
    key: Any = _MAKERS[algorithm]()
    return ClientKey(algorithm, key)


def write_key_set(*keys: ClientKey) -> str:
    """Return the JWK set that a client registers."""
    return json.dumps({"keys": [key.public for key in keys]})


def make_request_object(client_id: str, issuer: str, now: datetime, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of a request object that everything is right with."""
    seconds = int(now.timestamp())
    return {"iss": client_id, "aud": issuer, "client_id": client_id, "nbf": seconds, "exp": seconds + 300, **parameters}


def make_assertion(client_id: str, issuer: str, now: datetime) -> dict[str, Any]:
    """Return the claims of a client assertion (RFC 7523 §3) that everything is right with."""
    seconds = int(now.timestamp())
    jti = read_system_random(16).hex()
    return {"iss": client_id, "sub": client_id, "aud": issuer, "jti": jti, "iat": seconds, "exp": seconds + 60}


def decode_with(keys: Any, text: str, algorithms: list[str]) -> dict[str, Any]:
    """Return the claims of a JWT that one of ``keys`` (a JWK set) signed."""
    return dict(jwt.decode(text, KeySet.import_key_set(keys), algorithms=algorithms).claims)
