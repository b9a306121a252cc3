"""The sample department believes a logout token only when everything about it is right (Back-Channel Logout §2.6)."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import ECKey

from examples.department.logout_token import EVENT, BadLogoutToken, LoggedOut, LogoutTokens

KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}, private=True)
OTHER = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}, private=True)
KEYS = {"keys": [KEY.as_dict(private=False)]}
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "land",
    "iat": 1_000,
    "exp": 1_120,
    "jti": "j-1",
    "sub": "s",
    "sid": "sid-1",
    "events": {EVENT: {}},
}


def sign(key: ECKey = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode({"alg": "ES256", "typ": "logout+jwt", "kid": "one", **(header or {})}, claims, key)


def make_reader() -> LogoutTokens:
    return LogoutTokens("https://id.example", "land", clock=lambda: 1_010.0)


def test_a_good_one_names_the_session() -> None:
    assert make_reader().read(sign(), KEYS) == LoggedOut("s", "sid-1")
    assert make_reader().read(sign(aud=["land"], sid=None), KEYS) == LoggedOut("s", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "fund"},
        {"aud": ["land", "fund"]},
        {"exp": 900},
        {"exp": None},
        {"iat": 2_000},
        {"events": None},
        {"events": {}},
        {"events": {EVENT: "x"}},
        {"nonce": "n"},
        {"sub": None, "sid": None},
        {"jti": None},
        {"header": {"typ": "JWT"}},
        {"key": OTHER},
    ],
    ids=lambda changes: "-".join(changes) if isinstance(changes, dict) else str(changes),
)
def test_whatever_is_wrong_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadLogoutToken):
        make_reader().read(sign(**changes), KEYS)


def test_it_counts_once() -> None:
    reader = make_reader()
    reader.read(sign(), KEYS)
    with pytest.raises(BadLogoutToken):
        reader.read(sign(), KEYS)
    reader.read(sign(jti="j-2"), KEYS)


def test_an_unknown_key_is_worth_another_look() -> None:
    with pytest.raises(InvalidKeyIdError):
        make_reader().read(sign(header={"kid": "two"}), KEYS)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "e30.e30.e30"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises((BadLogoutToken, InvalidKeyIdError)):
        make_reader().read(token, KEYS)
