"""Decides what codes, access tokens and refresh tokens carry inside their seal (architecture decision 8)."""

from uuid import UUID

import msgspec


class AuthorizationCode(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything a redemption needs; ``id`` becomes the id of the grant. Instants are epoch seconds.

    ``sector_id``: whose ``subject`` it is, None in a code of the release before.
    ``confirmation``: the key that the redemption must prove (``dpop_jkt``, RFC 9449 §10). New fields go to the end with a default: a code
    of the release before opens too.
    """

    id: UUID
    client_id: str
    redirect_uri: str
    expires_at: int
    person_id: UUID
    lineage: bytes
    session_ends_at: int
    subject: str
    scope: str
    factors: str
    acr: str
    auth_time: int
    nonce: str | None
    challenge: str | None
    confirmation: str | None = None
    terms: str | None = None
    sector_id: UUID | None = None


class AccessToken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Names a grant and its own end; all else is read from the grant row when it is used.

    ``scope`` only when it was narrowed; ``confirmation`` and ``audience`` None when the token has none of its own.
    """

    grant_id: UUID
    expires_at: int
    issued_at: int
    scope: str | None = None
    confirmation: str | None = None
    audience: str | None = None


class JwtToken(AccessToken, frozen=True, array_like=True, gc=False):
    """The same inside a JWT, as its ``jti``: by itself it is no access token."""


class DeviceSecret(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Names the sign-in of an app, for the other apps of the same sector on the same device (Native SSO 1.0 §3)."""

    lineage: bytes
    sector_id: UUID
    expires_at: int


class FrontTicket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Lets a web view enter once under an app's grant, at one target; ``challenge`` is the device's (S256)."""

    id: str
    grant_id: UUID
    target: str
    challenge: str
    expires_at: int


class RefreshToken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Names a grant and the generation it may be used in; ``bound``: whoever got it had proved a key, and must again."""

    grant_id: UUID
    generation: int
    expires_at: int
    bound: bool = False
