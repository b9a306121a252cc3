"""Decides which algorithms a client may be registered with; never ``none``, never a shared secret for what we sign (RFC 8725 §3.1)."""

from typing import Final

CLIENT_SIGNING: Final = ("ES256", "ES384", "PS256", "Ed25519", "EdDSA", "RS256")
"""What a client may sign assertions and request objects with."""

SECRET_SIGNING: Final = ("HS256",)
"""What a client may sign with its secret: an assertion of ``client_secret_jwt`` and nothing else."""

ENCRYPTION: Final = ("RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW")
"""How the key of an encrypted answer reaches the client (JWE ``alg``)."""

CONTENT_ENCRYPTION: Final = ("A256GCM", "A128CBC-HS256")
"""How an encrypted answer is encrypted (JWE ``enc``)."""
