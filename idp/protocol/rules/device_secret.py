"""Decides how an ID Token names the device secret that it may be exchanged with, and which apps have it (Native SSO 1.0 §3.3)."""

import hashlib
import hmac
from uuid import UUID

from idp.kernel.ids import encode_base64url
from idp.protocol.rules.client import Client

SCOPE = "device_sso"


def hash_device_secret(secret: str) -> str:
    """Return ``ds_hash``."""
    return encode_base64url(hashlib.sha256(secret.encode()).digest())


def is_named(secret: str, ds_hash: object) -> bool:
    """Tell in constant time whether an ID Token's ``ds_hash`` is this secret's."""
    return isinstance(ds_hash, str) and hmac.compare_digest(hash_device_secret(secret).encode(), ds_hash.encode())


def may_share(client: Client, app: str, sector_id: UUID) -> bool:
    """Tell whether ``client`` has, or may have, the device secret of the sign-in that ``app`` of this sector opened."""
    return client.client_id == app or (SCOPE in client.scopes and client.sector_id == sector_id)
