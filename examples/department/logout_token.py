"""Decides whether a logout token is the provider's, meant for us, fresh and new (OpenID Connect Back-Channel Logout 1.0 §2.6)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

EVENT = "http://schemas.openid.net/event/backchannel-logout"
ALGORITHMS = ["ES256", "RS256"]
"""What this website takes; never ``none``, and never a symmetric one."""

SKEW = 60
"""Seconds that the two clocks may differ."""


class BadLogoutToken(Exception):
    """It is not to be believed; the text is for the log."""


@dataclass(frozen=True)
class LoggedOut:
    """Whose sign-in ended: this one session (``sid``), or without one every session of ``sub``."""

    sub: str | None
    sid: str | None


class LogoutTokens:
    """Reads logout tokens; remembers which came already until they are too old to come again."""

    def __init__(self, issuer: str, client_id: str, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._clock = clock
        self._seen: dict[str, float] = {}

    def read(self, token: str, keys: dict[str, Any]) -> LoggedOut:
        """Return what ended. Raises BadLogoutToken; InvalidKeyIdError when its key is not among ``keys``: read them again, once."""
        try:
            decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)  # type: ignore[arg-type]
        except InvalidKeyIdError:
            raise
        except (JoseError, ValueError) as fault:
            raise BadLogoutToken(type(fault).__name__) from None
        claims, now = decoded.claims, self._clock()
        if decoded.header.get("typ") != "logout+jwt":
            raise BadLogoutToken("it is another kind of token")
        if claims.get("iss") != self._issuer or claims.get("aud") not in (self._client_id, [self._client_id]):
            raise BadLogoutToken("another issuer or audience")
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int) or issued > now + SKEW or expires < now - SKEW:
            raise BadLogoutToken("too old or too new")
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict) or "nonce" in claims:
            raise BadLogoutToken("no logout event")
        sub, sid = claims.get("sub"), claims.get("sid")
        if not (isinstance(sub, str) or isinstance(sid, str)):
            raise BadLogoutToken("nobody is named")
        self._remember(claims.get("jti"), expires, now)
        return LoggedOut(sub if isinstance(sub, str) else None, sid if isinstance(sid, str) else None)

    def _remember(self, jti: object, expires: float, now: float) -> None:
        self._seen = {known: until for known, until in self._seen.items() if until + SKEW >= now}
        if not isinstance(jti, str) or jti in self._seen:
            raise BadLogoutToken("it came before")
        self._seen[jti] = expires
