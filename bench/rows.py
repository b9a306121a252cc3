"""Decides what is measured, the least that each operation should reach, and the ratio to the peer that is wanted of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One operation. ``least`` is per CPU-second of our server process; ``ratio`` is ours divided by the peer's, None without a peer."""

    name: str
    operation: str
    least: float
    ratio: float | None
    concurrency: int = 16


ROWS = (
    Row("discovery", "discovery", 18_000, 2.0),
    Row("jwks", "jwks", 19_600, 1.4),
    Row("client_credentials, opaque", "client_credentials", 7_360, 1.6),
    Row("client_credentials, JWT ES256", "client_credentials_es256", 5_400, 2.0),
    Row("client_credentials, JWT RS256", "client_credentials_rs256", 1_320, 1.2),
    Row("introspection", "introspection", 9_360, 1.8),
    Row("authorize (live session)", "authorize", 3_080, 2.2),
    Row("userinfo", "userinfo", 7_500, 2.5),
    Row("SSO + userinfo, ES256", "sso_userinfo", 1_420, 2.5),
    Row("SSO + userinfo, RS256", "sso_userinfo_rs256", 735, 1.5),
    Row("refresh", "refresh", 4_500, 2.0),
    Row("password sign-in", "password_sign_in", 25.2, None, 4),
)
"""``least`` is what the peer reached when the design was made, times the wanted ratio; refresh what the design's skeleton reached; password
sign-in 0.9 of the argon2id bound."""
