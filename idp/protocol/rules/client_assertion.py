"""Decides whether the claims of a client's assertion are for us, now, and for once (RFC 7523 §3, OpenID Connect Core §9)."""

from collections.abc import Mapping
from dataclasses import dataclass

TYPES = ("client-authentication+jwt", "JWT", "")
"""What the header may say of itself: nothing much, or the type of draft-ietf-oauth-rfc7523bis. Other kinds of JWT, which the same key signs
too, are no assertion (RFC 8725 §3.11)."""

LIFE = 60
"""Seconds from ``iat`` to ``exp`` at most; without ``iat``, from now."""

SKEW = 10
"""Seconds that the clocks may differ."""

MAX_JTI = 256


@dataclass(frozen=True)
class Assertion:
    """What must be remembered of an assertion that is good: its name, and until when. ``made_at`` is the earliest it can come from."""

    jti: str
    made_at: float
    remembered_for: float


def read_assertion(claims: Mapping[str, object], client_id: str, audiences: frozenset[str], *, lists: bool, now: float) -> Assertion | str:
    """Return what to remember, or why the assertion does not count, for the log.

    ``audiences`` are the names of ours that this client may use, as a single string; with ``lists`` a legacy client may give several.
    """
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        return "iss and sub are not the client"
    if not _is_for_us(claims.get("aud"), audiences, lists):
        return "another audience"
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not jti.isprintable():
        return "no jti"
    ends, made, starts = (_read_instant(claims, name) for name in ("exp", "iat", "nbf"))
    if ends is None or isinstance(ends, str) or isinstance(made, str) or isinstance(starts, str):
        return "exp, iat or nbf is no instant"
    if now >= ends + SKEW:
        return "expired"
    if max(made or 0, starts or 0) > now + SKEW:
        return "from the future"
    if ends - (now + SKEW if made is None else made) > LIFE:
        return "lives too long"
    return Assertion(jti, ends - LIFE if made is None else made, ends + SKEW - now)


def _is_for_us(audience: object, audiences: frozenset[str], lists: bool) -> bool:
    if isinstance(audience, str):
        return audience in audiences
    return lists and isinstance(audience, list) and bool(audience) and all(isinstance(a, str) and a in audiences for a in audience)


def _read_instant(claims: Mapping[str, object], name: str) -> float | str | None:
    """Return epoch seconds, None for an absent claim, a text for one that is no instant."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        return name
    return value
