"""Decides how a department is told that a sign-in ended, what the message says and what its answer means.

Sources: OpenID Connect Back-Channel Logout 1.0 §2.4, §2.5 and §2.8, Front-Channel Logout 1.0 §2.
"""

from dataclasses import dataclass
from enum import StrEnum

from idp.protocol.rules.client_metadata import LogoutAddresses
from idp.protocol.rules.response_url import build_response_url

TOKEN_TYPE = "logout+jwt"  # noqa: S105 - a media type
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_LIFE = 120
"""Seconds that a logout token is good for: it is made when it is sent (§2.4)."""


class Channel(StrEnum):
    """The way to a department: its own server, the person's browser, or none that it registered."""

    BACK = "back"
    FRONT = "front"
    NONE = "none"


class State(StrEnum):
    """What became of telling one department. ``SHOWN``: the browser was given its address; nobody learns whether it got there."""

    WAITING = "waiting"
    TOLD = "told"
    SHOWN = "shown"
    UNTOLD = "untold"


NO_ADDRESS = "no_address"
NO_BROWSER = "no_browser"
TIME_IS_UP = "time_is_up"
NO_KEY = "no_key"
"""The token is to be encrypted (§2.4), and there is no key to encrypt it to: none can be read now, or none fits."""

LATER = frozenset({408, 425, 429})
"""Refusals that mean: not now."""


@dataclass(frozen=True)
class Telling:
    """What became of telling one department; ``front_address`` is where the browser has to go, "" unless by this channel."""

    client_id: str
    name: str
    name_en: str
    channel: Channel
    state: State
    front_address: str = ""


@dataclass(frozen=True)
class Answered:
    """A department's answer. ``reason`` is our word for it; ``final``: asking again cannot change it."""

    told: bool
    final: bool
    reason: str


def choose_channel(addresses: LogoutAddresses) -> Channel:
    """Return the way to a department: the back channel needs no browser, so it goes before the front channel (protocol.md §1)."""
    if addresses.backchannel_logout_uri:
        return Channel.BACK
    return Channel.FRONT if addresses.frontchannel_logout_uri else Channel.NONE


def judge_answer(status: int) -> Answered:
    """Return what the status of a back-channel answer means (§2.8): 200 and 204 are thanks, a refusal is final, trouble is not."""
    if status in (200, 204):
        return Answered(told=True, final=True, reason=f"status_{status}")
    return Answered(told=False, final=400 <= status < 500 and status not in LATER, reason=f"status_{status}")


def describe_logout(issuer: str, client_id: str, subject: str, sid: str, now: int, jti: str) -> dict[str, object]:
    """Return the claims of a logout token (§2.4); ``nonce`` must never be among them."""
    return {
        "iss": issuer,
        "sub": subject,
        "aud": client_id,
        "iat": now,
        "exp": now + TOKEN_LIFE,
        "jti": jti,
        "sid": sid,
        "events": {EVENT: {}},
    }


def build_front_address(uri: str, issuer: str, sid: str) -> str:
    """Return where the browser goes: iss and sid come both or not at all (Front-Channel Logout §2)."""
    return build_response_url(uri, {"iss": issuer, "sid": sid})
